/* SignalWindow: samples times weights, frame by frame, shifted right and saturated. */
#ifndef MCU_SIGNAL_WINDOW_H
#define MCU_SIGNAL_WINDOW_H

#include "base.h"

MCU_NOINLINE void mcu_signal_window(int32_t frames, int32_t size, int32_t shift, const int8_t *in,
                                     const int8_t *weights, int8_t *out)
{
    for (int32_t frame = 0; frame < frames; frame++) {
        for (int32_t i = 0; i < size; i++, in += 2, out += 2) {
            const int32_t product = mcu_load_16(in) * mcu_load_16(weights + 2 * i);
            mcu_store_16(out, mcu_clamp(product >> shift, INT16_MIN, INT16_MAX));
        }
    }
}

#endif
