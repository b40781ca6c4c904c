/* RESIZE_BILINEAR: each output mixes four inputs, by how far it lies between them in units of 1 / 1024. */
#ifndef MCU_RESIZE_BILINEAR_H
#define MCU_RESIZE_BILINEAR_H

#include "base.h"

/* places: of each output row, then of each output column: the two inputs that it mixes, and how far it lies beyond the
   first of them. */
typedef struct {
    const int16_t *rows, *cols;
    int32_t channels;
} mcu_resize_bilinear_layer;

/* Four inputs mixed, the nearest integer, ties away from zero. */
MCU_INLINE int32_t mcu_mixed(int32_t upper_left, int32_t upper_right, int32_t lower_left, int32_t lower_right,
                             int32_t down, int32_t right)
{
    const int64_t mixed = (int64_t)upper_left * (1024 - down) * (1024 - right) +
                          (int64_t)lower_left * down * (1024 - right) + (int64_t)upper_right * (1024 - down) * right +
                          (int64_t)lower_right * down * right;
    const int64_t half = (int64_t)1 << 19;
    return (int32_t)(mixed > 0 ? (mixed + half) / (1 << 20) : (mixed - half) / (1 << 20));
}

/* element_bytes: 1 or 2. */
MCU_INLINE void mcu_resize_bilinear_of(const mcu_resize_bilinear_layer *l, const mcu_in *in, const mcu_out *out,
                                       int32_t element_bytes)
{
    const int32_t pixel = element_bytes * l->channels;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        const int16_t *r = l->rows + 3 * row;
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const int16_t *c = l->cols + 3 * col;
            const int8_t *upper_left = mcu_in_at(in, r[0], c[0], pixel);
            const int8_t *upper_right = mcu_in_at(in, r[0], c[1], pixel);
            const int8_t *lower_left = mcu_in_at(in, r[1], c[0], pixel);
            const int8_t *lower_right = mcu_in_at(in, r[1], c[1], pixel);
            int8_t *to = mcu_out_at(out, row, col, pixel);
            for (int32_t k = 0; k < pixel; k += element_bytes) {
                if (element_bytes == 2) {
                    mcu_store_16(to + k, mcu_mixed(mcu_load_16(upper_left + k), mcu_load_16(upper_right + k),
                                                   mcu_load_16(lower_left + k), mcu_load_16(lower_right + k), r[2],
                                                   c[2]));
                } else {
                    to[k] = (int8_t)mcu_mixed(upper_left[k], upper_right[k], lower_left[k], lower_right[k], r[2], c[2]);
                }
            }
        }
    }
}

static inline void mcu_resize_bilinear(const mcu_resize_bilinear_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_resize_bilinear_of(l, in, out, 1);
}

static inline void mcu_resize_bilinear_16(const mcu_resize_bilinear_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_resize_bilinear_of(l, in, out, 2);
}

#endif
