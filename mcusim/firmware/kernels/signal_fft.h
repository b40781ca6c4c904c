/* SignalRfft and SignalIrfft in 16 and 32 bits of fixed point, as KISS FFT computes them.

   A real signal of 2 n samples is a complex one of n: even samples real, odd imaginary. That is transformed by radices
   4, 2, 3 and 5, in this order, decimated in time, and its two halves are then told apart. Before each stage numbers
   are divided by its radix, so that nothing overflows; where something does, it wraps. */
#ifndef MCU_SIGNAL_FFT_H
#define MCU_SIGNAL_FFT_H

#include "base.h"

#define MCU_FFT_STAGES 16

typedef struct {
    int32_t real, imaginary;
} mcu_complex;

/* half: n.   given: samples of a frame (SignalRfft); shorter ones are filled up with zeros.   wide: 32 bits, not 16.
   inverse: back to samples.   radices: of the stages.   turns: cosines and sines of n angles.   ends: of n / 2. */
typedef struct {
    int32_t frames, half, given, wide, inverse, stages;
    int32_t radices[MCU_FFT_STAGES];
    const int32_t *turns;
    const int32_t *ends;
} mcu_signal_fft_layer;

MCU_INLINE int32_t mcu_fft_wrapped(const mcu_signal_fft_layer *l, int64_t value)
{
    return l->wide ? (int32_t)(uint32_t)(uint64_t)value : (int16_t)(uint16_t)(uint64_t)value;
}

/* A sum of products as a number again; in 16 bits the sum itself has 32. */
MCU_INLINE int32_t mcu_fft_rounded(const mcu_signal_fft_layer *l, int64_t products)
{
    if (l->wide) {
        return mcu_fft_wrapped(l, (products + ((int64_t)1 << 30)) >> 31);
    }
    return mcu_fft_wrapped(l, (int32_t)(uint32_t)(uint64_t)(products + (1 << 14)) >> 15);
}

MCU_INLINE mcu_complex mcu_fft_scaled(const mcu_signal_fft_layer *l, mcu_complex a, int32_t by)
{
    const mcu_complex scaled = {mcu_fft_rounded(l, (int64_t)a.real * by), mcu_fft_rounded(l, (int64_t)a.imaginary * by)};
    return scaled;
}

MCU_INLINE mcu_complex mcu_fft_divided(const mcu_signal_fft_layer *l, mcu_complex a, int32_t by)
{
    return mcu_fft_scaled(l, a, (l->wide ? INT32_MAX : INT16_MAX) / by);
}

MCU_INLINE mcu_complex mcu_fft_turned(const mcu_signal_fft_layer *l, mcu_complex a, const int32_t *by)
{
    const int64_t real = (int64_t)a.real * by[0], imaginary = (int64_t)a.real * by[1];
    const mcu_complex turned = {
        mcu_fft_rounded(l, real - (int64_t)a.imaginary * by[1]),
        mcu_fft_rounded(l, imaginary + (int64_t)a.imaginary * by[0]),
    };
    return turned;
}

MCU_INLINE mcu_complex mcu_fft_sum(const mcu_signal_fft_layer *l, mcu_complex a, mcu_complex b)
{
    const mcu_complex sum = {
        mcu_fft_wrapped(l, (int64_t)a.real + b.real),
        mcu_fft_wrapped(l, (int64_t)a.imaginary + b.imaginary),
    };
    return sum;
}

MCU_INLINE mcu_complex mcu_fft_difference(const mcu_signal_fft_layer *l, mcu_complex a, mcu_complex b)
{
    const mcu_complex difference = {
        mcu_fft_wrapped(l, (int64_t)a.real - b.real),
        mcu_fft_wrapped(l, (int64_t)a.imaginary - b.imaginary),
    };
    return difference;
}

/* a + i b and a - i b. */
MCU_INLINE mcu_complex mcu_fft_ahead(const mcu_signal_fft_layer *l, mcu_complex a, mcu_complex b)
{
    const mcu_complex turned = {
        mcu_fft_wrapped(l, (int64_t)a.real - b.imaginary),
        mcu_fft_wrapped(l, (int64_t)a.imaginary + b.real),
    };
    return turned;
}

MCU_INLINE mcu_complex mcu_fft_behind(const mcu_signal_fft_layer *l, mcu_complex a, mcu_complex b)
{
    const mcu_complex turned = {
        mcu_fft_wrapped(l, (int64_t)a.real + b.imaginary),
        mcu_fft_wrapped(l, (int64_t)a.imaginary - b.real),
    };
    return turned;
}

