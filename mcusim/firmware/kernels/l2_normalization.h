/* L2_NORMALIZATION of int8: each vector divided by its length; outputs are in units of 1/128. */
#ifndef MCU_L2_NORMALIZATION_H
#define MCU_L2_NORMALIZATION_H

#include "fixed_point.h"

/* 1 / sqrt(x) = multiplier * 2^(shift - 31); below 2 it counts as 1. Five steps of Newton and Raphson, Q3.28. */
static inline int32_t mcu_inverse_root(int32_t x, int32_t *shift)
{
    if (x <= 1) {
        *shift = 0;
        return INT32_MAX;
    }
    int32_t right = 11;
    while (x >= 1 << 29) {
        x /= 4;
        right++;
    }
    const int32_t pairs = (mcu_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    right -= pairs;
    const int32_t number = (int32_t)(((uint32_t)x << (2 * pairs)) >> 1);
    const int32_t half = mcu_divide_by_power(number, 1);
    int32_t root = 1 << 28;
    for (int32_t i = 0; i < 5; i++) {
        const int32_t cube = mcu_shift_saturating(mcu_multiply_high(mcu_multiply_high(root, root), root), 6);
        const int32_t part = mcu_multiply_high((1 << 28) + (1 << 27), root) - mcu_multiply_high(half, cube);
        root = mcu_shift_saturating(part, 3);
    }
    root = mcu_multiply_high(root, 1518500250); /* half of the square root of 2 */
    *shift = right > 0 ? -right : 0;
    return right < 0 ? (int32_t)((uint32_t)root << -right) : root;
}

static inline void mcu_l2_normalization(int32_t zero_point, const int8_t *in, int8_t *out, int32_t vectors,
                                        int32_t depth)
{
    for (; vectors > 0; vectors--, in += depth, out += depth) {
        uint32_t squares = 0;
        for (int32_t i = 0; i < depth; i++) {
            squares += (uint32_t)((in[i] - zero_point) * (in[i] - zero_point));
        }
        int32_t shift;
        const int32_t multiplier = mcu_inverse_root((int32_t)squares, &shift);
        for (int32_t i = 0; i < depth; i++) {
            out[i] = (int8_t)mcu_clamp(mcu_rescale(in[i] - zero_point, multiplier, shift + 7), -128, 127);
        }
    }
}

#endif
