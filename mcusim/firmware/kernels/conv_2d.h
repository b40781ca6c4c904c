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

#define MCU_EXPAND_FOUR(i)                                                                                             \
    do {                                                                                                               \
        const uint32_t a = mcu_load_word(from + 4 * (i)), b = mcu_load_word(from + 4 * (i) + 4);                       \
        const uint32_t c = mcu_load_word(from + 4 * (i) + 8), d = mcu_load_word(from + 4 * (i) + 12);                  \
        to[8 * (i)] = mcu_sxtb16(a);                                                                                   \
        to[8 * (i) + 4] = mcu_sxtb16_high(a);                                                                          \
        to[8 * (i) + 8] = mcu_sxtb16(b);                                                                               \
        to[8 * (i) + 12] = mcu_sxtb16_high(b);                                                                         \
        to[8 * (i) + 16] = mcu_sxtb16(c);                                                                              \
        to[8 * (i) + 20] = mcu_sxtb16_high(c);                                                                         \
        to[8 * (i) + 24] = mcu_sxtb16(d);                                                                              \
        to[8 * (i) + 28] = mcu_sxtb16_high(d);                                                                         \
    } while (0)

/* `words` words of four bytes as int16 into the column `to` of a block of four. */
MCU_INLINE mcu_word *mcu_expand(mcu_word *to, const int8_t *from, int32_t words)
{
#ifndef MCU_SMALL
    for (; words >= 12; words -= 12, from += 48, to += 96) {
        MCU_EXPAND_FOUR(0);
        MCU_EXPAND_FOUR(4);
        MCU_EXPAND_FOUR(8);
    }
#endif
    for (; words >= 4; words -= 4, from += 16, to += 32) {
        MCU_EXPAND_FOUR(0);
    }
    for (; words > 0; words--, from += 4, to += 8) {
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
                    int8_t *pixel = run + x * pixel_bytes;
                    for (int8_t *const end = pixel + pixel_bytes; pixel != end; pixel++) {
                        *pixel = (int8_t)l->zero_point;
                        if (is_inside) {
                            *pixel = *from++;
                        }
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
    const int32_t words = l->run_bytes >> 2, rest = l->run_bytes & 3, runs = l->runs_a_row;
    const int32_t row_step = l->dilation_rows * in->pitch, run_step = l->dilation_cols * l->in_c;
    const int8_t *row = mcu_in_at(in, at->top, at->left, l->in_c) + at->channel;
    int8_t *tail = gathered;
    for (int32_t ky = 0; ky < l->kernel_rows; ky++, row += row_step) {
        if (in->ring && ky > 0) {
            row = mcu_in_at(in, at->top + ky * l->dilation_rows, at->left, l->in_c) + at->channel;
        }
        const int8_t *from = row;
        for (int32_t i = runs; i > 0; i--, from += run_step) {
            to = mcu_expand(to, from, words);
            if (rest) {
                const int8_t *last = from + 4 * words;
                *tail++ = last[0];
                if (rest > 1) {
                    *tail++ = last[1];
                }
                if (rest > 2) {
                    *tail++ = last[2];
                }
            }
        }
    }
    if (rest) {
        mcu_expand(to, gathered, l->gathered_bytes >> 2);
    }
}

/* The column of a window of whole words a pixel, inside or at the border: of each of its rows the padding before the
   input, the inputs that lie side by side, and the padding behind. */
MCU_NOINLINE void mcu_column_of_words(const mcu_conv_2d_layer *l, const mcu_in *in, int32_t top, int32_t left,
                                      mcu_word *to)
{
    const int32_t pixel = l->in_c >> 2, cols = l->kernel_cols, over = left + cols - l->in_cols;
    int32_t before = left < 0 ? -left : 0, inside = cols - before - (over > 0 ? over : 0);
    if (inside <= 0) {
        before = cols;
        inside = 0;
    }
    const int32_t first = top < 0 ? 0 : top, end = top + l->kernel_rows;
    const int8_t *from = mcu_in_at(in, first < l->in_rows ? first : 0, inside ? left + before : in->col, l->in_c);
    const int32_t words = inside * pixel, words_before = before * pixel, words_behind = (cols - before) * pixel - words;
    for (int32_t row = top; row < end; row++) {
        if (row < 0 || row >= l->in_rows) {
            to = mcu_expand_padding(to, l->zero_point, cols * pixel);
            continue;
        }
        if (in->ring) {
            from = mcu_in_at(in, row, inside ? left + before : in->col, l->in_c);
        }
        if (words_before) {
            to = mcu_expand_padding(to, l->zero_point, words_before);
        }
        to = mcu_expand(to, from, words);
        if (words_behind) {
            to = mcu_expand_padding(to, l->zero_point, words_behind);
        }
        from += in->pitch;
    }
}

/* The same of 3x3 windows over three channels, the first layer of most networks: 9 bytes of each of three rows. */
MCU_NOINLINE void mcu_column_of_27(const int8_t *from, int32_t pitch, mcu_word *to)
{
    const int8_t *second = from + pitch, *third = second + pitch;
    uint32_t v = mcu_load_word(from), w = mcu_load_word(from + 4);
    to[0] = mcu_sxtb16(v);
    to[4] = mcu_sxtb16_high(v);
    to[8] = mcu_sxtb16(w);
    to[12] = mcu_sxtb16_high(w);
    v = mcu_load_word(second);
    w = mcu_load_word(second + 4);
    to[16] = mcu_sxtb16(v);
    to[20] = mcu_sxtb16_high(v);
    to[24] = mcu_sxtb16(w);
    to[28] = mcu_sxtb16_high(w);
    v = mcu_load_word(third);
    w = mcu_load_word(third + 4);
    to[32] = mcu_sxtb16(v);
    to[36] = mcu_sxtb16_high(v);
    to[40] = mcu_sxtb16(w);
    to[44] = mcu_sxtb16_high(w);
    to[48] = mcu_pack_bottoms((uint32_t)(int32_t)from[8], (uint32_t)(int32_t)third[8]);
    to[52] = (uint32_t)(int32_t)second[8] & 0xFFFFu;
}

/* Four such columns side by side, of windows `step` bytes apart. */
MCU_NOINLINE void mcu_columns_of_27(const int8_t *from, int32_t pitch, int32_t step, mcu_word *to)
{
    for (mcu_word *const end = to + 4; to != end; to += 2, from += 2 * step) {
        const int8_t *row = from;
        mcu_word *at = to;
        for (int32_t i = 0; i < 3; i++, row += pitch, at += 16) {
            const uint32_t v = mcu_load_word(row), w = mcu_load_word(row + 4);
            const uint32_t next_v = mcu_load_word(row + step), next_w = mcu_load_word(row + step + 4);
            at[0] = mcu_sxtb16(v);
            at[1] = mcu_sxtb16(next_v);
            at[4] = mcu_sxtb16_high(v);
            at[5] = mcu_sxtb16_high(next_v);
            at[8] = mcu_sxtb16(w);
            at[9] = mcu_sxtb16(next_w);
            at[12] = mcu_sxtb16_high(w);
            at[13] = mcu_sxtb16_high(next_w);
        }
        const int8_t *const second = from + pitch + 8, *const third = second + pitch;
        at[0] = mcu_pack_bottoms((uint32_t)(int32_t)from[8], (uint32_t)(int32_t)third[0]);
        at[1] = mcu_pack_bottoms((uint32_t)(int32_t)from[8 + step], (uint32_t)(int32_t)third[step]);
        at[4] = (uint32_t)(int32_t)second[0] & 0xFFFFu;
        at[5] = (uint32_t)(int32_t)second[step] & 0xFFFFu;
    }
}

/* Such a window at the border, put together. */
MCU_NOINLINE void mcu_window_of_27(const mcu_conv_2d_layer *l, const mcu_in *in, int32_t top, int32_t left,
                                   int8_t *window)
{
    for (int32_t row = top; row < top + 3; row++) {
        for (int32_t col = left; col < left + 3; col++, window += 3) {
            if (mcu_is_inside(l, row, col)) {
                const int8_t *from = mcu_in_at(in, row, col, 3);
                window[0] = from[0];
                window[1] = from[1];
                window[2] = from[2];
            } else {
                window[0] = window[1] = window[2] = (int8_t)l->zero_point;
            }
        }
    }
}

/* Four columns of windows of one pixel each, side by side. */
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

/* Convolution by a single pixel, without padding; inputs in whole words. */
MCU_NOINLINE void mcu_conv_2d_of_pixels(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_out *out,
                                        mcu_word *columns)
{
    const int32_t step = l->stride_cols * l->in_c, out_c = l->out_c;
    int32_t rows = out->rows, cols = out->cols, row = out->first_row, left_in_row = 0;
    if (!in->ring && !out->ring && in->pitch == cols * l->in_c && out->pitch == cols * out_c && step == l->in_c &&
        l->stride_rows == 1) {
        cols *= rows; /* rows that follow one another are one */
        rows = 1;
    }
    const int8_t *next_from = 0, *from[4] = {0, 0, 0, 0};
    int8_t *next_to = 0, *to[4] = {0, 0, 0, 0};
    for (int32_t left = rows * cols; left > 0; left -= 4) {
        const int32_t pixels = left < 4 ? left : 4;
        if (left_in_row >= 4) {
            from[0] = next_from;
            from[1] = next_from + step;
            from[2] = from[1] + step;
            from[3] = from[2] + step;
            to[0] = next_to;
            to[1] = next_to + out_c;
            to[2] = to[1] + out_c;
            to[3] = to[2] + out_c;
            next_from = from[3] + step;
            next_to = to[3] + out_c;
            left_in_row -= 4;
            mcu_columns_of_pixels(from, columns, l->depth >> 2);
            MCU_FENCE();
            mcu_multiply_columns(4, l->weights, columns, l->depth, &l->channels, out_c, to);
            MCU_FENCE();
            continue;
        }
        for (int32_t p = 0; p < pixels; p++) {
            if (left_in_row == 0) {
                next_from = mcu_in_at(in, row * l->stride_rows, out->first_col * l->stride_cols, l->in_c);
                next_to = mcu_out_at(out, row, out->first_col, out_c);
                left_in_row = cols;
                row++;
            }
            from[p] = next_from;
            to[p] = next_to;
            next_from += step;
            next_to += out_c;
            left_in_row--;
        }
        for (int32_t p = pixels; p < 4; p++) {
            from[p] = from[0];
        }
        mcu_columns_of_pixels(from, columns, l->depth >> 2);
        MCU_FENCE();
        mcu_multiply_columns(pixels, l->weights, columns, l->depth, &l->channels, out_c, to);
        MCU_FENCE();
    }
}

/* Convolution of whole words a pixel, by one group and without dilation. */
MCU_NOINLINE void mcu_conv_2d_of_words(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_out *out,
                                       mcu_word *columns)
{
    int32_t row = out->first_row - 1, left_in_row = 0, top = 0, left = 0;
    int8_t *next_to = 0, *to[4] = {0, 0, 0, 0};
    for (int32_t pixels_left = out->rows * out->cols; pixels_left > 0; pixels_left -= 4) {
        const int32_t pixels = pixels_left < 4 ? pixels_left : 4;
        for (int32_t p = 0; p < pixels; p++) {
            if (left_in_row == 0) {
                left_in_row = out->cols;
                row++;
                next_to = mcu_out_at(out, row, out->first_col, l->out_c);
                top = row * l->stride_rows - l->before_rows;
                left = out->first_col * l->stride_cols - l->before_cols;
            }
            mcu_column_of_words(l, in, top, left, columns + p);
            to[p] = next_to;
            next_to += l->out_c;
            left += l->stride_cols;
            left_in_row--;
        }
        MCU_FENCE();
        mcu_multiply_columns(pixels, l->weights, columns, l->depth, &l->channels, l->out_c, to);
        MCU_FENCE();
    }
}

/* Convolution by 3x3 over three channels, by one group and without dilation, of what is no line buffer. */
MCU_NOINLINE void mcu_conv_2d_of_27(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_out *out,
                                    mcu_word *columns)
{
    const int32_t last_row = l->in_rows - 3, last_col = l->in_cols - 3;
    int32_t row = out->first_row - 1, left_in_row = 0, top = 0, left = 0, are_rows_inside = 0;
    const int8_t *from = 0;
    int8_t *next_to = 0, *to[4] = {0, 0, 0, 0};
    for (int32_t pixels_left = out->rows * out->cols; pixels_left > 0; pixels_left -= 4) {
        const int32_t pixels = pixels_left < 4 ? pixels_left : 4;
        if (are_rows_inside && left_in_row >= 4 && left >= 0 && left + 3 * l->stride_cols <= last_col) {
            mcu_columns_of_27(from + 3 * (left - in->col), in->pitch, 3 * l->stride_cols, columns);
            to[0] = next_to;
            to[1] = to[0] + l->out_c;
            to[2] = to[1] + l->out_c;
            to[3] = to[2] + l->out_c;
            next_to = to[3] + l->out_c;
            left += 4 * l->stride_cols;
            left_in_row -= 4;
            MCU_FENCE();
            mcu_multiply_columns(4, l->weights, columns, l->depth, &l->channels, l->out_c, to);
            MCU_FENCE();
            continue;
        }
        for (int32_t p = 0; p < pixels; p++) {
            if (left_in_row == 0) {
                left_in_row = out->cols;
                row++;
                next_to = mcu_out_at(out, row, out->first_col, l->out_c);
                top = row * l->stride_rows - l->before_rows;
                left = out->first_col * l->stride_cols - l->before_cols;
                are_rows_inside = top >= 0 && top <= last_row;
                from = are_rows_inside ? mcu_in_at(in, top, in->col, 3) : 0;
            }
            if (are_rows_inside && left >= 0 && left <= last_col) {
                mcu_column_of_27(from + 3 * (left - in->col), in->pitch, columns + p);
            } else {
                int8_t window[27];
                mcu_window_of_27(l, in, top, left, window);
                mcu_column_of_27(window, 9, columns + p);
            }
            to[p] = next_to;
            next_to += l->out_c;
            left += l->stride_cols;
            left_in_row--;
        }
        MCU_FENCE();
        mcu_multiply_columns(pixels, l->weights, columns, l->depth, &l->channels, l->out_c, to);
        MCU_FENCE();
    }
}

/* `scratch`: 8 bytes for each of `depth`, then what is gathered, aligned to words. */
MCU_NOINLINE void mcu_conv_2d(const mcu_conv_2d_layer *l, const mcu_in *in, const mcu_out *out, void *scratch)
{
    mcu_word *columns = scratch;
    if (l->kernel_rows * l->kernel_cols * l->groups == 1 && l->before_rows + l->before_cols + l->gathered_bytes == 0) {
        mcu_conv_2d_of_pixels(l, in, out, columns);
        return;
    }
    if (l->in_c % 4 == 0 && l->groups * l->dilation_rows * l->dilation_cols == 1) {
        mcu_conv_2d_of_words(l, in, out, columns);
        return;
    }
    if (l->in_c == 3 && l->kernel_rows == 3 && l->kernel_cols == 3 && l->runs_a_row == 1 &&
        l->groups * l->dilation_rows == 1 && !in->ring) {
        mcu_conv_2d_of_27(l, in, out, columns);
        return;
    }
    int8_t *gathered = (int8_t *)(columns + 2 * l->depth);
    const int32_t group_c = l->in_c / l->groups, group_out = l->out_c / l->groups;
    const int32_t pairs = group_out + group_out % 2, group_words = pairs * l->depth / 4;
    const int32_t inside_rows = l->in_rows - (l->kernel_rows - 1) * l->dilation_rows;
    const int32_t inside_cols = l->in_cols - (l->kernel_cols - 1) * l->dilation_cols;
    int32_t row = out->first_row, col = out->first_col;
    const int32_t end_col = out->first_col + out->cols;
    int8_t *next_to = mcu_out_at(out, row, col, l->out_c);
    for (int32_t left = out->rows * out->cols; left > 0; left -= 4) {
        const int32_t pixels = left < 4 ? left : 4;
        int8_t *to[4] = {0, 0, 0, 0};
        mcu_window at[4];
        for (int32_t p = 0; p < pixels; p++) {
            at[p].top = row * l->stride_rows - l->before_rows;
            at[p].left = col * l->stride_cols - l->before_cols;
            at[p].channel = 0;
            to[p] = next_to;
            next_to += l->out_c;
            if (++col == end_col && (p + 1 < pixels || left > 4)) {
                col = out->first_col;
                row++;
                next_to = mcu_out_at(out, row, col, l->out_c);
            }
        }
        const uint32_t *weights = l->weights;
        mcu_channels channels = l->channels;
        for (int32_t group = 0; group < l->groups; group++) {
            for (int32_t p = 0; p < pixels; p++) {
                const int32_t is_inside = at[p].top >= 0 && at[p].top < inside_rows && at[p].left >= 0 &&
                                          at[p].left < inside_cols;
                if (is_inside) {
                    mcu_column_inside(l, in, &at[p], columns + p, gathered);
                } else {
                    mcu_column_at_border(l, in, &at[p], columns + p, gathered);
                }
                at[p].channel += group_c;
            }
            MCU_FENCE();
            mcu_multiply_columns(pixels, weights, columns, l->depth, &channels, group_out, to);
            MCU_FENCE();
            weights += group_words;
            channels.scale += 2 * pairs;
            channels.shift += pairs;
            for (int32_t p = 0; p < pixels; p++) {
                to[p] += group_out;
            }
        }
    }
}

#endif
