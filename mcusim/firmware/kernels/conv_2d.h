/* CONV_2D: a window's inputs become a column of int16, four windows at a time, and the matrix product does the rest.

   A window lies in memory as `runs` contiguous runs of `length` bytes. Of each run, whole words of four bytes go into
   the column as they come; the 0 to 3 bytes behind them are gathered from all runs and follow at the column's end.
   Where a window reaches over the border, the input's zero point stands for what is outside. */
#ifndef MCU_CONV_2D_H
#define MCU_CONV_2D_H

#include "gemm.h"

typedef struct {
    const uint32_t *weights;
    mcu_channels channels;
    int32_t in_rows, in_cols, in_c;         /* of the whole input */
    int32_t out_c, groups;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t dilation_rows, dilation_cols;
    int32_t before_rows, before_cols;       /* padding */
    int32_t runs_a_row, run_bytes;          /* runs of a row of the window, and how long they are */
    int32_t depth, gathered_bytes;          /* of a column; at its end */
    int32_t zero_point;
} mcu_conv_2d_layer;

/* `words` words of four bytes as int16 into the column `to` of a block of four. */
MCU_INLINE mcu_word *mcu_expand(mcu_word *to, const int8_t *from, int32_t words)
{
    for (const int8_t *end = from + 4 * words; from != end; from += 4, to += 8) {
        const uint32_t v = mcu_load_word(from);
        to[0] = mcu_sxtb16(v);
        to[4] = mcu_sxtb16_high(v);
    }
    return to;
}

/* As many words of padding. */
MCU_INLINE mcu_word *mcu_expand_padding(mcu_word *to, int32_t zero_point, int32_t words)
{
    const uint32_t pair = ((uint32_t)zero_point & 0xFFFFu) | (uint32_t)zero_point << 16;
    for (mcu_word *end = to + 8 * words; to != end; to += 4) {
        *to = pair;
    }
    return to;
}

/* Where the window of one output lies. */
typedef struct {
    int32_t top, left;
    int32_t channel;
} mcu_window;

static inline int32_t mcu_is_inside(const mcu_conv_2d_layer *l, int32_t row, int32_t col)
{
    return row >= 0 && row < l->in_rows && col >= 0 && col < l->in_cols;
}

/* The column of a window that reaches over the border. `gathered`: room for what is gathered, and for one run. */
MCU_NOINLINE void mcu_column_at_border(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_window *at,
                                       mcu_word *to, int8_t *gathered)
{
    const int32_t pixels = l->kernel_cols / l->runs_a_row, pixel_bytes = l->run_bytes / pixels;
    int8_t *tail = gathered, *run = gathered + l->gathered_bytes;
    for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
        const int32_t row = at->top + ky * l->dilation_rows;
        for (int32_t kx = 0; kx < l->kernel_cols;) {
            for (int32_t x = 0; x < pixels; x++, kx++) {
                const int32_t col = at->left + kx * l->dilation_cols;
                const int32_t is_inside = mcu_is_inside(l, row, col);
                const int8_t *from = is_inside ? mcu_in_at(in, row, col, l->in_c) + at->channel : 0;
                if (pixel_bytes % 4 != 0) {
                    for (int32_t k = 0; k < pixel_bytes; k++) {
                        run[x * pixel_bytes + k] = (int8_t)(is_inside ? from[k] : l->zero_point);
                    }
                } else if (is_inside) {
                    to = mcu_expand(to, from, pixel_bytes >> 2);
                } else {
                    to = mcu_expand_padding(to, l->zero_point, pixel_bytes >> 2);
                }
            }
            if (pixel_bytes % 4 != 0) {
                to = mcu_expand(to, run, l->run_bytes >> 2);
                for (int32_t k = l->run_bytes & ~3; k < l->run_bytes; k++) {
                    *tail++ = run[k];
                }
            }
        }
    }
    mcu_expand(to, gathered, l->gathered_bytes >> 2);
}

/* The column of a window that is all inside. */
MCU_NOINLINE void mcu_column_inside(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_window *at, mcu_word *to,
                                    int8_t *gathered)
{
    const int32_t words = l->run_bytes >> 2, rest = l->run_bytes & 3;
    int8_t *tail = gathered;
    for (int32_t ky = 0; ky < l->kernel_rows; ky++) {
        const int8_t *from = mcu_in_at(in, at->top + ky * l->dilation_rows, at->left, l->in_c) + at->channel;
        for (int32_t i = 0; i < l->runs_a_row; i++, from += l->dilation_cols * l->in_c) {
            to = mcu_expand(to, from, words);
            for (int32_t k = 0; k < rest; k++) {
                *tail++ = from[4 * words + k];
            }
        }
    }
    mcu_expand(to, gathered, l->gathered_bytes >> 2);
}

