/* FULLY_CONNECTED whose weights the network computes: as they lie, (units, inputs). */
#ifndef MCU_DENSE_COMPUTED_H
#define MCU_DENSE_COMPUTED_H

#include "base.h"

typedef struct {
    int32_t depth, units, rows;
    int32_t zero_point, weights_zero_point;
    mcu_stage stage;
} mcu_dense_computed_layer;

/* bias: 4 bytes a unit; NULL for none. */
MCU_NOINLINE void mcu_dense_computed(const mcu_dense_computed_layer *l, const int8_t *in, const int8_t *weights,
                                     const int8_t *bias, int8_t *out)
{
    for (int32_t row = 0; row < l->rows; row++, in += l->depth) {
        for (int32_t unit = 0; unit < l->units; unit++) {
            const int8_t *w = weights + unit * l->depth;
            uint32_t sum = bias ? mcu_load_word(bias + 4 * unit) : 0;
            for (int32_t i = 0; i < l->depth; i++) {
                sum += (uint32_t)((in[i] - l->zero_point) * (w[i] - l->weights_zero_point));
            }
            *out++ = (int8_t)mcu_staged((int32_t)sum, &l->stage);
        }
    }
}

#endif
