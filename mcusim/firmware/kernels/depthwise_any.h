/* DEPTHWISE_CONV_2D of any window, dilation and multiplier. */
#ifndef MCU_DEPTHWISE_ANY_H
#define MCU_DEPTHWISE_ANY_H

#include "base.h"

typedef struct {
    const int8_t *weights;
    mcu_channels channels;
    int32_t in_rows, in_cols, in_c, out_c;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t dilation_rows, dilation_cols;
    int32_t before_rows, before_cols;
    int32_t zero_point;
} mcu_depthwise_layer;

/* The sum of one channel at one place, all of whose taps are inside.   from: its first tap. */
MCU_INLINE uint32_t mcu_depthwise_inside(const mcu_depthwise_layer *l, const mcu_in *in, const int8_t *from, int32_t top,
                                         const int8_t *w, uint32_t sum)
{
    const int32_t row_step = l->dilation_rows * in->pitch;
    int32_t step = l->dilation_cols * l->in_c, rows = l->kernel_rows, cols = l->kernel_cols;
    if (cols == 1 && !in->ring) { /* a column of taps is as good as a row */
        step = row_step;
        cols = rows;
        rows = 1;
    }
    const int8_t *row = from;
    for (int32_t ky = 0; ky < rows; ky++) {
        if (in->ring) {
            row = from + (mcu_in_at(in, top + ky * l->dilation_rows, 0, 0) - mcu_in_at(in, top, 0, 0));
        }
        const int8_t *x = row;
        for (const int8_t *const end = w + cols; w != end; w++, x += step) {
            sum += (uint32_t)(*w * *x);
        }
        row += row_step;
    }
    return sum;
}

/* Weights: (channel, row, column). The bias has the input's zero point in it, as if all taps were inside. */
MCU_NOINLINE void mcu_depthwise_any(const mcu_depthwise_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t multiplier = l->out_c / l->in_c, taps = l->kernel_rows * l->kernel_cols;
    const int32_t last_row = l->in_rows - 1 - (l->kernel_rows - 1) * l->dilation_rows;
    const int32_t last_col = l->in_cols - 1 - (l->kernel_cols - 1) * l->dilation_cols;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const int32_t top = row * l->stride_rows - l->before_rows;
            const int32_t left = col * l->stride_cols - l->before_cols;
            int8_t *to = mcu_out_at(out, row, col, l->out_c);
            if (top >= 0 && top <= last_row && left >= 0 && left <= last_col) {
                const int8_t *from = mcu_in_at(in, top, left, l->in_c), *w = l->weights;
                for (int32_t k = 0, same = multiplier; k < l->out_c; k++, w += taps) {
                    const uint32_t sum = mcu_depthwise_inside(l, in, from, top, w, (uint32_t)l->channels.scale[2 * k]);
                    to[k] = (int8_t)mcu_careful(&l->channels, (int32_t)sum, k);
                    if (--same == 0) {
                        same = multiplier;
                        from++;
                    }
                }
                continue;
            }
            for (int32_t k = 0; k < l->out_c; k++) {
                const int8_t *w = l->weights + k * taps;
                uint32_t sum = (uint32_t)l->channels.scale[2 * k];
                for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
                    const int32_t y = top + ky * l->dilation_rows;
                    for (int32_t kx = 0; kx < l->kernel_cols; kx++, w++) {
                        const int32_t x = left + kx * l->dilation_cols;
                        const int32_t is_inside = y >= 0 && y < l->in_rows && x >= 0 && x < l->in_cols;
                        sum += (uint32_t)(*w * (is_inside ? mcu_in_at(in, y, x, l->in_c)[k / multiplier]
                                                          : l->zero_point));
                    }
                }
                to[k] = (int8_t)mcu_careful(&l->channels, (int32_t)sum, k);
            }
        }
    }
}

#endif
