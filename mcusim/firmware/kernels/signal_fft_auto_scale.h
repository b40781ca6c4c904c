/* SignalFftAutoScale: samples shifted left as far as the largest leaves room, and by how many bits. */
#ifndef MCU_SIGNAL_FFT_AUTO_SCALE_H
#define MCU_SIGNAL_FFT_AUTO_SCALE_H

#include "base.h"

/* Silence is not shifted, nor is what holds the lowest sample, whose magnitude needs 16 bits. */
MCU_NOINLINE void mcu_signal_fft_auto_scale(int32_t count, const int8_t *in, int8_t *out, int8_t *shifted_by)
{
    int32_t largest = 0, bits = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t sample = mcu_load_16(in + 2 * i), size = sample < 0 ? -sample : sample;
        largest = size > largest ? size : largest;
    }
    while (largest > 0 && largest << (bits + 1) < 1 << 15) {
        bits++;
    }
    for (int32_t i = 0; i < count; i++) {
        mcu_store_16(out + 2 * i, mcu_load_16(in + 2 * i) * (1 << bits));
    }
    mcu_store_32(shifted_by, bits);
}

#endif
