/* GATHER: places of one axis, by positions. */
#ifndef MCU_GATHER_H
#define MCU_GATHER_H

#include "base.h"

/* A tensor as (batches, outer, size, inner): positions are shared by the outer places of a batch. */
typedef struct {
    int32_t batches, outer, size, inner_bytes, positions;
    int32_t position_bytes;
} mcu_gather_layer;

/* Positions outside of the axis, which only an input of the network can ask for, show its nearest end. */
static inline void mcu_gather(const mcu_gather_layer *l, const int8_t *in, const int8_t *positions, int8_t *out)
{
    for (int32_t batch = 0; batch < l->batches; batch++) {
        for (int32_t o = 0; o < l->outer; o++, in += l->size * l->inner_bytes) {
            const int8_t *at = positions + batch * l->positions * l->position_bytes;
            for (int32_t i = 0; i < l->positions; i++, at += l->position_bytes, out += l->inner_bytes) {
                const int32_t asked = mcu_load_position(at, l->position_bytes);
                memcpy(out, in + mcu_within(asked, 0, l->size - 1) * l->inner_bytes, (uint32_t)l->inner_bytes);
            }
        }
    }
}

#endif
