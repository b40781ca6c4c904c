/* Convolutions and dense layers of int16 activations with int8 weights.

   Sums are 64 bits wide and rescaled once by a multiplier of 16 bits; where the bias has 32 bits they are 32 bits wide
   and rescaled as int8 networks do. */
#ifndef MCU_WIDE_H
#define MCU_WIDE_H

#include "scatter.h"

typedef struct {
    const int8_t *weights;
    const void *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t is_wide;
    int32_t in_rows, in_cols, in_c, out_c, groups;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t dilation_rows, dilation_cols;
    int32_t before_rows, before_cols;
    int32_t zero_point, lowest, highest;
} mcu_wide_layer;

static inline int64_t mcu_wide_bias(const mcu_wide_layer *l, int32_t channel)
{
    return l->is_wide ? ((const int64_t *)l->bias)[channel] : ((const int32_t *)l->bias)[channel];
}

static inline void mcu_wide_store(const mcu_wide_layer *l, int64_t sum, int32_t channel, int8_t *to)
{
    const int32_t m = l->multiplier[channel], shift = l->shift[channel];
    const int64_t scaled =
        l->is_wide ? mcu_rescale_wide(sum, m, shift) : mcu_rescale((int32_t)(uint32_t)(uint64_t)sum, m, shift);
    mcu_store_16(to, mcu_clamp(scaled + l->zero_point, l->lowest, l->highest));
}

MCU_INLINE int64_t mcu_wide_dot(const int8_t *w, const int8_t *from, int32_t count)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += w[i] * mcu_load_16(from + 2 * i);
    }
    return sum;
}

static inline int32_t mcu_wide_is_inside(const mcu_wide_layer *l, int32_t row, int32_t col)
{
    return row >= 0 && row < l->in_rows && col >= 0 && col < l->in_cols;
}

MCU_NOINLINE void mcu_conv_2d_16(const mcu_wide_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t group_c = l->in_c / l->groups, group_out = l->out_c / l->groups;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            int8_t *to = mcu_out_at(out, row, col, 2 * l->out_c);
            const int8_t *w = l->weights;
            for (int32_t k = 0; k < l->out_c; k++) {
                int64_t sum = mcu_wide_bias(l, k);
                for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
                    const int32_t y = row * l->stride_rows - l->before_rows + ky * l->dilation_rows;
                    for (int32_t kx = 0; kx < l->kernel_cols; kx++, w += group_c) {
                        const int32_t x = col * l->stride_cols - l->before_cols + kx * l->dilation_cols;
                        if (mcu_wide_is_inside(l, y, x)) {
                            sum += mcu_wide_dot(w, mcu_in_at(in, y, x, 2 * l->in_c) + 2 * (k / group_out) * group_c,
                                                group_c);
                        }
                    }
                }
                mcu_wide_store(l, sum, k, to + 2 * k);
            }
        }
    }
}

/* Weights: (row, column, channel). */
MCU_NOINLINE void mcu_depthwise_conv_2d_16(const mcu_wide_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t multiplier = l->out_c / l->in_c;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            int8_t *to = mcu_out_at(out, row, col, 2 * l->out_c);
            for (int32_t k = 0; k < l->out_c; k++) {
                int64_t sum = mcu_wide_bias(l, k);
                for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
                    const int32_t y = row * l->stride_rows - l->before_rows + ky * l->dilation_rows;
                    for (int32_t kx = 0; kx < l->kernel_cols; kx++) {
                        const int32_t x = col * l->stride_cols - l->before_cols + kx * l->dilation_cols;
                        if (mcu_wide_is_inside(l, y, x)) {
                            sum += l->weights[(ky * l->kernel_cols + kx) * l->out_c + k] *
                                   mcu_load_16(mcu_in_at(in, y, x, 2 * l->in_c) + 2 * (k / multiplier));
                        }
                    }
                }
                mcu_wide_store(l, sum, k, to + 2 * k);
            }
        }
    }
}

/* `rows` rows of `in_c` inputs. */
MCU_NOINLINE void mcu_fully_connected_16(const mcu_wide_layer *l, const int8_t *in, int8_t *out, int32_t rows)
{
    for (; rows > 0; rows--, in += 2 * l->in_c) {
        for (int32_t k = 0; k < l->out_c; k++, out += 2) {
            const int64_t sum = mcu_wide_bias(l, k) + mcu_wide_dot(l->weights + k * l->in_c, in, l->in_c);
            mcu_wide_store(l, sum, k, out);
        }
    }
}

MCU_NOINLINE void mcu_transpose_conv_16(const mcu_wide_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t row_step = l->stride_rows * l->kernel_cols * l->in_c, col_step = l->stride_cols * l->in_c;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        const mcu_under rows = mcu_taps_under(row, l->before_rows, l->kernel_rows, l->stride_rows, l->in_rows);
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const mcu_under cols = mcu_taps_under(col, l->before_cols, l->kernel_cols, l->stride_cols, l->in_cols);
            int8_t *to = mcu_out_at(out, row, col, 2 * l->out_c);
            for (int32_t k = 0; k < l->out_c; k++) {
                const int8_t *w_row =
                    l->weights + ((k * l->kernel_rows + rows.first) * l->kernel_cols + cols.first) * l->in_c;
                int64_t sum = mcu_wide_bias(l, k);
                for (int32_t y = 0; cols.count > 0 && y < rows.count; y++, w_row += row_step) {
                    const int8_t *from = mcu_in_at(in, rows.source - y, cols.source, 2 * l->in_c), *w = w_row;
                    for (int32_t x = cols.count; x > 0; x--, w += col_step, from -= 2 * l->in_c) {
                        sum += mcu_wide_dot(w, from, l->in_c);
                    }
                }
                mcu_wide_store(l, sum, k, to + 2 * k);
            }
        }
    }
}

#endif