/* One number of each part, `step` apart, joined by a stage.   first, second: of the turns that the radix itself has. */
static inline void mcu_fft_join(const mcu_signal_fft_layer *l, int32_t radix, mcu_complex *at, int32_t step,
                                mcu_complex a, mcu_complex b, mcu_complex c, mcu_complex d, mcu_complex e,
                                const int32_t *first, const int32_t *second)
{
    if (radix == 2) {
        at[0] = mcu_fft_sum(l, a, b);
        at[step] = mcu_fft_difference(l, a, b);
    } else if (radix == 4) {
        const mcu_complex sum = mcu_fft_sum(l, a, c), difference = mcu_fft_difference(l, a, c);
        const mcu_complex side = mcu_fft_sum(l, b, d), cross = mcu_fft_difference(l, b, d);
        const mcu_complex ahead = mcu_fft_ahead(l, difference, cross), behind = mcu_fft_behind(l, difference, cross);
        at[0] = mcu_fft_sum(l, sum, side);
        at[step] = l->inverse ? ahead : behind;
        at[2 * step] = mcu_fft_difference(l, sum, side);
        at[3 * step] = l->inverse ? behind : ahead;
    } else if (radix == 3) {
        const mcu_complex sum = mcu_fft_sum(l, b, c);
        const mcu_complex half = {sum.real >> 1, sum.imaginary >> 1};
        const mcu_complex cross = mcu_fft_scaled(l, mcu_fft_difference(l, b, c), first[1]);
        const mcu_complex middle = mcu_fft_difference(l, a, half);
        at[0] = mcu_fft_sum(l, a, sum);
        at[step] = mcu_fft_ahead(l, middle, cross);
        at[2 * step] = mcu_fft_behind(l, middle, cross);
    } else {
        const mcu_complex outer = mcu_fft_sum(l, b, e), outer_cross = mcu_fft_difference(l, b, e);
        const mcu_complex inner = mcu_fft_sum(l, c, d), inner_cross = mcu_fft_difference(l, c, d);
        const mcu_complex near = mcu_fft_sum(l, mcu_fft_sum(l, a, mcu_fft_scaled(l, outer, first[0])),
                                             mcu_fft_scaled(l, inner, second[0]));
        const mcu_complex far = mcu_fft_sum(l, mcu_fft_sum(l, a, mcu_fft_scaled(l, outer, second[0])),
                                            mcu_fft_scaled(l, inner, first[0]));
        const mcu_complex near_cross =
            mcu_fft_sum(l, mcu_fft_scaled(l, outer_cross, first[1]), mcu_fft_scaled(l, inner_cross, second[1]));
        const mcu_complex far_cross =
            mcu_fft_difference(l, mcu_fft_scaled(l, inner_cross, first[1]), mcu_fft_scaled(l, outer_cross, second[1]));
        at[0] = mcu_fft_sum(l, a, mcu_fft_sum(l, outer, inner));
        at[step] = mcu_fft_ahead(l, near, near_cross);
        at[2 * step] = mcu_fft_behind(l, far, far_cross);
        at[3 * step] = mcu_fft_ahead(l, far, far_cross);
        at[4 * step] = mcu_fft_behind(l, near, near_cross);
    }
}

/* All stages, the innermost first: the last radix joins neighbours. */
static inline void mcu_fft_stages(const mcu_signal_fft_layer *l, mcu_complex *x)
{
    int32_t size = 1;
    for (int32_t stage = l->stages - 1; stage >= 0; stage--) {
        const int32_t radix = l->radices[stage], stride = l->half / (size * radix);
        const int32_t *first = l->turns + 2 * stride * size;
        const int32_t *second = l->turns + 2 * (2 * stride * size % l->half);
        for (int32_t block = 0; block < l->half; block += size * radix) {
            for (int32_t k = 0; k < size; k++) {
                mcu_complex part[5] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}};
                for (int32_t q = 0; q < radix; q++) {
                    part[q] = mcu_fft_divided(l, x[block + k + q * size], radix);
                    if (q > 0) {
                        part[q] = mcu_fft_turned(l, part[q], l->turns + 2 * k * q * stride);
                    }
                }
                mcu_fft_join(l, radix, x + block + k, size, part[0], part[1], part[2], part[3], part[4], first, second);
            }
        }
        size *= radix;
    }
}

/* Where number `index` of the signal lies before the first stage: its digits, by the radices, in reverse. */
MCU_INLINE int32_t mcu_fft_place(const mcu_signal_fft_layer *l, int32_t index)
{
    int32_t place = 0, size = l->half;
    for (int32_t stage = 0; stage < l->stages; stage++) {
        size /= l->radices[stage];
        place += index % l->radices[stage] * size;
        index /= l->radices[stage];
    }
    return place;
}

MCU_INLINE int32_t mcu_fft_load(const mcu_signal_fft_layer *l, const int8_t *from, int32_t index)
{
    return l->wide ? mcu_load_32(from + 4 * index) : mcu_load_16(from + 2 * index);
}

