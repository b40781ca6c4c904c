/* BATCH_MATMUL: matrices of int8, each with its zero point, and of int16, whose sums have 64 bits. */
#ifndef MCU_BATCH_MATMUL_H
#define MCU_BATCH_MATMUL_H

#include "base.h"

typedef struct {
    int32_t rows, depth, cols;
    int32_t a_row, a_depth;     /* steps in elements: from row to row, along what is summed over */
    int32_t b_depth, b_col;
    int32_t zero_points[2];
    mcu_stage stage;
} mcu_batch_matmul_layer;

static inline void mcu_batch_matmul(const mcu_batch_matmul_layer *l, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t row = 0; row < l->rows; row++) {
        for (int32_t col = 0; col < l->cols; col++) {
            const int8_t *x = a + row * l->a_row, *y = b + col * l->b_col;
            uint32_t sum = 0;
            for (int32_t k = 0; k < l->depth; k++, x += l->a_depth, y += l->b_depth) {
                sum += (uint32_t)((*x - l->zero_points[0]) * (*y - l->zero_points[1]));
            }
            *out++ = (int8_t)mcu_staged((int32_t)sum, &l->stage);
        }
    }
}

static inline void mcu_batch_matmul_16(const mcu_batch_matmul_layer *l, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t row = 0; row < l->rows; row++) {
        for (int32_t col = 0; col < l->cols; col++, out += 2) {
            const int8_t *x = a + 2 * row * l->a_row, *y = b + 2 * col * l->b_col;
            int64_t sum = 0;
            for (int32_t k = 0; k < l->depth; k++, x += 2 * l->a_depth, y += 2 * l->b_depth) {
                sum += (int64_t)mcu_load_16(x) * mcu_load_16(y);
            }
            const int64_t scaled = mcu_rescale_wide(sum, l->stage.multiplier, l->stage.shift);
            mcu_store_16(out, mcu_clamp(scaled + l->stage.zero_point, l->stage.lowest, l->stage.highest));
        }
    }
}

#endif
