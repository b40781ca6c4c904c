/* Operators that only move elements: a box of `axes` axes, each with a step through the output and through the input. */
#ifndef MCU_MOVE_H
#define MCU_MOVE_H

#include "base.h"

#define MCU_MOVE_AXES 8

/* sizes: elements along each axis.   to, from: bytes from one to the next. The innermost axis comes last. */
typedef struct {
    int32_t axes;
    int32_t element_bytes;
    int32_t sizes[MCU_MOVE_AXES];
    int32_t to[MCU_MOVE_AXES];
    int32_t from[MCU_MOVE_AXES];
} mcu_move_layer;

MCU_NOINLINE void mcu_move(const mcu_move_layer *l, const int8_t *in, int8_t *out)
{
    const int32_t inner = l->axes - 1, count = l->sizes[inner];
    const int32_t is_run = l->to[inner] == l->element_bytes && l->from[inner] == l->element_bytes;
    int32_t place[MCU_MOVE_AXES] = {0}, to = 0, from = 0;
    for (;;) {
        if (is_run) {
            memcpy(out + to, in + from, (uint32_t)(count * l->element_bytes));
        } else {
            for (int32_t i = 0; i < count; i++) {
                for (int32_t k = 0; k < l->element_bytes; k++) {
                    out[to + i * l->to[inner] + k] = in[from + i * l->from[inner] + k];
                }
            }
        }
        int32_t axis = inner - 1;
        for (; axis >= 0; axis--) {
            to += l->to[axis];
            from += l->from[axis];
            if (++place[axis] < l->sizes[axis]) {
                break;
            }
            to -= l->sizes[axis] * l->to[axis];
            from -= l->sizes[axis] * l->from[axis];
            place[axis] = 0;
        }
        if (axis < 0) {
            return;
        }
    }
}

/* All bytes of `count` elements to one value. */
static inline void mcu_fill(int8_t *out, int32_t value, int32_t element_bytes, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < element_bytes; k++) {
            out[i * element_bytes + k] = (int8_t)(uint8_t)((uint32_t)value >> (8 * k) & 0xFFu);
        }
    }
}

#endif
