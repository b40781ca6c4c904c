/* The matrix product under every convolution: up to four pixels by two channels at a time.

   columns: a pixel's inputs as int16, in pairs; the four pixels lie side by side, so that one load brings two of them.

       word 4 * i + p = inputs (k, k + 2) of pixel p for i = 2 k / 4, inputs (k + 1, k + 3) for the next i

   weights: of two channels, bytes (w0[k], w1[k], w0[k + 2], w1[k + 2]), then the same of k + 1: one load and two
   SXTB16 serve both channels. With four pixels that is 13 instructions for 16 products. */
#ifndef MCU_GEMM_H
#define MCU_GEMM_H

#include "base.h"

#define MCU_PRODUCT_STEP                                                                                               \
    do {                                                                                                               \
        uint32_t w0, w1, x0, x1;                                                                                       \
        MCU_NEXT(w1, w);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        if (pixels == 1) {                                                                                             \
            MCU_NEXT_OF_FOUR(x0, x);                                                                                   \
            a0 = mcu_smlad(x0, w0, a0);                                                                                \
            b0 = mcu_smlad(x0, w1, b0);                                                                                \
        } else if (pixels == 2) {                                                                                      \
            MCU_NEXT_PAIR_OF_FOUR(x0, x1, x);                                                                          \
            a0 = mcu_smlad(x0, w0, a0);                                                                                \
            b0 = mcu_smlad(x0, w1, b0);                                                                                \
            a1 = mcu_smlad(x1, w0, a1);                                                                                \
            b1 = mcu_smlad(x1, w1, b1);                                                                                \
        } else {                                                                                                       \
            MCU_NEXT_PAIR(x0, x1, x);                                                                                  \
            a0 = mcu_smlad(x0, w0, a0);                                                                                \
            b0 = mcu_smlad(x0, w1, b0);                                                                                \
            a1 = mcu_smlad(x1, w0, a1);                                                                                \
            b1 = mcu_smlad(x1, w1, b1);                                                                                \
            MCU_NEXT_PAIR(x0, x1, x);                                                                                  \
            a2 = mcu_smlad(x0, w0, a2);                                                                                \
            b2 = mcu_smlad(x0, w1, b2);                                                                                \
            if (pixels == 4) {                                                                                         \
                a3 = mcu_smlad(x1, w0, a3);                                                                            \
                b3 = mcu_smlad(x1, w1, b3);                                                                            \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

#define MCU_TWICE(a) ((int32_t)((uint32_t)(a) << 1))

#define MCU_PRODUCT_STORE(channel, s0, s1, s2, s3, scaled, clamped)                                                    \
    do {                                                                                                               \
        const int32_t m = t->multiplier[channel], r = t->shift[channel];                                               \
        const int32_t c = (int32_t)((uint32_t)(2 * t->zero_point + 1) << r);                                           \
        to[0][channel] = (int8_t)clamped(scaled(MCU_TWICE(s0), m, c, r + 1));                                          \
        if (pixels > 1) {                                                                                              \
            to[1][channel] = (int8_t)clamped(scaled(MCU_TWICE(s1), m, c, r + 1));                                      \
        }                                                                                                              \
        if (pixels > 2) {                                                                                              \
            to[2][channel] = (int8_t)clamped(scaled(MCU_TWICE(s2), m, c, r + 1));                                      \
        }                                                                                                              \
        if (pixels > 3) {                                                                                              \
            to[3][channel] = (int8_t)clamped(scaled(MCU_TWICE(s3), m, c, r + 1));                                      \
        }                                                                                                              \
    } while (0)

#define MCU_PRODUCT_CLAMP(a) mcu_within(a, t->lowest, t->highest)

/* The ways of requantising that a network uses, a bit for each `mcu_mode`: others take no room. */
#ifndef MCU_MODES
#define MCU_MODES 0x1Fu
#endif
#define MCU_IS(way) ((MCU_MODES >> (way) & 1u) && t->mode == (way))

#define MCU_PRODUCT_FINISH(channel, s0, s1, s2, s3)                                                                    \
    do {                                                                                                               \
        if (MCU_IS(MCU_RISING_8)) {                                                                                    \
            MCU_PRODUCT_STORE(channel, s0, s1, s2, s3, mcu_rising, mcu_saturate_8);                                    \
        } else if (MCU_IS(MCU_RISING)) {                                                                               \
            MCU_PRODUCT_STORE(channel, s0, s1, s2, s3, mcu_rising, MCU_PRODUCT_CLAMP);                                 \
        } else if (MCU_IS(MCU_SIGNED_8)) {                                                                             \
            MCU_PRODUCT_STORE(channel, s0, s1, s2, s3, mcu_signed, mcu_saturate_8);                                    \
        } else if (MCU_IS(MCU_SIGNED)) {                                                                               \
            MCU_PRODUCT_STORE(channel, s0, s1, s2, s3, mcu_signed, MCU_PRODUCT_CLAMP);                                 \
        } else if (MCU_IS(MCU_CAREFUL)) {                                                                              \
            const int32_t sums[4] = {s0, s1, s2, s3};                                                                  \
            for (int32_t p = 0; p < pixels; p++) {                                                                     \
                to[p][channel] = (int8_t)mcu_careful(t, sums[p], channel);                                             \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* Channels [0, end) of `pixels` pixels: `depth` inputs each, a multiple of 4.   to[p]: channel 0 of pixel p. */
MCU_INLINE void mcu_product(const int32_t pixels, const uint32_t *w, const mcu_word *columns, int32_t depth,
                            const mcu_channels *t, int32_t end, int8_t *const *to)
{
    for (int32_t n = 0; n < end; n += 2) {
        const mcu_word *x = columns;
        int32_t a0 = t->bias[n], b0 = t->bias[n + 1];
        int32_t a1 = a0, a2 = a0, a3 = a0, b1 = b0, b2 = b0, b3 = b0;
        for (const mcu_word *stop = x + depth / 16 * 32; x != stop;) {
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
        }
        for (const mcu_word *stop = columns + depth * 2; x != stop;) {
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
        }
        MCU_PRODUCT_FINISH(n, a0, a1, a2, a3);
        if (n + 1 < end) {
            MCU_PRODUCT_FINISH(n + 1, b0, b1, b2, b3);
        }
    }
}

#define MCU_PRODUCT_OF(pixels)                                                                                         \
    MCU_NOINLINE void mcu_product_##pixels(const uint32_t *w, const mcu_word *columns, int32_t depth,                  \
                                           const mcu_channels *t, int32_t end, int8_t *const *to)       \
    {                                                                                                                  \
        mcu_product(pixels, w, columns, depth, t, end, to);                                                            \
    }
MCU_PRODUCT_OF(1)
MCU_PRODUCT_OF(2)
MCU_PRODUCT_OF(3)
MCU_PRODUCT_OF(4)
#undef MCU_PRODUCT_OF

#endif
