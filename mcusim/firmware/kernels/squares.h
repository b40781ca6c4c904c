/* SQUARED_DIFFERENCE of int8: both brought to one scale, and the square of their difference to the output's. */
#ifndef MCU_SQUARES_H
#define MCU_SQUARES_H

#include "base.h"

typedef struct {
    int32_t left_shift;
    int32_t zero_points[2], multipliers[2], shifts[2];
    mcu_stage stage;
} mcu_squares_layer;

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_squares(const mcu_squares_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                               int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        const int32_t x = (int32_t)((uint32_t)(*a - l->zero_points[0]) << l->left_shift);
        const int32_t y = (int32_t)((uint32_t)(*b - l->zero_points[1]) << l->left_shift);
        const int32_t difference =
            mcu_rescale(x, l->multipliers[0], l->shifts[0]) - mcu_rescale(y, l->multipliers[1], l->shifts[1]);
        out[i] = (int8_t)mcu_staged((int32_t)((uint32_t)difference * (uint32_t)difference), &l->stage);
    }
}

#endif
