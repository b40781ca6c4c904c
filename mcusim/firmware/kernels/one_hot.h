/* ONE_HOT: for each position a vector that is `on` there and `off` elsewhere. */
#ifndef MCU_ONE_HOT_H
#define MCU_ONE_HOT_H

#include "base.h"

/* Positions as (outer, inner); the vectors lie between. */
typedef struct {
    int32_t outer, depth, inner;
    int32_t position_bytes, element_bytes;
} mcu_one_hot_layer;

static inline void mcu_one_hot(const mcu_one_hot_layer *l, const int8_t *positions, const int8_t *on,
                               const int8_t *off, int8_t *out)
{
    for (int32_t o = 0; o < l->outer; o++) {
        for (int32_t k = 0; k < l->depth; k++) {
            for (int32_t i = 0; i < l->inner; i++, out += l->element_bytes) {
                const int8_t *at = positions + (o * l->inner + i) * l->position_bytes;
                memcpy(out, mcu_load_position(at, l->position_bytes) == k ? on : off, (uint32_t)l->element_bytes);
            }
        }
    }
}

#endif
