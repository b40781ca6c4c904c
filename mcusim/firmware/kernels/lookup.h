/* Operators that map each int8 element by itself: a table at the input's bit pattern. */
#ifndef MCU_LOOKUP_H
#define MCU_LOOKUP_H

#include "base.h"

static inline void mcu_lookup(const int8_t *table, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = table[(uint8_t)in[i]];
    }
}

#endif
