/* RESIZE_BILINEAR of int8: each output mixes four inputs, by how far it lies between them in units of 1 / 1024. */
#ifndef MCU_RESIZE_BILINEAR_H
#define MCU_RESIZE_BILINEAR_H

#include "base.h"

/* places: of each output row, then of each output column: the two inputs that it mixes, and how far it lies beyond the
   first of them. */
typedef struct {
    const int16_t *rows, *cols;
    int32_t channels;
} mcu_resize_bilinear_layer;

static inline void mcu_resize_bilinear(const mcu_resize_bilinear_layer *l, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        const int16_t *r = l->rows + 3 * row;
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const int16_t *c = l->cols + 3 * col;
            const int32_t down = r[2], right = c[2];
            const int8_t *upper_left = mcu_in_at(in, r[0], c[0], l->channels);
            const int8_t *upper_right = mcu_in_at(in, r[0], c[1], l->channels);
            const int8_t *lower_left = mcu_in_at(in, r[1], c[0], l->channels);
            const int8_t *lower_right = mcu_in_at(in, r[1], c[1], l->channels);
            int8_t *to = mcu_out_at(out, row, col, l->channels);
            for (int32_t k = 0; k < l->channels; k++) {
                const int64_t mixed = (int64_t)upper_left[k] * (1024 - down) * (1024 - right) +
                                      (int64_t)lower_left[k] * down * (1024 - right) +
                                      (int64_t)upper_right[k] * (1024 - down) * right +
                                      (int64_t)lower_right[k] * down * right;
                const int64_t half = (int64_t)1 << 19;
                to[k] = (int8_t)(mixed > 0 ? (mixed + half) / (1 << 20) : (mixed - half) / (1 << 20));
            }
        }
    }
}

#endif
