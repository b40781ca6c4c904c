/* ADD and SUB of stored integers: both brought to one scale, added, brought to the output's.

   The larger of the two scales needs no product: its factor is exactly one half. The caller gives that operand first. */
#ifndef MCU_SUM_H
#define MCU_SUM_H

#include "base.h"

typedef struct {
    int32_t left_shift;
    int32_t zero_points[2];
    int32_t signs[2];
    int32_t multipliers[2];
    int32_t shifts[2];
    mcu_stage stage;
} mcu_sum_layer;

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_sum(const mcu_sum_layer *l, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                           int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        const int32_t x = (int32_t)((uint32_t)(*a - l->zero_points[0]) << l->left_shift);
        const int32_t y = (int32_t)((uint32_t)(*b - l->zero_points[1]) << l->left_shift);
        const int32_t p = l->signs[0] * mcu_rescale(x, l->multipliers[0], l->shifts[0]);
        const int32_t q = l->signs[1] * mcu_rescale(y, l->multipliers[1], l->shifts[1]);
        out[i] = (int8_t)mcu_staged(p + q, &l->stage);
    }
}

static inline void mcu_sum_16(const mcu_sum_layer *l, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                              int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 2 * a_step, b += 2 * b_step, out += 2) {
        const int32_t x = (int32_t)((uint32_t)(mcu_load_16(a) - l->zero_points[0]) << l->left_shift);
        const int32_t y = (int32_t)((uint32_t)(mcu_load_16(b) - l->zero_points[1]) << l->left_shift);
        const int32_t p = l->signs[0] * mcu_rescale(x, l->multipliers[0], l->shifts[0]);
        const int32_t q = l->signs[1] * mcu_rescale(y, l->multipliers[1], l->shifts[1]);
        mcu_store_16(out, mcu_staged(mcu_add_wrapping(p, q), &l->stage));
    }
}

/* The same for int8 whose first factor is one half and whose second shift is to the right; `stage` shifts to the right
   by 1 or more. Four elements at a time; the sums stay below 2^30. */
typedef struct {
    int32_t first_offset;   /* -zero_point << 20, with the sign */
    int32_t first_factor;   /* 2^20, with the sign */
    int32_t second_offset;  /* -zero_point << 21 */
    int32_t second_factor;  /* 2^21 */
    int32_t second_multiplier;
    int32_t second_shift;
    int32_t second_twice;   /* 2, with the sign */
    int32_t multiplier;
    int32_t shift;
    int32_t c;
    int32_t lowest;
    int32_t highest;
    int32_t is_rising;
} mcu_sum_fast_layer;

MCU_NOINLINE void mcu_sum_fast(const mcu_sum_fast_layer *l, const int8_t *a, const int8_t *b, int8_t *out,
                               int32_t count)
{
    const int32_t a_offset = l->first_offset, a_factor = l->first_factor;
    const int32_t b_offset = l->second_offset, b_factor = l->second_factor;
    const int32_t b_multiplier = l->second_multiplier, b_shift = l->second_shift;
    const int32_t half = (1 << b_shift) >> 1, floor_fix = b_shift ? -1 : 0;
    const int32_t multiplier = l->multiplier, shift = l->shift, c = l->c, twice = l->second_twice;
    if (l->is_rising) {
        for (const int8_t *end = a + count; a != end;) {
            const int32_t x = *a++ * a_factor + a_offset;
            int32_t y = mcu_smmulr(*b++ * b_factor + b_offset, b_multiplier);
            y = (y + ((y >> 31) & floor_fix) + half) >> b_shift;
            const int32_t value = mcu_smmlar(x + y * twice, multiplier, c) >> shift;
            *out++ = (int8_t)mcu_within(value, l->lowest, l->highest);
        }
    } else {
        for (const int8_t *end = a + count; a != end;) {
            const int32_t x = *a++ * a_factor + a_offset;
            int32_t y = mcu_smmulr(*b++ * b_factor + b_offset, b_multiplier);
            y = (y + ((y >> 31) & floor_fix) + half) >> b_shift;
            int32_t value = mcu_smmulr(x + y * twice, multiplier);
            value += value >> 31;
            *out++ = (int8_t)mcu_within((value + c) >> shift, l->lowest, l->highest);
        }
    }
}

#endif
