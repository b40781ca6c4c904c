/* SignalPCAN: channels times a gain by their noise, and a soft floor. */
#ifndef MCU_SIGNAL_PCAN_H
#define MCU_SIGNAL_PCAN_H

#include "base.h"

/* A parabola between powers of two, from a table of three numbers each, four apart. */
static inline int32_t mcu_pcan_gain(uint32_t noise, const int8_t *gains)
{
    if (noise <= 2) {
        return mcu_load_16(gains + 2 * noise);
    }
    int32_t interval = 0;
    while (interval < 32 && noise >> interval > 0) {
        interval++;
    }
    const int8_t *piece = gains + 2 * (4 * interval - 6);
    const int32_t fraction = (int32_t)((interval < 11 ? noise << (11 - interval) : noise >> (interval - 11)) & 0x3FFu);
    const int32_t bent = (mcu_load_16(piece + 4) * fraction) >> 5;
    const uint32_t sloped = (uint32_t)(bent + mcu_load_16(piece + 2) * 32) * (uint32_t)fraction;
    const int32_t rounded = (int32_t)(sloped + (1u << 14)) >> 15;
    return (int16_t)(uint16_t)((uint32_t)(rounded + mcu_load_16(piece)) & 0xFFFFu);
}

MCU_NOINLINE void mcu_signal_pcan(int32_t count, int32_t shift, const int8_t *channels, const int8_t *noise,
                                   const int8_t *gains, int8_t *out)
{
    for (int32_t i = 0; i < count; i++) {
        const uint32_t gain = (uint32_t)mcu_pcan_gain((uint32_t)mcu_load_32(noise + 4 * i), gains);
        const uint64_t product = (uint64_t)(uint32_t)mcu_load_32(channels + 4 * i) * gain;
        const uint32_t ratio = (uint32_t)(product >> shift); /* 12 fractional bits; the output has 6 */
        const uint32_t shrunk = ratio < 2u << 12 ? (ratio * ratio) >> 20 : (ratio >> 6) - (1u << 6);
        mcu_store_32(out + 4 * i, (int32_t)shrunk);
    }
}

#endif
