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

/* Four sums of one channel to outputs.   m, c, r: see `mcu_rising`. */
#define MCU_PRODUCT_STORE(s0, s1, s2, s3, scaled, clamped)                                                             \
    do {                                                                                                               \
        o0[n] = (int8_t)clamped(scaled(MCU_TWICE(s0), m, c, r));                                                    \
        if (pixels > 1) {                                                                                              \
            o1[n] = (int8_t)clamped(scaled(MCU_TWICE(s1), m, c, r));                                                \
        }                                                                                                              \
        if (pixels > 2) {                                                                                              \
            o2[n] = (int8_t)clamped(scaled(MCU_TWICE(s2), m, c, r));                                                \
        }                                                                                                              \
        if (pixels > 3) {                                                                                              \
            o3[n] = (int8_t)clamped(scaled(MCU_TWICE(s3), m, c, r));                                                \
        }                                                                                                              \
    } while (0)

#define MCU_PRODUCT_CLAMP(a) mcu_within(a, t->lowest, t->highest)

/* The sums of channel n; then n is the next. */
#define MCU_PRODUCT_FINISH(s0, s1, s2, s3)                                                                             \
    do {                                                                                                               \
        if (mode == MCU_CAREFUL) {                                                                                     \
            const int32_t sums[4] = {s0, s1, s2, s3};                                                                  \
            for (int32_t p = 0; p < pixels; p++) {                                                                     \
                to[p][n] = (int8_t)mcu_careful(t, sums[p], n);                                                         \
            }                                                                                                          \
        } else {                                                                                                       \
            const int32_t m = scale[2 * n + 1], r = shift[n] + 1;                                                      \
            const int32_t c = (int32_t)((uint32_t)z << shift[n]);                                                      \
            if (mode == MCU_RISING_8) {                                                                                \
                MCU_PRODUCT_STORE(s0, s1, s2, s3, mcu_rising, mcu_saturate_8);                                         \
            } else if (mode == MCU_RISING) {                                                                           \
                MCU_PRODUCT_STORE(s0, s1, s2, s3, mcu_rising, MCU_PRODUCT_CLAMP);                                      \
            } else if (mode == MCU_SIGNED_8) {                                                                         \
                MCU_PRODUCT_STORE(s0, s1, s2, s3, mcu_signed, mcu_saturate_8);                                         \
            } else {                                                                                                   \
                MCU_PRODUCT_STORE(s0, s1, s2, s3, mcu_signed, MCU_PRODUCT_CLAMP);                                      \
            }                                                                                                          \
        }                                                                                                              \
        n++;                                                                                                           \
        MCU_OPAQUE(n);                                                                                                 \
    } while (0)

#ifdef MCU_SMALL
#define MCU_PRODUCT_LONG 8
#define MCU_PRODUCT_MANY MCU_PRODUCT_FOUR
#else
#define MCU_PRODUCT_LONG 32
#define MCU_PRODUCT_MANY                                                                                               \
    do {                                                                                                               \
        MCU_PRODUCT_FOUR;                                                                                              \
        MCU_PRODUCT_FOUR;                                                                                              \
        MCU_PRODUCT_FOUR;                                                                                              \
        MCU_PRODUCT_FOUR;                                                                                              \
    } while (0)
#endif
#define MCU_PRODUCT_FOUR                                                                                               \
    do {                                                                                                               \
        MCU_PRODUCT_STEP;                                                                                              \
        MCU_PRODUCT_STEP;                                                                                              \
        MCU_PRODUCT_STEP;                                                                                              \
        MCU_PRODUCT_STEP;                                                                                              \
    } while (0)

