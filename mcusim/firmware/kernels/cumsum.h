/* CUMSUM of int8: along an axis, the sum of everything up to a place, with headroom. */
#ifndef MCU_CUMSUM_H
#define MCU_CUMSUM_H

#include "base.h"

/* A tensor as (outer, size, inner).   start: what every sum begins with.
   zero_point, multiplier, shift: of the input. */
typedef struct {
    int32_t outer, size, inner;
    int32_t is_exclusive, is_reverse;
    int32_t start, zero_point, multiplier, shift;
    mcu_stage stage;
} mcu_cumsum_layer;

static inline void mcu_cumsum(const mcu_cumsum_layer *l, const int8_t *in, int8_t *out)
{
    for (int32_t o = 0; o < l->outer; o++) {
        for (int32_t i = 0; i < l->inner; i++) {
            int32_t sum = l->start;
            for (int32_t k = 0; k < l->size; k++) {
                const int32_t along = l->is_reverse ? l->size - 1 - k : k;
                const int32_t at = (o * l->size + along) * l->inner + i;
                const int32_t x = (int32_t)((uint32_t)(in[at] - l->zero_point) << 20);
                const int32_t next = mcu_add_wrapping(sum, mcu_rescale(x, l->multiplier, l->shift));
                out[at] = (int8_t)mcu_staged(l->is_exclusive ? sum : next, &l->stage);
                sum = next;
            }
        }
    }
}

#endif