MCU_INLINE void mcu_column(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_window *at, mcu_word *to,
                           int8_t *gathered)
{
    const int32_t bottom = at->top + (l->kernel_rows - 1) * l->dilation_rows;
    const int32_t right = at->left + (l->kernel_cols - 1) * l->dilation_cols;
    if (mcu_is_inside(l, at->top, at->left) && mcu_is_inside(l, bottom, right)) {
        mcu_column_inside(l, in, at, to, gathered);
    } else {
        mcu_column_at_border(l, in, at, to, gathered);
    }
}

/* Four columns of windows of one pixel each, side by side: what 1x1 convolutions do. */
MCU_NOINLINE void mcu_columns_of_pixels(const int8_t *const *from, mcu_word *to, int32_t words)
{
    const int8_t *s0 = from[0], *s1 = from[1], *s2 = from[2], *s3 = from[3];
    for (const int8_t *end = s0 + 4 * words; s0 != end; s0 += 4, s1 += 4, s2 += 4, s3 += 4, to += 8) {
        const uint32_t v0 = mcu_load_word(s0), v1 = mcu_load_word(s1);
        const uint32_t v2 = mcu_load_word(s2), v3 = mcu_load_word(s3);
        to[0] = mcu_sxtb16(v0);
        to[1] = mcu_sxtb16(v1);
        to[2] = mcu_sxtb16(v2);
        to[3] = mcu_sxtb16(v3);
        to[4] = mcu_sxtb16_high(v0);
        to[5] = mcu_sxtb16_high(v1);
        to[6] = mcu_sxtb16_high(v2);
        to[7] = mcu_sxtb16_high(v3);
    }
}

/* `scratch`: 8 bytes for each of `depth`, then what is gathered, aligned to words. */
MCU_NOINLINE void mcu_conv_2d(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_out *out, void *scratch)
{
    mcu_word *columns = scratch;
    int8_t *gathered = (int8_t *)(columns + 2 * l->depth);
    const int32_t group_c = l->in_c / l->groups, group_out = l->out_c / l->groups;
    const int32_t group_words = (group_out + group_out % 2) * l->depth / 4;
    const int32_t is_plain = l->kernel_rows * l->kernel_cols == 1 && l->before_rows + l->before_cols == 0 &&
                             l->gathered_bytes == 0;
    int32_t row = out->first_row, col = out->first_col;
    const int32_t end_col = out->first_col + out->cols;
    for (int32_t left = out->rows * out->cols; left > 0;) {
        const int32_t pixels = left < 4 ? left : 4;
        const int8_t *from[4];
        int8_t *to[4];
        mcu_window at[4];
        from[0] = from[1] = from[2] = from[3] = 0;
        for (int32_t p = 0; p < pixels; p++) {
            at[p].top = row * l->stride_rows - l->before_rows;
            at[p].left = col * l->stride_cols - l->before_cols;
            to[p] = mcu_out_at(out, row, col, l->out_c);
            if (is_plain && mcu_is_inside(l, at[p].top, at[p].left)) {
                from[p] = mcu_in_at(in, at[p].top, at[p].left, l->in_c);
            }
            if (++col == end_col) {
                col = out->first_col;
                row++;
            }
        }
        const uint32_t *weights = l->weights;
        mcu_channels channels = l->channels;
        for (int32_t group = 0; group < l->groups; group++) {
            if (is_plain && pixels == 4) {
                const int8_t *of_group[4];
                for (int32_t p = 0; p < 4; p++) {
                    of_group[p] = from[p] + group * group_c;
                }
                mcu_columns_of_pixels(of_group, columns, l->depth >> 2);
            } else {
                for (int32_t p = 0; p < pixels; p++) {
                    at[p].channel = group * group_c;
                    mcu_column(l, in, &at[p], columns + p, gathered);
                }
            }
            MCU_FENCE();
            if (pixels == 4) {
                mcu_product_4(weights, columns, l->depth, &channels, group_out, to);
            } else if (pixels == 3) {
                mcu_product_3(weights, columns, l->depth, &channels, group_out, to);
            } else if (pixels == 2) {
                mcu_product_2(weights, columns, l->depth, &channels, group_out, to);
            } else {
                mcu_product_1(weights, columns, l->depth, &channels, group_out, to);
            }
            MCU_FENCE();
            weights += group_words;
            channels.bias += group_out + group_out % 2;
            channels.multiplier += group_out + group_out % 2;
            channels.shift += group_out + group_out % 2;
            for (int32_t p = 0; p < pixels; p++) {
                to[p] += group_out;
            }
        }
        left -= pixels;
    }
}

#endif
