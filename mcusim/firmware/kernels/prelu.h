/* PRELU: x where it is positive, alpha * x elsewhere. */
#ifndef MCU_PRELU_H
#define MCU_PRELU_H

#include "base.h"

typedef struct {
    int32_t zero_points[2];
    mcu_stage identity;
    mcu_stage slope;
} mcu_prelu_layer;

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_prelu(const mcu_prelu_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                             int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        const int32_t x = *a - l->zero_points[0];
        out[i] = (int8_t)(x >= 0 ? mcu_staged(x, &l->identity)
                                 : mcu_staged(x * (*b - l->zero_points[1]), &l->slope));
    }
}

#endif
