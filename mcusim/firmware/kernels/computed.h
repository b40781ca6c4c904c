/* Convolutions whose weights the network computes: output by output, as the weights lie. */
#ifndef MCU_COMPUTED_H
#define MCU_COMPUTED_H

#include "base.h"

/* What a channel's weights are, and where they meet the input. */
typedef enum {
    MCU_OF_GROUPS = 0,  /* (channel, row, column, input of its group) */
    MCU_OF_ONE = 1,     /* (row, column, channel): each sees one input channel */
    MCU_SPREAD = 2      /* (channel, row, column, input), and an output sums what the input places spread over it */
} mcu_computed_way;

typedef struct {
    const int32_t *multiplier;
    const int8_t *shift;
    mcu_computed_way way;
    int32_t bias_bytes, is_wide;    /* wide: activations of int16, sums of 64 bits */
    int32_t in_rows, in_cols, in_c, out_c, groups;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t dilation_rows, dilation_cols;
    int32_t before_rows, before_cols;
    int32_t in_bytes;               /* of an element of the activations */
    int32_t in_zero_point, zero_point, lowest, highest;
} mcu_computed_layer;

/* Where tap `tap` of output `place` meets the input; -1 where it does not. */
static inline int32_t mcu_computed_place(mcu_computed_way way, int32_t place, int32_t tap, int32_t before,
                                         int32_t stride, int32_t dilation, int32_t size)
{
    int32_t at = place * stride - before + tap * dilation;
    if (way == MCU_SPREAD) {
        const int32_t shifted = place + before - tap;
        at = shifted >= 0 && shifted % stride == 0 ? shifted / stride : -1;
    }
    return at >= 0 && at < size ? at : -1;
}

static inline int64_t mcu_computed_bias(const mcu_computed_layer *l, const int8_t *bias, int32_t channel)
{
    if (!bias) {
        return 0;
    }
    const int8_t *from = bias + l->bias_bytes * channel;
    if (l->bias_bytes == 2) {
        return mcu_load_16(from);
    }
    if (l->bias_bytes == 4) {
        return mcu_load_32(from);
    }
    int64_t wide;
    MCU_MOVE_BYTES(&wide, from, sizeof wide);
    return wide;
}

/* bias: NULL for none. */
MCU_NOINLINE void mcu_conv_computed(const mcu_computed_layer *l, const int8_t *weights, const int8_t *bias,
                                    const mcu_in *in, const mcu_out *out)
{
    const int32_t group_c = l->way == MCU_OF_ONE ? 1 : l->in_c / l->groups, group_out = l->out_c / l->groups;
    const int32_t is_one = l->way == MCU_OF_ONE, multiplier = l->out_c / l->in_c;
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            int8_t *to = mcu_out_at(out, row, col, l->in_bytes * l->out_c);
            for (int32_t k = 0; k < l->out_c; k++) {
                const int32_t first = is_one ? k / multiplier : k / group_out * group_c;
                uint64_t sum = (uint64_t)mcu_computed_bias(l, bias, k);
                for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
                    const int32_t y = mcu_computed_place(l->way, row, ky, l->before_rows, l->stride_rows,
                                                         l->dilation_rows, l->in_rows);
                    for (int32_t kx = 0; y >= 0 && kx < l->kernel_cols; kx++) {
                        const int32_t x = mcu_computed_place(l->way, col, kx, l->before_cols, l->stride_cols,
                                                             l->dilation_cols, l->in_cols);
                        const int32_t tap = ky * l->kernel_cols + kx;
                        const int8_t *w = weights + (is_one ? tap * l->out_c + k
                                                            : (k * l->kernel_rows * l->kernel_cols + tap) * group_c);
                        if (x < 0) {
                            continue;
                        }
                        const int8_t *from = mcu_in_at(in, y, x, l->in_bytes * l->in_c) + l->in_bytes * first;
                        for (int32_t i = 0; i < group_c; i++) {
                            const int32_t value = l->in_bytes == 2 ? mcu_load_16(from + 2 * i) : from[i];
                            sum += (uint64_t)((int64_t)w[i] * (value - l->in_zero_point));
                        }
                    }
                }
                const int32_t m = l->multiplier[k], shift = l->shift[k];
                const int64_t scaled =
                    l->is_wide ? mcu_rescale_wide((int64_t)sum, m, shift) : mcu_rescale((int32_t)(uint32_t)sum, m, shift);
                const int32_t result = mcu_clamp(scaled + l->zero_point, l->lowest, l->highest);
                if (l->in_bytes == 2) {
                    mcu_store_16(to + 2 * k, result);
                } else {
                    to[k] = (int8_t)result;
                }
            }
        }
    }
}

#endif
