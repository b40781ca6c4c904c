/* SignalEnergy: real * real + imaginary * imaginary of a band of frequencies; 0 elsewhere. */
#ifndef MCU_SIGNAL_ENERGY_H
#define MCU_SIGNAL_ENERGY_H

#include "base.h"

MCU_NOINLINE void mcu_signal_energy(int32_t count, int32_t first, int32_t end, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        uint32_t energy = 0;
        if (i >= first && i < end) {
            const int32_t real = mcu_load_16(in + 4 * i), imaginary = mcu_load_16(in + 4 * i + 2);
            energy = (uint32_t)(real * real) + (uint32_t)(imaginary * imaginary);
        }
        mcu_store_32(out + 4 * i, (int32_t)energy);
    }
}

#endif
