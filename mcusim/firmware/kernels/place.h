/* Moves in pieces: the part of an output region that one input shows, pixel by pixel, and what lies around it. */
#ifndef MCU_PLACE_H
#define MCU_PLACE_H

#include "base.h"

/* Output rows [first_row, end_row) show input rows from `from_row` on, every `row_step`-th; columns and channels alike.
   Channels are counted in elements. */
typedef struct {
    int32_t first_row, end_row, from_row, row_step;
    int32_t first_col, end_col, from_col, col_step;
    int32_t first_channel, channels, from_channel, channel_step;
    int32_t element_bytes;
    int32_t in_pixel_bytes, out_pixel_bytes;
} mcu_place_layer;

static inline void mcu_place(const mcu_place_layer *l, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            if (row < l->first_row || row >= l->end_row || col < l->first_col || col >= l->end_col) {
                continue;
            }
            const int32_t from_row = l->from_row + (row - l->first_row) * l->row_step;
            const int32_t from_col = l->from_col + (col - l->first_col) * l->col_step;
            const int8_t *from = mcu_in_at(in, from_row, from_col, l->in_pixel_bytes);
            int8_t *to = mcu_out_at(out, row, col, l->out_pixel_bytes) + l->first_channel * l->element_bytes;
            if (l->channel_step == 1) {
                memcpy(to, from + l->from_channel * l->element_bytes, (uint32_t)(l->channels * l->element_bytes));
                continue;
            }
            for (int32_t k = 0; k < l->channels; k++, to += l->element_bytes) {
                const int32_t at = (l->from_channel + k * l->channel_step) * l->element_bytes;
                for (int32_t b = 0; b < l->element_bytes; b++) {
                    to[b] = from[at + b];
                }
            }
        }
    }
}

/* Every element of the region to `value`. */
static inline void mcu_place_value(const mcu_out *out, int32_t value, int32_t element_bytes, int32_t pixel_bytes)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        int8_t *to = mcu_out_at(out, row, out->first_col, pixel_bytes);
        for (int32_t i = 0; i < out->cols * pixel_bytes; i++) {
            to[i] = (int8_t)(uint8_t)((uint32_t)value >> (8 * (i % element_bytes)) & 0xFFu);
        }
    }
}

#endif
