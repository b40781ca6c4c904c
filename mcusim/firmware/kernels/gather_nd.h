/* GATHER_ND: slices of a tensor, picked by several axes at once. */
#ifndef MCU_GATHER_ND_H
#define MCU_GATHER_ND_H

#include "base.h"

#define MCU_PICKED_AXES 8

/* sizes: of the axes that are picked by.   steps: bytes from one place of each to the next. */
typedef struct {
    int32_t positions, axes, position_bytes, slice_bytes;
    int32_t sizes[MCU_PICKED_AXES], steps[MCU_PICKED_AXES];
} mcu_gather_nd_layer;

/* Positions outside of an axis, which only an input of the network can ask for, show its nearest end. */
static inline void mcu_gather_nd(const mcu_gather_nd_layer *l, const int8_t *in, const int8_t *positions, int8_t *out)
{
    for (int32_t i = 0; i < l->positions; i++, out += l->slice_bytes) {
        const int8_t *from = in;
        for (int32_t axis = 0; axis < l->axes; axis++, positions += l->position_bytes) {
            const int32_t asked = mcu_load_position(positions, l->position_bytes);
            from += mcu_within(asked, 0, l->sizes[axis] - 1) * l->steps[axis];
        }
        memcpy(out, from, (uint32_t)l->slice_bytes);
    }
}

#endif
