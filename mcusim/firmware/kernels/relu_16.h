/* RELU and RELU6 of int16. */
#ifndef MCU_RELU_16_H
#define MCU_RELU_16_H

#include "base.h"

typedef struct {
    int32_t zero_point; /* of the input */
    mcu_stage stage;
} mcu_relu_layer;

static inline void mcu_relu_16(const mcu_relu_layer *l, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        mcu_store_16(out, mcu_staged(mcu_load_16(in) - l->zero_point, &l->stage));
    }
}

/* Stored values clamped: the output has the input's scale. */
static inline void mcu_clamp_16(int32_t lowest, int32_t highest, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        mcu_store_16(out, mcu_within(mcu_load_16(in), lowest, highest));
    }
}

#endif
