/* EQUAL, LESS and their kin of int8: each input by its own scale. */
#ifndef MCU_RELATION_H
#define MCU_RELATION_H

#include "base.h"

typedef enum { MCU_EQUAL, MCU_NOT_EQUAL, MCU_LESS, MCU_LESS_EQUAL, MCU_GREATER, MCU_GREATER_EQUAL } mcu_relation;

typedef struct {
    mcu_relation relation;
    int32_t left_shift;
    int32_t zero_points[2], multipliers[2], shifts[2];
} mcu_relation_layer;

MCU_INLINE int32_t mcu_holds(mcu_relation relation, int32_t a, int32_t b)
{
    switch (relation) {
    case MCU_EQUAL:
        return a == b;
    case MCU_NOT_EQUAL:
        return a != b;
    case MCU_LESS:
        return a < b;
    case MCU_LESS_EQUAL:
        return a <= b;
    case MCU_GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_relate(const mcu_relation_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                              int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        const int32_t x = (int32_t)((uint32_t)(*a - l->zero_points[0]) << l->left_shift);
        const int32_t y = (int32_t)((uint32_t)(*b - l->zero_points[1]) << l->left_shift);
        out[i] = (int8_t)mcu_holds(l->relation, mcu_rescale(x, l->multipliers[0], l->shifts[0]),
                                   mcu_rescale(y, l->multipliers[1], l->shifts[1]));
    }
}

#endif
