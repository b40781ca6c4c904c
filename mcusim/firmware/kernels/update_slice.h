/* DYNAMIC_UPDATE_SLICE: a tensor with a box of it replaced, from a place that is known when it runs. */
#ifndef MCU_UPDATE_SLICE_H
#define MCU_UPDATE_SLICE_H

#include "move.h"

/* sizes: of the box.   last: the largest start along each axis.
   steps: bytes from one place of an axis to the next. */
typedef struct {
    int32_t axes, element_bytes, start_bytes;
    uint32_t bytes;
    int32_t sizes[MCU_MOVE_AXES], last[MCU_MOVE_AXES], steps[MCU_MOVE_AXES], from[MCU_MOVE_AXES];
} mcu_update_slice_layer;

static inline void mcu_update_slice(const mcu_update_slice_layer *l, const int8_t *in, const int8_t *box,
                                    const int8_t *start, int8_t *out)
{
    mcu_move_layer moved;
    mcu_copy(out, in, l->bytes);
    moved.axes = l->axes;
    moved.element_bytes = l->element_bytes;
    for (int32_t axis = 0; axis < l->axes; axis++) {
        if (l->sizes[axis] == 0) {
            return;
        }
        const int32_t asked = mcu_load_position(start + axis * l->start_bytes, l->start_bytes);
        out += mcu_within(asked, 0, l->last[axis]) * l->steps[axis];
        moved.sizes[axis] = l->sizes[axis];
        moved.to[axis] = l->steps[axis];
        moved.from[axis] = l->from[axis];
    }
    mcu_move(&moved, box, out);
}

#endif
