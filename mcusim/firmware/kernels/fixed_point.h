/* Reciprocals in fixed point, as gemmlowp computes them: Q0.31 unless said otherwise. */
#ifndef MCU_FIXED_POINT_H
#define MCU_FIXED_POINT_H

#include "base.h"

MCU_INLINE int32_t mcu_leading_zeros(uint32_t value)
{
    int32_t zeros = 0;
    while (zeros < 32 && !(value & 0x80000000u >> zeros)) {
        zeros++;
    }
    return zeros;
}

/* value * 2^exponent, kept inside 32 bits. */
MCU_INLINE int32_t mcu_shift_saturating(int32_t value, int32_t exponent)
{
    return mcu_clamp((int64_t)((uint64_t)(int64_t)value << exponent), INT32_MIN, INT32_MAX);
}

/* 1 / (1 + x) for x in [0, 1]: three steps of Newton and Raphson. */
static inline int32_t mcu_one_over_one_plus(int32_t x)
{
    const int64_t total = (int64_t)x + INT32_MAX;
    const int32_t half = (int32_t)(total >= 0 ? (total + 1) / 2 : -((1 - total) / 2));
    int32_t y = mcu_add_wrapping(1515870810, mcu_multiply_high(half, -1010580540));
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - mcu_multiply_high(half, y);
        y = mcu_add_wrapping(y, mcu_shift_saturating(mcu_multiply_high(y, error), 2));
    }
    return mcu_shift_saturating(y, 1);
}

/* 1 / value for a positive number of `integer_bits`; *bits: of it above 1.0. */
static inline int32_t mcu_reciprocal(int32_t value, int32_t integer_bits, int32_t *bits)
{
    const int32_t headroom = mcu_leading_zeros((uint32_t)value);
    *bits = integer_bits - headroom;
    return mcu_one_over_one_plus((int32_t)(((uint32_t)value << headroom) - 0x80000000u));
}

#endif
