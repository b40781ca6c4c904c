/* SignalFilterBankLog: natural logarithms, by the highest bit and a table of 128 straight pieces. */
#ifndef MCU_SIGNAL_FILTER_BANK_LOG_H
#define MCU_SIGNAL_FILTER_BANK_LOG_H

#include "base.h"

/* pieces: log2(1 + x) - x for x = 0, 1 / 128, ..., 1, in units of 2^-16. */
static inline uint32_t mcu_signal_logarithm(uint32_t value, const uint16_t *pieces)
{
    int32_t whole = 31;
    while (value >> whole == 0) {
        whole--;
    }
    const uint32_t behind = value - (1u << whole);
    const uint32_t rest = whole < 16 ? behind << (16 - whole) : behind >> (whole - 16);
    const uint32_t piece = rest / 512;
    const int32_t rise = pieces[piece + 1] - pieces[piece];
    const uint32_t fraction = rest + pieces[piece] + (uint32_t)((rise * (int32_t)(rest - piece * 512)) >> 16);
    const uint64_t in_powers_of_two = ((uint64_t)whole << 16) + fraction;
    return (uint32_t)((45426u * in_powers_of_two + (1u << 15)) >> 16); /* times ln(2) */
}

MCU_NOINLINE void mcu_signal_filter_bank_log(int32_t count, int32_t correction_bits, uint32_t scale,
                                              const uint16_t *pieces, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        const uint32_t value = (uint32_t)mcu_load_32(in + 4 * i) << correction_bits;
        uint32_t scaled = 0;
        if (value > 1) {
            scaled = (scale * mcu_signal_logarithm(value, pieces) + (1u << 15)) >> 16;
        }
        mcu_store_16(out + 2 * i, scaled < INT16_MAX ? (int32_t)scaled : INT16_MAX);
    }
}

#endif
