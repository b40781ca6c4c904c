/* SOFTMAX of int16 rows: exponentials and reciprocals interpolated in tables of 513. */
#ifndef MCU_SOFTMAX_16_H
#define MCU_SOFTMAX_16_H

#include "fixed_point.h"

typedef struct {
    const int16_t *exponentials, *reciprocals;
    int32_t multiplier, shift;
} mcu_softmax_16_layer;

MCU_INLINE int32_t mcu_interpolate(const int16_t *table, int32_t value)
{
    const int32_t index = 256 + (value >> 7);
    return table[index] + (((table[index + 1] - table[index]) * (value & 0x7F) + 64) >> 7);
}

MCU_INLINE int32_t mcu_exponential(const mcu_softmax_16_layer *l, int32_t difference)
{
    const int64_t scaled = mcu_rescale(-difference, l->multiplier, l->shift);
    return mcu_interpolate(l->exponentials, mcu_clamp(scaled + 32767, -32768, 32767));
}

static inline void mcu_softmax_16(const mcu_softmax_16_layer *l, const int8_t *in, int8_t *out, int32_t rows,
                                  int32_t channels)
{
    for (; rows > 0; rows--, in += 2 * channels, out += 2 * channels) {
        int32_t largest = -32768;
        int64_t total = 0;
        for (int32_t i = 0; i < channels; i++) {
            const int32_t v = mcu_load_16(in + 2 * i);
            largest = v > largest ? v : largest;
        }
        for (int32_t i = 0; i < channels; i++) {
            total += mcu_exponential(l, largest - mcu_load_16(in + 2 * i));
        }
        const int32_t headroom = mcu_leading_zeros((uint32_t)total), right = 31 - headroom;
        const int64_t shifted = (total * ((int64_t)1 << (headroom - 1)) + (1 << 13)) >> 14;
        const int32_t inverse =
            mcu_interpolate(l->reciprocals, mcu_clamp(shifted - ((1 << 15) + (1 << 16)), -32768, 32767));
        for (int32_t i = 0; i < channels; i++) {
            const int64_t product = (int64_t)mcu_exponential(l, largest - mcu_load_16(in + 2 * i)) * inverse;
            mcu_store_16(out + 2 * i, mcu_clamp((product + ((int64_t)1 << (right - 1))) >> right, 0, 32767));
        }
    }
}

#endif
