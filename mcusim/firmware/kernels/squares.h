/* SQUARED_DIFFERENCE of stored integers: both brought to one scale, and the square of their difference to the output's. */
#ifndef MCU_SQUARES_H
#define MCU_SQUARES_H

#include "base.h"

typedef struct {
    int32_t left_shift;
    int32_t zero_points[2], multipliers[2], shifts[2];
    mcu_stage stage;
} mcu_squares_layer;

MCU_INLINE int32_t mcu_square(const mcu_squares_layer *l, int32_t a, int32_t b)
{
    const int32_t x = (int32_t)((uint32_t)(a - l->zero_points[0]) << l->left_shift);
    const int32_t y = (int32_t)((uint32_t)(b - l->zero_points[1]) << l->left_shift);
    const uint32_t difference = (uint32_t)mcu_rescale(x, l->multipliers[0], l->shifts[0]) -
                                (uint32_t)mcu_rescale(y, l->multipliers[1], l->shifts[1]);
    return mcu_staged((int32_t)(difference * difference), &l->stage);
}

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_squares(const mcu_squares_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                               int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        out[i] = (int8_t)mcu_square(l, *a, *b);
    }
}

static inline void mcu_squares_16(const mcu_squares_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                                  int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 2 * a_step, b += 2 * b_step, out += 2) {
        mcu_store_16(out, mcu_square(l, mcu_load_16(a), mcu_load_16(b)));
    }
}

#endif