MCU_INLINE void mcu_fft_store(const mcu_signal_fft_layer *l, int8_t *to, int32_t index, int64_t value)
{
    if (l->wide) {
        mcu_store_32(to + 4 * index, mcu_fft_wrapped(l, value));
    } else {
        mcu_store_16(to + 2 * index, mcu_fft_wrapped(l, value));
    }
}

static inline void mcu_fft_store_pair(const mcu_signal_fft_layer *l, int8_t *to, int32_t index, int64_t real,
                                      int64_t imaginary)
{
    mcu_fft_store(l, to, 2 * index, real);
    mcu_fft_store(l, to, 2 * index + 1, imaginary);
}

static inline void mcu_fft_forward(const mcu_signal_fft_layer *l, const int8_t *in, mcu_complex *x, int8_t *out)
{
    for (int32_t i = 0; i < l->half; i++) {
        const mcu_complex pair = {
            2 * i < l->given ? mcu_fft_load(l, in, 2 * i) : 0,
            2 * i + 1 < l->given ? mcu_fft_load(l, in, 2 * i + 1) : 0,
        };
        x[mcu_fft_place(l, i)] = pair;
    }
    mcu_fft_stages(l, x);
    const mcu_complex first = mcu_fft_divided(l, x[0], 2);
    mcu_fft_store_pair(l, out, 0, (int64_t)first.real + first.imaginary, 0);
    mcu_fft_store_pair(l, out, l->half, (int64_t)first.real - first.imaginary, 0);
    for (int32_t k = 1; k <= l->half / 2; k++) {
        const mcu_complex mirrored = {x[l->half - k].real, mcu_fft_wrapped(l, -(int64_t)x[l->half - k].imaginary)};
        const mcu_complex low = mcu_fft_divided(l, x[k], 2), high = mcu_fft_divided(l, mirrored, 2);
        const mcu_complex even = mcu_fft_sum(l, low, high);
        const mcu_complex odd = mcu_fft_turned(l, mcu_fft_difference(l, low, high), l->ends + 2 * (k - 1));
        mcu_fft_store_pair(l, out, k, ((int64_t)even.real + odd.real) >> 1, ((int64_t)even.imaginary + odd.imaginary) >> 1);
        mcu_fft_store_pair(l, out, l->half - k, ((int64_t)even.real - odd.real) >> 1,
                           ((int64_t)odd.imaginary - even.imaginary) >> 1);
    }
}

static inline void mcu_fft_backward(const mcu_signal_fft_layer *l, const int8_t *in, mcu_complex *x, int8_t *out)
{
    const int32_t low_end = mcu_fft_load(l, in, 0), high_end = mcu_fft_load(l, in, 2 * l->half);
    const mcu_complex first = {
        mcu_fft_wrapped(l, (int64_t)low_end + high_end),
        mcu_fft_wrapped(l, (int64_t)low_end - high_end),
    };
    x[0] = mcu_fft_divided(l, first, 2);
    for (int32_t k = 1; k <= l->half / 2; k++) {
        const int32_t other = l->half - k;
        const mcu_complex given = {mcu_fft_load(l, in, 2 * k), mcu_fft_load(l, in, 2 * k + 1)};
        const mcu_complex mirrored = {
            mcu_fft_load(l, in, 2 * other),
            mcu_fft_wrapped(l, -(int64_t)mcu_fft_load(l, in, 2 * other + 1)),
        };
        const mcu_complex low = mcu_fft_divided(l, given, 2), high = mcu_fft_divided(l, mirrored, 2);
        const mcu_complex even = mcu_fft_sum(l, low, high);
        const mcu_complex odd = mcu_fft_turned(l, mcu_fft_difference(l, low, high), l->ends + 2 * (k - 1));
        mcu_complex rest = mcu_fft_difference(l, even, odd);
        rest.imaginary = mcu_fft_wrapped(l, -(int64_t)rest.imaginary);
        x[mcu_fft_place(l, k)] = mcu_fft_sum(l, even, odd);
        x[mcu_fft_place(l, other)] = rest;
    }
    mcu_fft_stages(l, x);
    for (int32_t i = 0; i < l->half; i++) {
        mcu_fft_store_pair(l, out, i, x[i].real, x[i].imaginary);
    }
}

/* scratch: n complex numbers. */
MCU_NOINLINE void mcu_signal_fft(const mcu_signal_fft_layer *l, const int8_t *in, int8_t *scratch, int8_t *out)
{
    mcu_complex *x = (mcu_complex *)(void *)scratch;
    const int32_t bytes = l->wide ? 4 : 2, frequencies = 2 * (l->half + 1) * bytes, samples = 2 * l->half * bytes;
    for (int32_t frame = 0; frame < l->frames; frame++) {
        if (l->inverse) {
            mcu_fft_backward(l, in, x, out);
            in += frequencies;
            out += samples;
        } else {
            mcu_fft_forward(l, in, x, out);
            in += l->given * bytes;
            out += frequencies;
        }
    }
}

#endif
