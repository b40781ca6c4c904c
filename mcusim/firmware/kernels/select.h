/* SELECT_V2: elements of `a` where a condition holds, of `b` elsewhere. */
#ifndef MCU_SELECT_H
#define MCU_SELECT_H

#include "base.h"

#define MCU_SELECT_AXES 6

/* steps: bytes from one place of an axis to the next, of condition, a and b; 0 where one serves all. */
typedef struct {
    int32_t axes, element_bytes;
    int32_t sizes[MCU_SELECT_AXES], steps[3][MCU_SELECT_AXES];
} mcu_select_layer;

static inline void mcu_select(const mcu_select_layer *l, const int8_t *condition, const int8_t *a, const int8_t *b,
                              int8_t *out)
{
    int32_t place[MCU_SELECT_AXES] = {0};
    for (;;) {
        memcpy(out, *condition ? a : b, (uint32_t)l->element_bytes);
        out += l->element_bytes;
        int32_t axis = l->axes - 1;
        for (; axis >= 0; axis--) {
            const int32_t back = ++place[axis] < l->sizes[axis] ? 0 : l->sizes[axis];
            condition += l->steps[0][axis] * (1 - back);
            a += l->steps[1][axis] * (1 - back);
            b += l->steps[2][axis] * (1 - back);
            if (!back) {
                break;
            }
            place[axis] = 0;
        }
        if (axis < 0) {
            return;
        }
    }
}

#endif
