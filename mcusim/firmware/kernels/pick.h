/* Output element (row, col, channel) shows the input element at places[row], places[col], places[channel]. */
#ifndef MCU_PICK_H
#define MCU_PICK_H

#include "base.h"

/* channels: 0 where pixels are copied whole. */
typedef struct {
    const uint16_t *rows, *cols, *channels;
    int32_t in_pixel_bytes, out_pixel_bytes, element_bytes;
} mcu_pick_layer;

static inline void mcu_pick(const mcu_pick_layer *l, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const int8_t *from = mcu_in_at(in, l->rows[row], l->cols[col], l->in_pixel_bytes);
            int8_t *to = mcu_out_at(out, row, col, l->out_pixel_bytes);
            if (!l->channels) {
                memcpy(to, from, (uint32_t)l->out_pixel_bytes);
                continue;
            }
            for (int32_t k = 0; k < l->out_pixel_bytes; k++) {
                to[k] = from[l->channels[k / l->element_bytes] * l->element_bytes + k % l->element_bytes];
            }
        }
    }
}

#endif
