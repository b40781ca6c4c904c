/* AVERAGE_POOL_2D and MAX_POOL_2D of int8: what lies outside the input takes no part. */
#ifndef MCU_POOL_2D_H
#define MCU_POOL_2D_H

#include "base.h"

typedef struct {
    int32_t in_rows, in_cols, channels;
    int32_t kernel_rows, kernel_cols;
    int32_t stride_rows, stride_cols;
    int32_t before_rows, before_cols;
    int32_t lowest, highest;
} mcu_pool_layer;

/* The taps of one output that lie inside the input. */
typedef struct {
    int32_t first_row, end_row, first_col, end_col;
} mcu_taps;

static inline mcu_taps mcu_taps_of(const mcu_pool_layer *l, int32_t row, int32_t col)
{
    mcu_taps taps;
    const int32_t top = row * l->stride_rows - l->before_rows, left = col * l->stride_cols - l->before_cols;
    taps.first_row = top > 0 ? top : 0;
    taps.end_row = top + l->kernel_rows < l->in_rows ? top + l->kernel_rows : l->in_rows;
    taps.first_col = left > 0 ? left : 0;
    taps.end_col = left + l->kernel_cols < l->in_cols ? left + l->kernel_cols : l->in_cols;
    return taps;
}

/* round(sum / count), halves away from zero. */
MCU_INLINE int32_t mcu_rounded_mean(int32_t sum, int32_t count)
{
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

MCU_INLINE int8_t mcu_pooled(const mcu_pool_layer *l, int32_t value)
{
    return (int8_t)mcu_within(value, l->lowest, l->highest);
}

/* Four channels at a time as pairs of 16 bits, which hold the sums of 255 taps; other channels one by one. */
static inline void mcu_average_of(const mcu_pool_layer *l, const mcu_in *in, const mcu_taps *taps, int8_t *to)
{
    const int32_t count = (taps->end_row - taps->first_row) * (taps->end_col - taps->first_col);
    int32_t k = 0;
    if (count <= 255) {
        for (; k + 4 <= l->channels; k += 4) {
            uint32_t even = 0, odd = 0;
            for (int32_t y = taps->first_row; y < taps->end_row; y++) {
                const int8_t *from = mcu_in_at(in, y, taps->first_col, l->channels) + k;
                for (int32_t x = taps->first_col; x < taps->end_col; x++, from += l->channels) {
                    const uint32_t v = mcu_load_word(from);
                    even = mcu_sxtab16(even, v);
                    odd = mcu_sxtab16_high(odd, v);
                }
            }
            to[k] = mcu_pooled(l, mcu_rounded_mean((int16_t)(uint16_t)(even & 0xFFFFu), count));
            to[k + 1] = mcu_pooled(l, mcu_rounded_mean((int16_t)(uint16_t)(odd & 0xFFFFu), count));
            to[k + 2] = mcu_pooled(l, mcu_rounded_mean((int32_t)even >> 16, count));
            to[k + 3] = mcu_pooled(l, mcu_rounded_mean((int32_t)odd >> 16, count));
        }
    }
    for (; k < l->channels; k++) {
        int32_t sum = 0;
        for (int32_t y = taps->first_row; y < taps->end_row; y++) {
            const int8_t *from = mcu_in_at(in, y, taps->first_col, l->channels) + k;
            for (int32_t x = taps->first_col; x < taps->end_col; x++, from += l->channels) {
                sum += *from;
            }
        }
        to[k] = mcu_pooled(l, mcu_rounded_mean(sum, count));
    }
}

/* Four channels at a time; the last ones by themselves. */
static inline void mcu_maximum_of(const mcu_pool_layer *l, const mcu_in *in, const mcu_taps *taps, int8_t *to)
{
    const uint32_t lowest = ((uint32_t)l->lowest & 0xFFu) * 0x01010101u;
    const uint32_t highest = ((uint32_t)l->highest & 0xFFu) * 0x01010101u;
    for (int32_t k = 0; k < l->channels; k += 4) {
        const int32_t channels = l->channels - k;
        uint32_t largest = lowest;
        for (int32_t y = taps->first_row; y < taps->end_row; y++) {
            const int8_t *from = mcu_in_at(in, y, taps->first_col, l->channels) + k;
            if (channels >= 4) {
                for (int32_t x = taps->first_col; x < taps->end_col; x++, from += l->channels) {
                    largest = mcu_larger_bytes(largest, mcu_load_word(from));
                }
            } else {
                for (int32_t x = taps->first_col; x < taps->end_col; x++, from += l->channels) {
                    largest = mcu_larger_bytes(largest, mcu_load_few(from, channels));
                }
            }
        }
        largest = mcu_smaller_bytes(largest, highest);
        if (channels >= 4) {
            MCU_MOVE_BYTES(to + k, &largest, sizeof largest);
        } else {
            for (int32_t i = 0; i < channels; i++, largest >>= 8) {
                to[k + i] = (int8_t)(uint8_t)(largest & 0xFFu);
            }
        }
    }
}

MCU_INLINE void mcu_pool_2d(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out, const int32_t is_average)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const mcu_taps taps = mcu_taps_of(l, row, col);
            int8_t *to = mcu_out_at(out, row, col, l->channels);
            if (is_average) {
                mcu_average_of(l, in, &taps, to);
            } else {
                mcu_maximum_of(l, in, &taps, to);
            }
        }
    }
}

MCU_NOINLINE void mcu_average_pool_2d(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_pool_2d(l, in, out, 1);
}

MCU_NOINLINE void mcu_max_pool_2d(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_pool_2d(l, in, out, 0);
}

#endif
