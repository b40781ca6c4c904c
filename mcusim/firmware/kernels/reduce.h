/* MEAN, SUM and REDUCE_MAX: some axes folded into one element.

   Axes are given as (size, step in elements) pairs: those that stay, in order, then those that are folded. */
#ifndef MCU_REDUCE_H
#define MCU_REDUCE_H

#include "base.h"

#define MCU_AXES 6

typedef struct {
    int32_t kept, folded;       /* how many axes */
    int32_t sizes[MCU_AXES];    /* of the kept ones, then of the folded ones */
    int32_t steps[MCU_AXES];
    int32_t extreme;            /* 1: the largest, -1: the smallest, 0: the sum or mean */
    int32_t element_bytes;
    int32_t offset;             /* what is subtracted from a sum */
    mcu_stage stage;
} mcu_reduce_layer;

/* The next place of a walk over axes; 0 where it has come round. */
static inline int32_t mcu_next_place(const int32_t *sizes, const int32_t *steps, int32_t axes, int32_t *place,
                                     int32_t *offset)
{
    for (int32_t axis = axes - 1; axis >= 0; axis--) {
        *offset += steps[axis];
        if (++place[axis] < sizes[axis]) {
            return 1;
        }
        *offset -= sizes[axis] * steps[axis];
        place[axis] = 0;
    }
    return 0;
}

MCU_INLINE int32_t mcu_element(const int8_t *from, int32_t element_bytes)
{
    return element_bytes == 1 ? *from : mcu_load_16(from);
}

/* The innermost folded axis is walked by itself. */
MCU_NOINLINE void mcu_reduce(const mcu_reduce_layer *l, const int8_t *in, int8_t *out)
{
    const int32_t *sizes = l->sizes + l->kept, *steps = l->steps + l->kept;
    const int32_t inner = sizes[l->folded - 1], inner_step = steps[l->folded - 1] * l->element_bytes;
    int32_t place[MCU_AXES] = {0}, start = 0;
    do {
        int32_t fold[MCU_AXES] = {0}, offset = 0, largest = INT32_MIN, smallest = INT32_MAX;
        uint32_t sum = 0;
        do {
            const int8_t *from = in + (start + offset) * l->element_bytes;
            for (int32_t i = 0; i < inner; i++, from += inner_step) {
                const int32_t v = mcu_element(from, l->element_bytes);
                sum += (uint32_t)v;
                largest = v > largest ? v : largest;
                smallest = v < smallest ? v : smallest;
            }
        } while (mcu_next_place(sizes, steps, l->folded - 1, fold, &offset));
        const int32_t value = l->extreme > 0   ? largest
                              : l->extreme < 0 ? smallest
                                               : mcu_staged((int32_t)(sum - (uint32_t)l->offset), &l->stage);
        if (l->element_bytes == 1) {
            *out = (int8_t)value;
        } else {
            mcu_store_16(out, value);
        }
        out += l->element_bytes;
    } while (mcu_next_place(l->sizes, l->steps, l->kept, place, &start));
}

/* MEAN and SUM of int8 over rows and columns, four channels at a time. */
typedef struct {
    int32_t pixels, channels, offset;
    mcu_stage stage;
} mcu_reduce_pixels_layer;

MCU_NOINLINE void mcu_reduce_pixels(const mcu_reduce_pixels_layer *l, const int8_t *in, int8_t *out)
{
    int32_t k = 0;
    for (; k + 4 <= l->channels; k += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        for (int32_t done = 0; done < l->pixels;) {
            const int32_t end = l->pixels - done < 255 ? l->pixels : done + 255;
            uint32_t even = 0, odd = 0;
            for (const int8_t *from = in + done * l->channels + k; done < end; done++, from += l->channels) {
                const uint32_t v = mcu_load_word(from);
                even = mcu_sxtab16(even, v);
                odd = mcu_sxtab16_high(odd, v);
            }
            sums[0] = mcu_add_wrapping(sums[0], (int16_t)(uint16_t)(even & 0xFFFFu));
            sums[1] = mcu_add_wrapping(sums[1], (int16_t)(uint16_t)(odd & 0xFFFFu));
            sums[2] = mcu_add_wrapping(sums[2], (int32_t)even >> 16);
            sums[3] = mcu_add_wrapping(sums[3], (int32_t)odd >> 16);
        }
        for (int32_t i = 0; i < 4; i++) {
            out[k + i] = (int8_t)mcu_staged((int32_t)((uint32_t)sums[i] - (uint32_t)l->offset), &l->stage);
        }
    }
    for (; k < l->channels; k++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < l->pixels; i++) {
            sum = mcu_add_wrapping(sum, in[i * l->channels + k]);
        }
        out[k] = (int8_t)mcu_staged((int32_t)((uint32_t)sum - (uint32_t)l->offset), &l->stage);
    }
}

#endif
