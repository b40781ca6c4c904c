/* DIV of stored integers: the dividend, shifted left until it fills its bits, times the divisor's reciprocal. */
#ifndef MCU_QUOTIENT_H
#define MCU_QUOTIENT_H

#include "fixed_point.h"

typedef struct {
    int32_t zero_points[2];
    mcu_stage stage;
} mcu_quotient_layer;

/* x / y. Where y is 0: as far as outputs reach on the dividend's side. A last shift by more than 31 counts modulo 32, on
   every processor alike, and rounds up what is not negative. */
MCU_NOINLINE int32_t mcu_quotient(const mcu_stage *stage, int32_t x, int32_t y)
{
    if (y == 0) {
        return mcu_clamp(x == 0 ? stage->zero_point : x < 0 ? INT32_MIN : INT32_MAX, stage->lowest, stage->highest);
    }
    if (y < 0) {
        x = -x;
        y = -y;
    }
    int32_t bits;
    const int32_t inverse = mcu_reciprocal(y, 31, &bits);
    const int32_t headroom = x == 0 ? 31 : mcu_leading_zeros((uint32_t)(x < 0 ? ~x : x)) - 1;
    const int32_t quotient = mcu_multiply_high((int32_t)((uint32_t)x << headroom), inverse);
    const int32_t high = mcu_multiply_high(quotient, stage->multiplier), right = bits + headroom - stage->shift;
    int64_t result;
    if (right > 31) {
        result = (high >> (right & 31)) + (high >= 0);
    } else {
        result = mcu_divide_by_power(high, right > 0 ? right : 0);
    }
    return mcu_clamp(result + stage->zero_point, stage->lowest, stage->highest);
}

/* `count` elements; an operand's step is 1, or 0 where one element serves all. */
static inline void mcu_divide(const mcu_quotient_layer *l, const int8_t *a, int32_t a_step, const int8_t *b,
                              int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        out[i] = (int8_t)mcu_quotient(&l->stage, *a - l->zero_points[0], *b - l->zero_points[1]);
    }
}

#endif
