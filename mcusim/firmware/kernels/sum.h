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

/* ADD of int8 where the first factor is one half, and the second shift and the last one go to the right: all sums stay
   below 2^30, and the fast ways of requantising do. */
typedef struct {
    int32_t first_offset;  /* -zero_point << 20 */
    int32_t second_offset; /* -zero_point << 21 */
    int32_t second_multiplier;
    int32_t second_shift;
    int32_t multiplier;
    int32_t shift;
    int32_t c;
    int32_t lowest;
    int32_t highest;
    mcu_mode mode;
} mcu_sum_fast_layer;

#define MCU_SUM_CLAMP(a) mcu_within(a, l->lowest, l->highest)
/* The second operand, scaled; where a rounding shift follows, its ties go away from zero. It has the sign of `z`, or is 0. */
#define MCU_SUM_PLAIN(z) mcu_smmulr(z, second_multiplier)
#define MCU_SUM_ROUNDED(z) ((mcu_smmlar(z, second_multiplier, half) + (z >> 31)) >> second_shift)
/* The first operand is read when the second is done: there is a register for either. */
#define MCU_SUM_LOOP(scaled_second, scaled, clamped)                                                                   \
    for (const int8_t *end = a + count; a != end;) {                                                                   \
        const int32_t z = (int32_t)((uint32_t)(int32_t)*b++ << 21) + second_offset;                                    \
        int32_t y = scaled_second(z);                                                                                  \
        MCU_SETTLED(y);                                                                                                \
        int32_t v;                                                                                                     \
        MCU_NEXT_BYTE(v, a);                                                                                           \
        const int32_t x = (int32_t)((uint32_t)v << 20) + first_offset;                                                 \
        *out++ = (int8_t)clamped(scaled(x + 2 * y, multiplier, c, shift));                                             \
    }

MCU_NOINLINE void mcu_sum_fast(const mcu_sum_fast_layer *l, const int8_t *a, const int8_t *b, int8_t *out,
                               int32_t count)
{
    const int32_t first_offset = l->first_offset, second_offset = l->second_offset;
    const int32_t second_multiplier = l->second_multiplier, second_shift = l->second_shift;
    const int32_t half = (1 << second_shift) >> 1;
    const int32_t multiplier = l->multiplier, shift = l->shift, c = l->c;
    if (second_shift == 0) {
        if (l->mode == MCU_RISING_8) {
            MCU_SUM_LOOP(MCU_SUM_PLAIN, mcu_rising, mcu_saturate_8)
        } else if (l->mode == MCU_SIGNED_8) {
            MCU_SUM_LOOP(MCU_SUM_PLAIN, mcu_signed, mcu_saturate_8)
        } else {
            MCU_SUM_LOOP(MCU_SUM_PLAIN, mcu_signed, MCU_SUM_CLAMP)
        }
    } else {
        if (l->mode == MCU_RISING_8) {
            MCU_SUM_LOOP(MCU_SUM_ROUNDED, mcu_rising, mcu_saturate_8)
        } else if (l->mode == MCU_SIGNED_8) {
            MCU_SUM_LOOP(MCU_SUM_ROUNDED, mcu_signed, mcu_saturate_8)
        } else {
            MCU_SUM_LOOP(MCU_SUM_ROUNDED, mcu_signed, MCU_SUM_CLAMP)
        }
    }
}

#endif
