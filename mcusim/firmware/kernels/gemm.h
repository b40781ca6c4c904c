/* The matrix product under every convolution: up to four pixels by two channels at a time.

   columns: a pixel's inputs as int16, in pairs; the four pixels lie side by side, so that one load brings two of them.

       word 4 * i + p = inputs (k, k + 2) of pixel p for i = 2 k / 4, inputs (k + 1, k + 3) for the next i

   weights: of two channels, bytes (w0[k], w1[k], w0[k + 2], w1[k + 2]), then the same of k + 1: one load and two
   SXTB16 serve both channels. With four pixels that is 13 instructions for 16 products. */
#ifndef MCU_GEMM_H
#define MCU_GEMM_H

#include "base.h"

/* Ways of requantising that the network uses (bits of `mcu_mode`): of the others nothing is built. */
#ifndef MCU_MODES
#define MCU_MODES 0x1Fu
#endif
#define MCU_GOES(way) ((MCU_MODES >> (way) & 1u) && mode == (way))

#define MCU_PRODUCT_STEP                                                                                               \
    do {                                                                                                               \
        MCU_NEXT(w1, w);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        if (pixels == 1) {                                                                                             \
            MCU_NEXT_OF_FOUR(x0, x);                                                                                   \
            MCU_ADD_PRODUCTS(a0, x0, w0);                                                                              \
            MCU_ADD_PRODUCTS(b0, x0, w1);                                                                              \
        } else if (pixels == 2) {                                                                                      \
            MCU_NEXT_PAIR_OF_FOUR(x0, x1, x);                                                                          \
            MCU_ADD_PRODUCTS(a0, x0, w0);                                                                              \
            MCU_ADD_PRODUCTS(b0, x0, w1);                                                                              \
            MCU_ADD_PRODUCTS(a1, x1, w0);                                                                              \
            MCU_ADD_PRODUCTS(b1, x1, w1);                                                                              \
        } else {                                                                                                       \
            MCU_NEXT_PAIR(x0, x1, x);                                                                                  \
            MCU_ADD_PRODUCTS(a0, x0, w0);                                                                              \
            MCU_ADD_PRODUCTS(b0, x0, w1);                                                                              \
            MCU_ADD_PRODUCTS(a1, x1, w0);                                                                              \
            MCU_ADD_PRODUCTS(b1, x1, w1);                                                                              \
            MCU_NEXT_PAIR(x0, x1, x);                                                                                  \
            MCU_ADD_PRODUCTS(a2, x0, w0);                                                                              \
            MCU_ADD_PRODUCTS(b2, x0, w1);                                                                              \
            if (pixels == 4) {                                                                                         \
                MCU_ADD_PRODUCTS(a3, x1, w0);                                                                          \
                MCU_ADD_PRODUCTS(b3, x1, w1);                                                                          \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* The first of them: what the sums begin with stays where it is. */
#define MCU_PRODUCT_FIRST                                                                                              \
    do {                                                                                                               \
        MCU_NEXT(w1, w);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        if (pixels == 1) {                                                                                             \
            MCU_NEXT_OF_FOUR(x0, x);                                                                                   \
        } else if (pixels == 2) {                                                                                      \
            MCU_NEXT_PAIR_OF_FOUR(x0, x1, x);                                                                          \
            a1 = mcu_smlad(x1, w0, a0);                                                                                \
            b1 = mcu_smlad(x1, w1, b0);                                                                                \
        } else {                                                                                                       \
            MCU_NEXT_PAIR(x0, x1, x);                                                                                  \
            a1 = mcu_smlad(x1, w0, a0);                                                                                \
            b1 = mcu_smlad(x1, w1, b0);                                                                                \
            MCU_NEXT_PAIR(x2, x1, x);                                                                                  \
            a2 = mcu_smlad(x2, w0, a0);                                                                                \
            b2 = mcu_smlad(x2, w1, b0);                                                                                \
            if (pixels == 4) {                                                                                         \
                a3 = mcu_smlad(x1, w0, a0);                                                                            \
                b3 = mcu_smlad(x1, w1, b0);                                                                            \
            }                                                                                                          \
        }                                                                                                              \
        MCU_ADD_PRODUCTS(a0, x0, w0);                                                                                  \
        MCU_ADD_PRODUCTS(b0, x0, w1);                                                                                  \
    } while (0)

/* How a sum becomes an output. Two channels have both biases in their table, then both multipliers. Twice the multiplier
   is a bit too long for a register: it is stored less 2^32, and the sum itself is added to the upper half of the
   product. Shifts are stored whole, not less one. */
#define MCU_PRODUCT_RISING(a) mcu_round_and_shift(mcu_smmlar(a, m, a), r, z)
#define MCU_PRODUCT_SIGNED(a) mcu_round_and_shift(mcu_less_if_negative(mcu_smmlar(a, m, a)), r, z)
#define MCU_PRODUCT_WITHIN(a) mcu_within(a, t->lowest, t->highest)

/* The sums of one channel, each where it is. */
#define MCU_PRODUCT_OUTPUTS(s0, s1, s2, s3, scaled, clamped)                                                           \
    do {                                                                                                               \
        s0 = clamped(scaled(s0));                                                                                      \
        if (pixels > 1) {                                                                                              \
            s1 = clamped(scaled(s1));                                                                                  \
        }                                                                                                              \
        if (pixels > 2) {                                                                                              \
            s2 = clamped(scaled(s2));                                                                                  \
        }                                                                                                              \
        if (pixels > 3) {                                                                                              \
            s3 = clamped(scaled(s3));                                                                                  \
        }                                                                                                              \
    } while (0)

#define MCU_PRODUCT_FINISH(s0, s1, s2, s3)                                                                             \
    do {                                                                                                               \
        if (MCU_GOES(MCU_RISING_8)) {                                                                                  \
            MCU_PRODUCT_OUTPUTS(s0, s1, s2, s3, MCU_PRODUCT_RISING, mcu_saturate_8);                                   \
        } else if (MCU_GOES(MCU_RISING)) {                                                                             \
            MCU_PRODUCT_OUTPUTS(s0, s1, s2, s3, MCU_PRODUCT_RISING, MCU_PRODUCT_WITHIN);                               \
        } else if (MCU_GOES(MCU_SIGNED_8)) {                                                                           \
            MCU_PRODUCT_OUTPUTS(s0, s1, s2, s3, MCU_PRODUCT_SIGNED, mcu_saturate_8);                                   \
        } else if (MCU_GOES(MCU_SIGNED)) {                                                                             \
            MCU_PRODUCT_OUTPUTS(s0, s1, s2, s3, MCU_PRODUCT_SIGNED, MCU_PRODUCT_WITHIN);                               \
        }                                                                                                              \
    } while (0)

/* The same of sums as large as registers are; multipliers and shifts are stored as they are elsewhere. */
#define MCU_PRODUCT_CAREFUL(a, channel)                                                                                \
    mcu_careful_output(t, a, pair[2 + channel], shift[n + channel])
#define MCU_PRODUCT_CAREFUL_A(a) MCU_PRODUCT_CAREFUL(a, 0)
#define MCU_PRODUCT_CAREFUL_B(a) MCU_PRODUCT_CAREFUL(a, 1)

#define MCU_PRODUCT_SETTLE(s0, s1, s2, s3)                                                                             \
    do {                                                                                                               \
        MCU_SETTLED(s0);                                                                                               \
        if (pixels > 1) {                                                                                              \
            MCU_SETTLED(s1);                                                                                           \
        }                                                                                                              \
        if (pixels > 2) {                                                                                              \
            MCU_SETTLED(s2);                                                                                           \
        }                                                                                                              \
        if (pixels > 3) {                                                                                              \
            MCU_SETTLED(s3);                                                                                           \
        }                                                                                                              \
    } while (0)

/* The outputs of channel `n`. */
#define MCU_PRODUCT_STORE(s0, s1, s2, s3)                                                                              \
    do {                                                                                                               \
        p0[n] = (int8_t)s0;                                                                                            \
        if (pixels > 1) {                                                                                              \
            p1[n] = (int8_t)s1;                                                                                        \
        }                                                                                                              \
        if (pixels > 2) {                                                                                              \
            p2[n] = (int8_t)s2;                                                                                        \
        }                                                                                                              \
        if (pixels > 3) {                                                                                              \
            p3[n] = (int8_t)s3;                                                                                        \
        }                                                                                                              \
    } while (0)

/* Loads that follow one another take a cycle less each: one pixel leaves registers for four of them. */
#define MCU_PRODUCT_TWICE                                                                                              \
    do {                                                                                                               \
        if (pixels == 1) {                                                                                             \
            MCU_NEXT(w1, w);                                                                                           \
            MCU_NEXT(w3, w);                                                                                           \
            MCU_NEXT_OF_FOUR(x0, x);                                                                                   \
            MCU_NEXT_OF_FOUR(x1, x);                                                                                   \
            w0 = mcu_sxtb16(w1);                                                                                       \
            w1 = mcu_sxtb16_high(w1);                                                                                  \
            MCU_ADD_PRODUCTS(a0, x0, w0);                                                                              \
            MCU_ADD_PRODUCTS(b0, x0, w1);                                                                              \
            w0 = mcu_sxtb16(w3);                                                                                       \
            w3 = mcu_sxtb16_high(w3);                                                                                  \
            MCU_ADD_PRODUCTS(a0, x1, w0);                                                                              \
            MCU_ADD_PRODUCTS(b0, x1, w3);                                                                              \
        } else {                                                                                                       \
            MCU_PRODUCT_STEP;                                                                                          \
            MCU_PRODUCT_STEP;                                                                                          \
        }                                                                                                              \
    } while (0)

#define MCU_PRODUCT_FOUR                                                                                               \
    do {                                                                                                               \
        MCU_PRODUCT_TWICE;                                                                                             \
        MCU_PRODUCT_TWICE;                                                                                             \
    } while (0)

/* Inputs that a turn of the long loop takes. */
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

/* Whether columns of whole turns of the long loop begin with a turn in a straight line. clang spills sums in it. */
#if defined(MCU_SMALL) || defined(__clang__)
#define MCU_PRODUCT_LONG_FIRST 0
#else
#define MCU_PRODUCT_LONG_FIRST 1
#endif

/* Channels [0, end) of `pixels` pixels, of four pixels an even number of channels: `depth` inputs each, a multiple of
   4.   to[p]: channel 0 of pixel p. */
MCU_INLINE void mcu_product(const int32_t pixels, const mcu_mode mode, const uint32_t *w, const mcu_word *columns,
                            int32_t depth, const mcu_channels *t, int32_t end, int8_t *const *to)
{
    /* Volatile, so that they stay where one load finds them: all registers are wanted for sums. */
    const int8_t *const volatile shifts = t->shift;
    const volatile int32_t zero_point = t->zero_point;
    const int32_t is_long = pixels == 4 && MCU_PRODUCT_LONG_FIRST && depth % 32 == 0;
    const int32_t before = is_long ? 32 : depth % 8 ? 4 : 8; /* inputs that stand before the loops */
    const int32_t rest = depth - before;
    const mcu_word *const volatile first_column = columns;
    const mcu_word *const volatile short_end = columns + 2 * (before + rest % MCU_PRODUCT_LONG);
    const mcu_word *const volatile long_end = columns + 2 * depth;
    const volatile int32_t first_inputs = before;
    const int32_t *volatile next_pair = t->scale;
    volatile int32_t next = 0;
    int8_t *const volatile place_0 = to[0], *const volatile place_1 = to[1];
    int8_t *const volatile place_2 = to[2], *const volatile place_3 = to[3];
    const volatile int32_t last = end;
    for (;;) {
        const int32_t first = first_inputs;
        const mcu_word *x = first_column;
        const int32_t *pair = next_pair;
        int32_t a0 = pair[0], b0 = pair[1];
        int32_t a1 = 0, a2 = 0, a3 = 0, b1 = 0, b2 = 0, b3 = 0;
        uint32_t w0, w1, w3, x0, x1, x2;
        if (pixels == 4 && MCU_PRODUCT_LONG_FIRST && first == 32) {
            MCU_PRODUCT_FIRST;
            MCU_PRODUCT_STEP;
            MCU_PRODUCT_TWICE;
            MCU_PRODUCT_FOUR;
            MCU_PRODUCT_FOUR;
            MCU_PRODUCT_FOUR;
        } else {
            if (first == 4) {
                MCU_PRODUCT_FIRST;
                MCU_PRODUCT_STEP;
            } else {
                MCU_PRODUCT_FIRST;
                MCU_PRODUCT_STEP;
                MCU_PRODUCT_TWICE;
            }
            while (x != short_end) {
                MCU_PRODUCT_FOUR;
            }
        }
        while (x != long_end) {
            MCU_PRODUCT_MANY;
        }
        pair = next_pair;
        const int32_t z = zero_point;
        const int8_t *const shift = shifts;
        int32_t n = next;
        next_pair = pair + 4;
        if (MCU_GOES(MCU_CAREFUL)) {
            MCU_PRODUCT_OUTPUTS(a0, a1, a2, a3, MCU_PRODUCT_CAREFUL_A, (int32_t));
            MCU_PRODUCT_OUTPUTS(b0, b1, b2, b3, MCU_PRODUCT_CAREFUL_B, (int32_t));
        } else {
            uint32_t r = mcu_load_half(shift + n);
            int32_t m = pair[2];
            MCU_PRODUCT_FINISH(a0, a1, a2, a3);
            m = pair[3];
            r >>= 8;
            MCU_PRODUCT_FINISH(b0, b1, b2, b3);
        }
        MCU_PRODUCT_SETTLE(a0, a1, a2, a3);
        MCU_PRODUCT_SETTLE(b0, b1, b2, b3);
        int8_t *const p0 = place_0, *const p1 = place_1, *const p2 = place_2, *const p3 = place_3;
        (void)p1, (void)p2, (void)p3;
        n = next;
        const int32_t stop = last;
        MCU_PRODUCT_STORE(a0, a1, a2, a3);
        n++;
        MCU_OPAQUE(n);
        if (pixels < 4 && n == stop) {
            break;
        }
        MCU_PRODUCT_STORE(b0, b1, b2, b3);
        n++;
        next = n;
        if (n >= stop) {
            break;
        }
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
#if (MCU_MODES & 26u) == 2u
MCU_PRODUCT_OF(4, any, MCU_RISING)
#elif (MCU_MODES & 26u) == 8u
MCU_PRODUCT_OF(4, any, MCU_SIGNED)
#elif (MCU_MODES & 26u) == 16u
MCU_PRODUCT_OF(4, any, MCU_CAREFUL)
#elif MCU_MODES & 26u
MCU_PRODUCT_OF(4, any, mode)
#endif
#if MCU_MODES & 26u
#define MCU_PRODUCT_ANY mcu_product_4_any
#else
#define MCU_PRODUCT_ANY 0
#endif
#endif

/* The last channel of an odd number of them, of four pixels. */
MCU_NOINLINE void mcu_product_of_last(const uint32_t *w, const mcu_word *columns, int32_t depth, const mcu_channels *t,
                                      int32_t channel, int8_t *const *to)
{
    mcu_channels last = *t;
    last.scale += 2 * channel;
    last.shift += channel;
    for (int32_t p = 0; p < 4; p++) {
        int8_t *const of_pixel[4] = {to[p] + channel, 0, 0, 0};
        mcu_product_1_any(t->mode, w, columns + p, depth, &last, 1, of_pixel);
    }
}

/* Columns of 1 to 4 pixels times the weights. */
MCU_INLINE void mcu_multiply_columns(int32_t pixels, const uint32_t *w, const mcu_word *columns, int32_t depth,
                                     const mcu_channels *t, int32_t end, int8_t *const *to)
{
    static mcu_product_function *const of_four[5] = {MCU_PRODUCT_RISING_8, MCU_PRODUCT_ANY, MCU_PRODUCT_SIGNED_8,
                                                     MCU_PRODUCT_ANY, MCU_PRODUCT_ANY};
    if (pixels == 4) {
        const int32_t even = end & ~1;
        if (even) {
            of_four[t->mode](t->mode, w, columns, depth, t, even, to);
        }
        if (end != even) {
            mcu_product_of_last(w + even * depth / 4, columns, depth, t, even, to);
        }
    } else if (pixels == 3) {
        mcu_product_3_any(t->mode, w, columns, depth, t, end, to);
    } else if (pixels == 2) {
        mcu_product_2_any(t->mode, w, columns, depth, t, end, to);
    } else {
        mcu_product_1_any(t->mode, w, columns, depth, t, end, to);
    }
}

#endif
