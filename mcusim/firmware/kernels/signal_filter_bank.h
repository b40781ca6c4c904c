/* SignalFilterBank: weighted sums of energies, modulo 2^64; what a channel does not weigh goes to the next. */
#ifndef MCU_SIGNAL_FILTER_BANK_H
#define MCU_SIGNAL_FILTER_BANK_H

#include "base.h"

/* firsts, starts, widths: of each channel, and of one before the first that only passes on: its first frequency, its
   first weight, how many of them. */
MCU_NOINLINE void mcu_signal_filter_bank(int32_t channels, const int8_t *energies, const int8_t *weights,
                                          const int8_t *unweights, const int8_t *firsts, const int8_t *starts,
                                          const int8_t *widths, int8_t *out)
{
    uint64_t passed = 0;
    for (int32_t channel = 0; channel <= channels; channel++) {
        const int8_t *energy = energies + 4 * mcu_load_16(firsts + 2 * channel);
        const int32_t start = mcu_load_16(starts + 2 * channel), width = mcu_load_16(widths + 2 * channel);
        uint64_t sum = passed;
        passed = 0;
        for (int32_t i = 0; i < width; i++) {
            const uint64_t value = (uint32_t)mcu_load_32(energy + 4 * i);
            sum += value * (uint64_t)(int64_t)mcu_load_16(weights + 2 * (start + i));
            passed += value * (uint64_t)(int64_t)mcu_load_16(unweights + 2 * (start + i));
        }
        if (channel > 0) {
            MCU_MOVE_BYTES(out + 8 * (channel - 1), &sum, sizeof sum);
        }
    }
}

#endif
