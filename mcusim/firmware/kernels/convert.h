/* QUANTIZE and DEQUANTIZE: real numbers to integers and back, and integers to another scale and width. */
#ifndef MCU_CONVERT_H
#define MCU_CONVERT_H

#include "base.h"

typedef enum { MCU_INT8, MCU_UINT8, MCU_INT16, MCU_INT32, MCU_INT64 } mcu_type;

MCU_INLINE int32_t mcu_bytes_of(mcu_type type)
{
    return type == MCU_INT64 ? 8 : type == MCU_INT32 ? 4 : type == MCU_INT16 ? 2 : 1;
}

/* Of 64 bits, the lower half. */
MCU_INLINE int32_t mcu_read(mcu_type type, const int8_t *from)
{
    switch (type) {
    case MCU_INT8:
        return *from;
    case MCU_UINT8:
        return (uint8_t)*from;
    case MCU_INT16:
        return mcu_load_16(from);
    default:
        return mcu_load_32(from);
    }
}

MCU_INLINE void mcu_write(mcu_type type, int8_t *to, int32_t value)
{
    switch (type) {
    case MCU_INT8:
    case MCU_UINT8:
        *to = (int8_t)(uint8_t)((uint32_t)value & 0xFFu);
        break;
    case MCU_INT16:
        mcu_store_16(to, value);
        break;
    case MCU_INT64:
        mcu_store_32(to + 4, value < 0 ? -1 : 0);
        mcu_store_32(to, value);
        break;
    default:
        mcu_store_32(to, value);
    }
}

/* Integers of one scale to integers of another. */
static inline void mcu_rescale_all(mcu_type from_type, mcu_type to_type, int32_t from_zero_point,
                                   const mcu_stage *stage, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += mcu_bytes_of(from_type), out += mcu_bytes_of(to_type)) {
        const int32_t x = (int32_t)((uint32_t)mcu_read(from_type, in) - (uint32_t)from_zero_point);
        mcu_write(to_type, out, mcu_staged(x, stage));
    }
}

/* Real numbers to integers: the quotient to the nearest, halves away from zero. What no int32 holds saturates. */
static inline void mcu_quantize(mcu_type type, float scale, int32_t zero_point, int32_t lowest, int32_t highest,
                                const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 4, out += mcu_bytes_of(type)) {
        float real;
        memcpy(&real, in, sizeof real);
        const float quotient = real / scale;
        int64_t whole;
        if (quotient >= 2147483648.0f) {
            whole = INT32_MAX;
        } else if (quotient <= -2147483648.0f) {
            whole = INT32_MIN;
        } else if (quotient != quotient) {
            whole = 0;
        } else {
            const int32_t cut = (int32_t)quotient;
            const float rest = quotient - (float)cut;
            whole = (int64_t)cut + (rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0);
        }
        mcu_write(type, out, mcu_clamp(whole + zero_point, lowest, highest));
    }
}

/* CAST of integers: they wrap; bool is 0 or 1. */
static inline void mcu_cast(mcu_type from_type, mcu_type to_type, int32_t to_bool, const int8_t *in, int8_t *out,
                            int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += mcu_bytes_of(from_type), out += mcu_bytes_of(to_type)) {
        const int32_t x = mcu_read(from_type, in), above = from_type == MCU_INT64 ? mcu_load_32(in + 4) : 0;
        if (to_type == MCU_INT64 && from_type == MCU_INT64) {
            MCU_MOVE_BYTES(out, in, 8);
        } else {
            mcu_write(to_type, out, to_bool ? (x | above) != 0 : x);
        }
    }
}

/* Integers to the real numbers that they stand for: the product is formed in double and rounded. */
static inline void mcu_dequantize(mcu_type type, double scale, int32_t zero_point, const int8_t *in, int8_t *out,
                                  int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += mcu_bytes_of(type), out += 4) {
        const float real = (float)(scale * (double)(mcu_read(type, in) - zero_point));
        memcpy(out, &real, sizeof real);
    }
}

#endif
