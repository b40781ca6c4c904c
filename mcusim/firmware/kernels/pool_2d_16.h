/* AVERAGE_POOL_2D and MAX_POOL_2D of int16. */
#ifndef MCU_POOL_2D_16_H
#define MCU_POOL_2D_16_H

#include "pool_2d.h"

MCU_INLINE void mcu_pool_2d_16(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out, const int32_t is_average)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const mcu_taps taps = mcu_taps_of(l, row, col);
            const int32_t count = (taps.end_row - taps.first_row) * (taps.end_col - taps.first_col);
            int8_t *to = mcu_out_at(out, row, col, 2 * l->channels);
            for (int32_t k = 0; k < l->channels; k++) {
                int32_t sum = 0, largest = -32768;
                for (int32_t y = taps.first_row; y < taps.end_row; y++) {
                    for (int32_t x = taps.first_col; x < taps.end_col; x++) {
                        const int32_t v = mcu_load_16(mcu_in_at(in, y, x, 2 * l->channels) + 2 * k);
                        sum += v;
                        largest = v > largest ? v : largest;
                    }
                }
                mcu_store_16(to + 2 * k, mcu_within(is_average ? mcu_rounded_mean(sum, count) : largest, l->lowest,
                                                    l->highest));
            }
        }
    }
}

MCU_NOINLINE void mcu_average_pool_2d_16(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_pool_2d_16(l, in, out, 1);
}

MCU_NOINLINE void mcu_max_pool_2d_16(const mcu_pool_layer *l, const mcu_in *in, const mcu_out *out)
{
    mcu_pool_2d_16(l, in, out, 0);
}

#endif