/* Channels [0, end) of `pixels` pixels: `depth` inputs each, a multiple of 4.   to[p]: channel 0 of pixel p. */
MCU_INLINE void mcu_product(const int32_t pixels, const mcu_mode mode, const uint32_t *w, const mcu_word *columns,
                            int32_t depth, const mcu_channels *t, int32_t end, int8_t *const *to)
{
    const int32_t *scale = t->scale;
    const int8_t *shift = t->shift;
    const int32_t z = 2 * t->zero_point + 1;
    const mcu_word *const long_end = columns + 2 * (depth - depth % MCU_PRODUCT_LONG);
    const mcu_word *const short_end = columns + 2 * (depth - depth % 8);
    const int32_t odd = depth & 4;
    /* Volatile, so that they stay where one load finds them: registers are wanted for sums. */
    int8_t *volatile o0 = to[0], *volatile o1 = to[1], *volatile o2 = to[2], *volatile o3 = to[3];
    for (int32_t n = 0; n < end;) {
        const mcu_word *x = columns;
        int32_t a0 = scale[2 * n], b0 = scale[2 * n + 2];
        int32_t a1 = a0, a2 = a0, a3 = a0, b1 = b0, b2 = b0, b3 = b0;
        while (x != long_end) {
            MCU_PRODUCT_MANY;
        }
        while (x != short_end) {
            MCU_PRODUCT_FOUR;
        }
        if (odd) {
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_STEP;
        }
        MCU_PRODUCT_FINISH(a0, a1, a2, a3);
        if (n == end) {
            break;
        }
        MCU_PRODUCT_FINISH(b0, b1, b2, b3);
    }
}

/* By `mcu_mode`: a function for each count of pixels. */
typedef void mcu_product_function(mcu_mode mode, const uint32_t *w, const mcu_word *columns, int32_t depth,
                                  const mcu_channels *t, int32_t end, int8_t *const *to);

#define MCU_PRODUCT_OF(pixels, name, way)                                                                              \
    MCU_NOINLINE void mcu_product_##pixels##_##name(mcu_mode mode, const uint32_t *w, const mcu_word *columns,         \
                                                    int32_t depth, const mcu_channels *t, int32_t end,                 \
                                                    int8_t *const *to)                                                 \
    {                                                                                                                  \
        (void)mode;                                                                                                    \
        mcu_product(pixels, way, w, columns, depth, t, end, to);                                                       \
    }

MCU_PRODUCT_OF(1, any, mode)
MCU_PRODUCT_OF(2, any, mode)
MCU_PRODUCT_OF(3, any, mode)

#ifdef MCU_SMALL
MCU_PRODUCT_OF(4, any, mode)
#define MCU_PRODUCT_RISING_8 mcu_product_4_any
#define MCU_PRODUCT_SIGNED_8 mcu_product_4_any
#define MCU_PRODUCT_ANY mcu_product_4_any
#else
/* The two usual ways of requantising have a function of their own, if the network uses them (bits of MCU_MODES). */
#ifndef MCU_MODES
#define MCU_MODES 0x1Fu
#endif
#if MCU_MODES & 1u
MCU_PRODUCT_OF(4, rising, MCU_RISING_8)
#define MCU_PRODUCT_RISING_8 mcu_product_4_rising
#else
#define MCU_PRODUCT_RISING_8 0
#endif
#if MCU_MODES & 4u
MCU_PRODUCT_OF(4, signed, MCU_SIGNED_8)
#define MCU_PRODUCT_SIGNED_8 mcu_product_4_signed
#else
#define MCU_PRODUCT_SIGNED_8 0
#endif
#if MCU_MODES & 26u
MCU_PRODUCT_OF(4, any, mode)
#define MCU_PRODUCT_ANY mcu_product_4_any
#else
#define MCU_PRODUCT_ANY 0
#endif
#endif

/* Columns of 1 to 4 pixels times the weights. */
MCU_INLINE void mcu_multiply_columns(int32_t pixels, const uint32_t *w, const mcu_word *columns, int32_t depth,
                                     const mcu_channels *t, int32_t end, int8_t *const *to)
{
    static mcu_product_function *const of_four[5] = {MCU_PRODUCT_RISING_8, MCU_PRODUCT_ANY, MCU_PRODUCT_SIGNED_8,
                                                     MCU_PRODUCT_ANY, MCU_PRODUCT_ANY};
    if (pixels == 4) {
        of_four[t->mode](t->mode, w, columns, depth, t, end, to);
    } else if (pixels == 3) {
        mcu_product_3_any(t->mode, w, columns, depth, t, end, to);
    } else if (pixels == 2) {
        mcu_product_2_any(t->mode, w, columns, depth, t, end, to);
    } else {
        mcu_product_1_any(t->mode, w, columns, depth, t, end, to);
    }
}

#endif
