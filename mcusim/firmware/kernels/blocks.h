/* SPACE_TO_DEPTH and DEPTH_TO_SPACE: blocks of pixels become channels, and the other way round. */
#ifndef MCU_BLOCKS_H
#define MCU_BLOCKS_H

#include "base.h"

/* pixel_bytes: of the side with more pixels. */
static inline void mcu_space_to_depth(int32_t block, int32_t pixel_bytes, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            int8_t *to = mcu_out_at(out, row, col, block * block * pixel_bytes);
            for (int32_t y = 0; y < block; y++, to += block * pixel_bytes) {
                memcpy(to, mcu_in_at(in, row * block + y, col * block, pixel_bytes), (uint32_t)(block * pixel_bytes));
            }
        }
    }
}

static inline void mcu_depth_to_space(int32_t block, int32_t pixel_bytes, const mcu_in *in, const mcu_out *out)
{
    for (int32_t row = out->first_row; row < out->first_row + out->rows; row++) {
        for (int32_t col = out->first_col; col < out->first_col + out->cols; col++) {
            const int8_t *from = mcu_in_at(in, row / block, col / block, block * block * pixel_bytes);
            memcpy(mcu_out_at(out, row, col, pixel_bytes), from + (row % block * block + col % block) * pixel_bytes,
                   (uint32_t)pixel_bytes);
        }
    }
}

#endif
