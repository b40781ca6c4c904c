/* SOFTMAX of int8 rows to int8 or int16, from a table of exponentials of differences to the row's maximum. */
#ifndef MCU_SOFTMAX_H
#define MCU_SOFTMAX_H

#include "fixed_point.h"

/* `rows` rows of `channels` elements.   bits: of an output element, whose lowest value stands for 0. */
MCU_NOINLINE void mcu_softmax(const int32_t *exponentials, int32_t bits, const int8_t *in, int8_t *out, int32_t rows,
                               int32_t channels)
{
    const int32_t lowest = bits == 8 ? -128 : -32768, highest = -1 - lowest;
    for (; rows > 0; rows--, in += channels, out += channels * (bits / 8)) {
        int32_t largest = -128, sum = 0, above;
        for (int32_t i = 0; i < channels; i++) {
            largest = in[i] > largest ? in[i] : largest;
        }
        for (int32_t i = 0; i < channels; i++) {
            sum = mcu_add_wrapping(sum, mcu_divide_by_power(exponentials[largest - in[i]], 12));
        }
        const int32_t inverse = mcu_reciprocal(sum, 12, &above);
        for (int32_t i = 0; i < channels; i++) {
            const int32_t product = mcu_multiply_high(inverse, exponentials[largest - in[i]]);
            const int32_t value =
                mcu_clamp((int64_t)mcu_divide_by_power(product, above + 31 - bits) + lowest, lowest, highest);
            if (bits == 8) {
                out[i] = (int8_t)value;
            } else {
                mcu_store_16(out + 2 * i, value);
            }
        }
    }
}

#endif
