/* Logistic function and hyperbolic tangent of int16, from one table of sigmoid(i / 24) in 0.16. */
#ifndef MCU_SIGMOID_16_H
#define MCU_SIGMOID_16_H

#include "base.h"

typedef struct {
    const uint16_t *table; /* 256 entries */
    int32_t multiplier, right;
} mcu_sigmoid_layer;

/* The interpolated table at a magnitude with so many bits of fraction; `end` where the table has come to its end. */
MCU_INLINE int64_t mcu_sigmoid(const uint16_t *table, int64_t magnitude, int32_t bits, int64_t end)
{
    const int64_t index = magnitude >> bits;
    if (index >= 255) {
        return end;
    }
    const int64_t low = table[index], high = table[index + 1];
    return low * ((int64_t)1 << bits) + (magnitude & (((int64_t)1 << bits) - 1)) * (high - low);
}

/* An input as it is looked up: the product wraps, which it does for scales of 5 and more. */
MCU_INLINE int64_t mcu_sigmoid_place(const mcu_sigmoid_layer *l, int32_t value)
{
    const uint32_t product = (uint32_t)value * (uint32_t)l->multiplier;
    return (int32_t)(product + ((1u << l->right) >> 1)) >> l->right;
}

MCU_INLINE int32_t mcu_logistic_16(const mcu_sigmoid_layer *l, int32_t value)
{
    const int64_t x = mcu_sigmoid_place(l, value);
    const int64_t result = mcu_sigmoid(l->table, x < 0 ? -x : x, 9, 0x7FFF << 10);
    return mcu_clamp((x >= 0 ? result + 512 : (1 << 25) - result + 511) >> 10, -32768, 32767);
}

MCU_INLINE int32_t mcu_tanh_16(const mcu_sigmoid_layer *l, int32_t value)
{
    const int64_t x = mcu_sigmoid_place(l, value), half = 1 << 23;
    const int64_t result = mcu_sigmoid(l->table, x < 0 ? -x : x, 8, 0xFFFF << 8);
    return mcu_clamp((x >= 0 ? result - half + 128 : half - result + 127) >> 8, -32768, 32767);
}

static inline void mcu_logistics_16(const mcu_sigmoid_layer *l, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        mcu_store_16(out, mcu_logistic_16(l, mcu_load_16(in)));
    }
}

static inline void mcu_tanhs_16(const mcu_sigmoid_layer *l, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        mcu_store_16(out, mcu_tanh_16(l, mcu_load_16(in)));
    }
}

#endif
