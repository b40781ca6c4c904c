/* Operators of two inputs that take elements as they are: int32, which wraps as registers do, and booleans. */
#ifndef MCU_PLAIN_H
#define MCU_PLAIN_H

#include "relation.h"

typedef enum { MCU_ADD, MCU_SUBTRACT, MCU_MULTIPLY, MCU_MAXIMUM, MCU_MINIMUM, MCU_SQUARED_DIFFERENCE, MCU_DIVIDE } mcu_operation;

/* a / b, cut towards 0, which wraps. By 0 it is the end of the range on the side of `a`. */
MCU_INLINE int32_t mcu_quotient_32(int32_t a, int32_t b)
{
    if (b == 0) {
        return a < 0 ? INT32_MIN : INT32_MAX;
    }
    return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

MCU_INLINE int32_t mcu_computed_32(mcu_operation operation, int32_t a, int32_t b)
{
    const uint32_t x = (uint32_t)a, y = (uint32_t)b;
    switch (operation) {
    case MCU_ADD:
        return (int32_t)(x + y);
    case MCU_SUBTRACT:
        return (int32_t)(x - y);
    case MCU_MULTIPLY:
        return (int32_t)(x * y);
    case MCU_MAXIMUM:
        return a > b ? a : b;
    case MCU_MINIMUM:
        return a < b ? a : b;
    case MCU_DIVIDE:
        return mcu_quotient_32(a, b);
    default:
        return (int32_t)((x - y) * (x - y));
    }
}

/* `count` elements, clamped; an operand's step is 1, or 0 where one element serves all. */
MCU_NOINLINE void mcu_plain_32(mcu_operation operation, int32_t lowest, int32_t highest, const int8_t *a, int32_t a_step,
                               const int8_t *b, int32_t b_step, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 4 * a_step, b += 4 * b_step, out += 4) {
        mcu_store_32(out, mcu_clamp(mcu_computed_32(operation, mcu_load_32(a), mcu_load_32(b)), lowest, highest));
    }
}

MCU_NOINLINE void mcu_relate_32(mcu_relation relation, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                                int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += 4 * a_step, b += 4 * b_step) {
        out[i] = (int8_t)mcu_holds(relation, mcu_load_32(a), mcu_load_32(b));
    }
}

MCU_NOINLINE void mcu_relate_8(mcu_relation relation, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step,
                               int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, a += a_step, b += b_step) {
        out[i] = (int8_t)mcu_holds(relation, *a, *b);
    }
}

#endif
