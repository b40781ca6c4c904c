/* FULLY_CONNECTED, and 1x1 convolution of a single pixel: the weights of the matrix product (gemm.h), inputs read as they
   lie, four units at a time. */
#ifndef MCU_FULLY_CONNECTED_H
#define MCU_FULLY_CONNECTED_H

#include "base.h"

typedef struct {
    const uint32_t *weights;
    mcu_channels channels;
    int32_t depth; /* inputs; the weights are filled up to a multiple of 4 */
    int32_t units;
    int32_t rows;
    int32_t zero_point;         /* of the inputs, and of the weights where they have one */
    int32_t weights_zero_point;
} mcu_fully_connected_layer;

#define MCU_DOT_STEP                                                                                                   \
    do {                                                                                                               \
        uint32_t w0, w1;                                                                                               \
        MCU_NEXT(w1, u);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        a = mcu_smlad(x0, w0, a);                                                                                      \
        b = mcu_smlad(x0, w1, b);                                                                                      \
        MCU_NEXT(w1, u);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        a = mcu_smlad(x1, w0, a);                                                                                      \
        b = mcu_smlad(x1, w1, b);                                                                                      \
        MCU_NEXT(w1, v);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        c = mcu_smlad(x0, w0, c);                                                                                      \
        d = mcu_smlad(x0, w1, d);                                                                                      \
        MCU_NEXT(w1, v);                                                                                               \
        w0 = mcu_sxtb16(w1);                                                                                           \
        w1 = mcu_sxtb16_high(w1);                                                                                      \
        c = mcu_smlad(x1, w0, c);                                                                                      \
        d = mcu_smlad(x1, w1, d);                                                                                      \
    } while (0)

static inline int8_t mcu_dense_output(const mcu_channels *t, int32_t sum, int32_t unit)
{
    return (int8_t)mcu_requantised(t, sum, unit);
}

MCU_NOINLINE void mcu_fully_connected(const mcu_fully_connected_layer *l, const int8_t *in, int8_t *out)
{
    const mcu_channels *t = &l->channels;
    const int32_t words = l->depth >> 2, rest = l->depth & 3;
    const int32_t pair_words = 2 * ((l->depth + 3) >> 2);
    for (int32_t row = 0; row < l->rows; row++, in += l->depth, out += l->units) {
        int32_t extra = 0; /* what the zero point of the weights adds to every sum */
        if (l->weights_zero_point) {
            for (int32_t i = 0; i < l->depth; i++) {
                extra = mcu_add_wrapping(extra, l->weights_zero_point * (l->zero_point - in[i]));
            }
        }
        for (int32_t n = 0; n < l->units; n += 4) {
            const int32_t units = l->units - n;
            const int32_t second = units > 2 ? n + 2 : n; /* the last two units are their own neighbours */
            const uint32_t *u = l->weights + (n >> 1) * pair_words, *v = l->weights + (second >> 1) * pair_words;
            int32_t a = mcu_add_wrapping(t->scale[2 * n], extra), b = mcu_add_wrapping(t->scale[2 * (n + 1)], extra);
            int32_t c = mcu_add_wrapping(t->scale[2 * second], extra), d = mcu_add_wrapping(t->scale[2 * (second + 1)], extra);
            const int8_t *x = in;
            for (const int8_t *end = in + 4 * words; x != end; x += 4) {
                const uint32_t word = mcu_load_word(x);
                const uint32_t x0 = mcu_sxtb16(word), x1 = mcu_sxtb16_high(word);
                MCU_DOT_STEP;
            }
            if (rest) {
                const uint32_t word = mcu_load_some(x, rest);
                const uint32_t x0 = mcu_sxtb16(word), x1 = mcu_sxtb16_high(word);
                MCU_DOT_STEP;
            }
            out[n] = mcu_dense_output(t, a, n);
            if (units > 1) {
                out[n + 1] = mcu_dense_output(t, b, n + 1);
            }
            if (units > 2) {
                out[n + 2] = mcu_dense_output(t, c, n + 2);
            }
            if (units > 3) {
                out[n + 3] = mcu_dense_output(t, d, n + 3);
            }
        }
    }
}

#endif
