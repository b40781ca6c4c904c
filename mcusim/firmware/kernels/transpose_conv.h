/* TRANSPOSE_CONV: an output sums what the input places spread over it. */
#ifndef MCU_TRANSPOSE_CONV_H
#define MCU_TRANSPOSE_CONV_H

#include "base.h"

typedef struct {
    const int8_t *weights;      /* OHWI */
    mcu_channels channels;
    int32_t in_rows, in_cols, in_c, out_c;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t before_rows, before_cols;
    int32_t zero_point;
} mcu_transpose_conv_layer;

/* The input place whose tap `tap` lands on output `place`; -1 where there is none. */
MCU_INLINE int32_t mcu_source_of(int32_t place, int32_t tap, int32_t before, int32_t stride, int32_t size)
{
    const int32_t shifted = place + before - tap;
    return shifted >= 0 && shifted % stride == 0 && shifted / stride < size ? shifted / stride : -1;
}

MCU_NOINLINE void mcu_transpose_conv(const mcu_transpose_conv_layer *l, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            int8_t *to = mcu_out_at(out, row, col, l->out_c);
            for (int32_t k = 0; k < l->out_c; k++) {
                uint32_t sum = (uint32_t)l->channels.scale[2 * k];
                for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
                    const int32_t y = mcu_source_of(row, ky, l->before_rows, l->stride_rows, l->in_rows);
                    for (int32_t kx = 0; y >= 0 && kx < l->kernel_cols; kx++) {
                        const int32_t x = mcu_source_of(col, kx, l->before_cols, l->stride_cols, l->in_cols);
                        if (x < 0) {
                            continue;
                        }
                        const int8_t *from = mcu_in_at(in, y, x, l->in_c);
                        const int8_t *w = l->weights + ((k * l->kernel_rows + ky) * l->kernel_cols + kx) * l->in_c;
                        for (int32_t i = 0; i < l->in_c; i++) {
                            sum += (uint32_t)(w[i] * (from[i] - l->zero_point));
                        }
                    }
                }
                to[k] = (int8_t)mcu_careful(&l->channels, (int32_t)sum, k);
            }
        }
    }
}

#endif
