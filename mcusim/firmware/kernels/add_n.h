/* ADD_N of int8: inputs of one scale, summed with headroom, brought to the output's. */
#ifndef MCU_ADD_N_H
#define MCU_ADD_N_H

#include "base.h"

/* start: what every sum begins with.   zero_point, multiplier, shift: of the inputs. */
typedef struct {
    int32_t inputs, start;
    int32_t zero_point, multiplier, shift;
    mcu_stage stage;
} mcu_add_n_layer;

static inline void mcu_add_n(const mcu_add_n_layer *l, const int8_t *const *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t sum = l->start;
        for (int32_t k = 0; k < l->inputs; k++) {
            const int32_t x = (int32_t)((uint32_t)(in[k][i] - l->zero_point) << 20);
            sum = mcu_add_wrapping(sum, mcu_rescale(x, l->multiplier, l->shift));
        }
        out[i] = (int8_t)mcu_staged(sum, &l->stage);
    }
}

#endif
