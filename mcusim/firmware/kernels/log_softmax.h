/* LOG_SOFTMAX of int8 rows. */
#ifndef MCU_LOG_SOFTMAX_H
#define MCU_LOG_SOFTMAX_H

#include "fixed_point.h"

typedef struct {
    const int32_t *exponentials;
    const int32_t *scaled;
    int32_t radius, multiplier, shift, lowest, highest;
} mcu_log_softmax_layer;

/* value * 2^exponent kept inside 32 bits; the largest and smallest beyond the source's threshold. */
static inline int32_t mcu_shift_limited(int32_t value, int32_t exponent)
{
    if (exponent == 0) {
        return value;
    }
    const int64_t threshold = ((int64_t)1 << (31 - exponent)) - 1;
    if (value > threshold) {
        return INT32_MAX;
    }
    return value < -threshold ? INT32_MIN : (int32_t)((uint32_t)value << exponent);
}

MCU_INLINE int32_t mcu_limited(int64_t value)
{
    return mcu_clamp(value, INT32_MIN, INT32_MAX);
}

/* Natural logarithm of a number >= 1 with 12 integer bits, with 5. */
static inline int32_t mcu_log_of_sum(int32_t sum)
{
    const int32_t integer_bits = 12, bits = 6, scale = 31 - bits;
    const int32_t quarter = mcu_divide_by_power(536870912, bits);
    const int32_t headroom_plus_one = mcu_leading_zeros((uint32_t)sum);
    const int32_t r_a = mcu_shift_saturating(
        mcu_multiply_high(mcu_shift_limited(sum, headroom_plus_one - 1), 1518500250), 1);
    const int32_t power_a = mcu_limited((int64_t)mcu_shift_limited(integer_bits - headroom_plus_one, scale) + quarter);
    const int32_t headroom_b = mcu_leading_zeros((uint32_t)mcu_multiply_high(sum, 1518500250)) - 1;
    const int32_t r_b = mcu_shift_limited(sum, headroom_b);
    const int32_t power_b = mcu_limited((int64_t)mcu_shift_limited(integer_bits - headroom_b, scale) - quarter);
    const int32_t r = r_a < r_b ? r_a : r_b, power = power_a > power_b ? power_a : power_b;
    const int64_t total = (int64_t)r + 1805811301;
    const int32_t p = (int32_t)(total >= 0 ? (total + 1) / 2 : -((1 - total) / 2));
    const int32_t q = (int32_t)(2 * ((int64_t)r - 1805811301));
    const int32_t common = mcu_multiply_high(q, q);
    const int32_t numerator = (int32_t)((int64_t)mcu_multiply_high(q, r) +
                                        mcu_multiply_high(mcu_multiply_high(q, common), 117049297));
    const int32_t inner = (int32_t)((int64_t)1057819769 + q + mcu_multiply_high(127690142, common));
    const int32_t denominator = (int32_t)((int64_t)mcu_multiply_high(p, inner) + mcu_multiply_high(638450708, q));
    const int32_t fraction =
        mcu_multiply_high(mcu_divide_by_power(numerator, bits), mcu_one_over_one_plus(denominator));
    const int64_t result = (int64_t)mcu_multiply_high(power, 1488522236) + fraction;
    return mcu_shift_saturating((int32_t)result, 1);
}

static inline void mcu_log_softmax(const mcu_log_softmax_layer *l, const int8_t *in, int8_t *out, int32_t rows,
                                   int32_t channels)
{
    for (; rows > 0; rows--, in += channels, out += channels) {
        int32_t largest = -128, sum = 0;
        for (int32_t i = 0; i < channels; i++) {
            largest = in[i] > largest ? in[i] : largest;
        }
        for (int32_t i = 0; i < channels; i++) {
            sum = mcu_add_wrapping(sum, mcu_divide_by_power(l->exponentials[largest - in[i]], 12));
        }
        const int32_t logarithm = mcu_log_of_sum(sum);
        const int32_t reachable =
            mcu_rescale((int32_t)((uint32_t)logarithm - 0x80000000u), l->multiplier, l->shift);
        const int32_t kept = -l->radius - 1 > reachable ? -l->radius - 1 : reachable;
        for (int32_t i = 0; i < channels; i++) {
            const int32_t difference = largest - in[i];
            const int32_t value = (int32_t)((uint32_t)l->scaled[difference] - (uint32_t)logarithm);
            const int64_t result = (int64_t)mcu_divide_by_power(value, 22) + l->highest;
            out[i] = (int8_t)mcu_clamp(-difference > kept ? result : l->lowest, l->lowest, l->highest);
        }
    }
}

#endif
