/* DEPTHWISE_CONV_2D of any window, dilation and multiplier: output by output, four channels at a time where each has an
   input of its own. Taps beyond the border take no part. */
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

/* The taps of a window along an axis that lie inside: [first, end), if any. */
MCU_INLINE int32_t mcu_first_tap(int32_t start, int32_t dilation)
{
    return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

MCU_INLINE int32_t mcu_end_tap(int32_t start, int32_t dilation, int32_t kernel, int32_t size)
{
    const int32_t end = start < size ? (size - 1 - start) / dilation + 1 : 0;
    return end < kernel ? end : kernel;
}

/* The window of one output: its taps that are inside, and where the first of them lies.   weights: of that tap. */
typedef struct {
    const mcu_in *in;
    const int8_t *from, *weights;
    int32_t row, rows, cols; /* input row of the first tap; taps down and across */
    int32_t row_step, col_step;
    int32_t weights_row, weights_col;
} mcu_depthwise_window;

/* Where the taps of the next row lie.   down: which row it is. */
MCU_INLINE const int8_t *mcu_depthwise_row(const mcu_depthwise_layer *l, const mcu_depthwise_window *at, int32_t down)
{
    const mcu_in *in = at->in;
    if (in->ring) {
        return at->from + (mcu_in_at(in, at->row + down * l->dilation_rows, 0, 0) - mcu_in_at(in, at->row, 0, 0));
    }
    return at->from + down * at->row_step;
}

/* Four channels of one output. */
MCU_INLINE void mcu_depthwise_four(const mcu_depthwise_layer *l, const mcu_depthwise_window *at, int32_t channel,
                                   int8_t *to)
{
    const mcu_channels *t = &l->channels;
    const uint32_t zero = ((uint32_t)l->zero_point & 0xFFFFu) * 0x00010001u;
    const int32_t *const scale = t->scale + 2 * channel;
    int32_t a = scale[0], b = scale[2], c = scale[4], d = scale[6];
    const int8_t *w_row = at->weights + channel;
    for (int32_t down = 0; down < at->rows; down++, w_row += at->weights_row) {
        const int8_t *x = mcu_depthwise_row(l, at, down) + channel, *w = w_row;
        const int32_t step = at->col_step, next = at->weights_col;
        for (int32_t i = at->cols; i > 0; i--, x += step, w += next) {
            const uint32_t inputs = mcu_load_word(x), weights = mcu_load_word(w);
            const uint32_t even = mcu_subtract_halves(mcu_sxtb16(inputs), zero), w_even = mcu_sxtb16(weights);
            const uint32_t odd = mcu_subtract_halves(mcu_sxtb16_high(inputs), zero), w_odd = mcu_sxtb16_high(weights);
            a = mcu_smlabb(even, w_even, a);
            b = mcu_smlabb(odd, w_odd, b);
            c = mcu_smlatt(even, w_even, c);
            d = mcu_smlatt(odd, w_odd, d);
        }
    }
    int32_t sums[4] = {a, b, c, d};
    for (int32_t i = 0; i < 4; i++) {
        to[channel + i] = (int8_t)mcu_requantised(t, sums[i], channel + i);
    }
}

/* One channel of one output, of input `source`. */
MCU_INLINE void mcu_depthwise_one(const mcu_depthwise_layer *l, const mcu_depthwise_window *at, int32_t channel,
                                  int32_t source, int8_t *to)
{
    uint32_t sum = (uint32_t)l->channels.scale[2 * channel];
    const int32_t zero_point = l->zero_point;
    const int8_t *w_row = at->weights + channel;
    for (int32_t down = 0; down < at->rows; down++, w_row += at->weights_row) {
        const int8_t *x = mcu_depthwise_row(l, at, down) + source, *w = w_row;
        const int32_t step = at->col_step, next = at->weights_col;
        for (int32_t i = at->cols; i > 0; i--, x += step, w += next) {
            sum += (uint32_t)(*w * (*x - zero_point));
        }
    }
    to[channel] = (int8_t)mcu_requantised(&l->channels, (int32_t)sum, channel);
}

/* Weights: (row, column, channel). */
MCU_NOINLINE void mcu_depthwise_any(const mcu_depthwise_layer *l, const mcu_in *in, const mcu_out *out)
{
    const int32_t multiplier = l->out_c / l->in_c, fours = multiplier == 1 ? l->out_c & ~3 : 0;
    const int32_t is_column = l->kernel_cols == 1 && !in->ring; /* as good as a row of taps */
    const int32_t row_step = l->dilation_rows * in->pitch, weights_row = l->kernel_cols * l->out_c;
    mcu_depthwise_window at = {in, in->bytes, l->weights, 0, 0, 0, row_step, l->dilation_cols * l->in_c,
                               weights_row, l->out_c};
    if (is_column) {
        at.col_step = row_step;
        at.weights_col = weights_row;
    }
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        const int32_t top = row * l->stride_rows - l->before_rows;
        const int32_t first_row = mcu_first_tap(top, l->dilation_rows);
        const int32_t rows = mcu_end_tap(top, l->dilation_rows, l->kernel_rows, l->in_rows) - first_row;
        int8_t *to = mcu_out_at(out, row, out->first_col, l->out_c);
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++, to += l->out_c) {
            const int32_t left = col * l->stride_cols - l->before_cols;
            const int32_t first_col = mcu_first_tap(left, l->dilation_cols);
            at.cols = mcu_end_tap(left, l->dilation_cols, l->kernel_cols, l->in_cols) - first_col;
            at.rows = at.cols > 0 ? rows : 0;
            if (at.rows > 0) {
                at.row = top + first_row * l->dilation_rows;
                at.from = mcu_in_at(in, at.row, left + first_col * l->dilation_cols, l->in_c);
                at.weights = l->weights + first_row * weights_row + first_col * l->out_c;
                if (is_column) {
                    at.cols = rows;
                    at.rows = 1;
                }
            }
            for (int32_t k = 0; k < fours; k += 4) {
                mcu_depthwise_four(l, &at, k, to);
            }
            for (int32_t k = fours, source = fours, same = multiplier; k < l->out_c; k++) {
                mcu_depthwise_one(l, &at, k, source, to);
                if (--same == 0) {
                    same = multiplier;
                    source++;
                }
            }
        }
    }
}

#endif
