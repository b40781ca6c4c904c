/* ARG_MAX and ARG_MIN: the place of the first of the extreme elements along an axis. */
#ifndef MCU_EXTREME_H
#define MCU_EXTREME_H

#include "convert.h"

typedef struct {
    int32_t outer, size, inner;
    int32_t is_largest;
    mcu_type from_type;
    int32_t out_bytes;
} mcu_extreme_layer;

static inline void mcu_extreme(const mcu_extreme_layer *l, const int8_t *in, int8_t *out)
{
    const int32_t bytes = mcu_bytes_of(l->from_type);
    for (int32_t o = 0; o < l->outer; o++) {
        for (int32_t i = 0; i < l->inner; i++, out += l->out_bytes) {
            const int8_t *from = in + (o * l->size * l->inner + i) * bytes;
            int32_t best = mcu_read(l->from_type, from), place = 0;
            for (int32_t k = 1; k < l->size; k++) {
                const int32_t v = mcu_read(l->from_type, from + k * l->inner * bytes);
                if (l->is_largest ? v > best : v < best) {
                    best = v;
                    place = k;
                }
            }
            memset(out, 0, (uint32_t)l->out_bytes);
            mcu_store_32(out, place);
        }
    }
}

#endif
