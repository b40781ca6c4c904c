/* SignalFilterBankSquareRoot: whole roots of 64-bit numbers, rounded to the nearest, shifted right. */
#ifndef MCU_SIGNAL_FILTER_BANK_SQUARE_ROOT_H
#define MCU_SIGNAL_FILTER_BANK_SQUARE_ROOT_H

#include "base.h"

/* Rounded up where the rest is above the root, unless it fills its bits: 16 of a number below 2^32, else 32. */
static inline uint32_t mcu_root_64(uint64_t value)
{
    uint64_t root = 0, rest = value;
    for (uint64_t bit = (uint64_t)1 << 62; bit > 0; bit >>= 2) {
        const uint64_t tried = root + bit;
        root >>= 1;
        if (rest >= tried) {
            rest -= tried;
            root += bit;
        }
    }
    const uint32_t largest = value >> 32 ? 0xFFFFFFFFu : 0xFFFFu;
    return (uint32_t)root + (rest > root && root != largest);
}

MCU_NOINLINE void mcu_signal_filter_bank_square_root(int32_t count, const int8_t *in, const int8_t *bits, int8_t *out)
{
    const uint32_t shift = (uint32_t)mcu_load_32(bits) & 31u;
    for (int32_t i = 0; i < count; i++) {
        uint64_t value;
        MCU_MOVE_BYTES(&value, in + 8 * i, sizeof value);
        mcu_store_32(out + 4 * i, (int32_t)(mcu_root_64(value) >> shift));
    }
}

#endif
