/* MAXIMUM and MINIMUM of stored integers, whatever their scales; LOGICAL_AND and LOGICAL_OR of booleans. */
#ifndef MCU_COMPARE_H
#define MCU_COMPARE_H

#include "base.h"

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_maximum(const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int8_t *out,
                               int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        out[i] = *a > *b ? *a : *b;
    }
}

static inline void mcu_minimum(const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int8_t *out,
                               int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        out[i] = *a < *b ? *a : *b;
    }
}

static inline void mcu_maximum_16(const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int8_t *out,
                                  int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 2 * a_step, b += 2 * b_step, out += 2) {
        const int32_t x = mcu_load_16(a), y = mcu_load_16(b);
        mcu_store_16(out, x > y ? x : y);
    }
}

static inline void mcu_minimum_16(const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int8_t *out,
                                  int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 2 * a_step, b += 2 * b_step, out += 2) {
        const int32_t x = mcu_load_16(a), y = mcu_load_16(b);
        mcu_store_16(out, x < y ? x : y);
    }
}

#endif
