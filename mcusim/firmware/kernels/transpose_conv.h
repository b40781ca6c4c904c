/* TRANSPOSE_CONV: an output sums what the input places spread over it. */
#ifndef MCU_TRANSPOSE_CONV_H
#define MCU_TRANSPOSE_CONV_H

#include "scatter.h"

typedef struct {
    const int8_t *weights;      /* OHWI */
    mcu_channels channels;
    int32_t in_rows, in_cols, in_c, out_c;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t before_rows, before_cols;
    int32_t zero_point;
} mcu_transpose_conv_layer;

MCU_NOINLINE void mcu_transpose_conv(const mcu_transpose_conv_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t row_step = l->stride_rows * l->kernel_cols * l->in_c, col_step = l->stride_cols * l->in_c;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        const mcu_under rows = mcu_taps_under(row, l->before_rows, l->kernel_rows, l->stride_rows, l->in_rows);
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const mcu_under cols = mcu_taps_under(col, l->before_cols, l->kernel_cols, l->stride_cols, l->in_cols);
            int8_t *to = mcu_out_at(out, row, col, l->out_c);
            for (int32_t k = 0; k < l->out_c; k++) {
                const int8_t *w_row =
                    l->weights + ((k * l->kernel_rows + rows.first) * l->kernel_cols + cols.first) * l->in_c;
                uint32_t sum = (uint32_t)l->channels.scale[2 * k];
                for (int32_t y = 0; cols.count > 0 && y < rows.count; y++, w_row += row_step) {
                    const int8_t *from = mcu_in_at(in, rows.source - y, cols.source, l->in_c), *w = w_row;
                    for (int32_t x = cols.count; x > 0; x--, w += col_step, from -= l->in_c) {
                        for (int32_t i = 0; i < l->in_c; i++) {
                            sum += (uint32_t)(w[i] * (from[i] - l->zero_point));
                        }
                    }
                }
                to[k] = (int8_t)mcu_careful_output(&l->channels, (int32_t)sum, l->channels.scale[2 * k + 1],
                                                   l->channels.shift[k]);
            }
        }
    }
}

#endif
