/* LEAKY_RELU of int16. */
#ifndef MCU_LEAKY_RELU_16_H
#define MCU_LEAKY_RELU_16_H

#include "base.h"

typedef struct {
    int32_t zero_point;
    mcu_stage identity;
    mcu_stage slope;
} mcu_leaky_relu_layer;

static inline void mcu_leaky_relu_16(const mcu_leaky_relu_layer *l, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        const int32_t x = mcu_load_16(in) - l->zero_point;
        mcu_store_16(out, mcu_staged(x, x >= 0 ? &l->identity : &l->slope));
    }
}

#endif
