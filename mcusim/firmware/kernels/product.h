/* MUL of stored integers. */
#ifndef MCU_PRODUCT_H
#define MCU_PRODUCT_H

#include "base.h"

typedef struct {
    int32_t zero_points[2];
    mcu_stage stage;
} mcu_product_layer;

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_multiply(const mcu_product_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                                int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        const int32_t product = (*a - l->zero_points[0]) * (*b - l->zero_points[1]);
        out[i] = (int8_t)mcu_staged(product, &l->stage);
    }
}

static inline void mcu_multiply_16(const mcu_product_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                                   int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 2 * a_step, b += 2 * b_step, out += 2) {
        const uint32_t x = (uint32_t)(mcu_load_16(a) - l->zero_points[0]);
        const uint32_t y = (uint32_t)(mcu_load_16(b) - l->zero_points[1]);
        mcu_store_16(out, mcu_staged((int32_t)(x * y), &l->stage));
    }
}

#endif
