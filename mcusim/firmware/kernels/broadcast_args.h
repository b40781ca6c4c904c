/* BROADCAST_ARGS: the shape that two shapes stretch to. */
#ifndef MCU_BROADCAST_ARGS_H
#define MCU_BROADCAST_ARGS_H

#include "base.h"

/* Shapes are aligned at their ends, and filled up with ones. Sizes of 64 bits are taken as 32. */
static inline void mcu_broadcast_args(int32_t size_bytes, const int8_t *a, int32_t a_count, const int8_t *b,
                                      int32_t b_count, int8_t *out)
{
    const int32_t count = a_count > b_count ? a_count : b_count;
    for (int32_t i = 0; i < count; i++) {
        const int32_t at_a = i - (count - a_count), at_b = i - (count - b_count);
        const int32_t size_a = at_a < 0 ? 1 : mcu_load_32(a + at_a * size_bytes);
        const int32_t size_b = at_b < 0 ? 1 : mcu_load_32(b + at_b * size_bytes);
        const int32_t size = size_a == 1 ? size_b : size_a;
        mcu_store_32(out + i * size_bytes, size);
        if (size_bytes == 8) {
            mcu_store_32(out + i * 8 + 4, size < 0 ? -1 : 0);
        }
    }
}

#endif
