/* ABS and RSQRT of int16. */
#ifndef MCU_ROOTS_16_H
#define MCU_ROOTS_16_H

#include "l2_normalization.h"

/* scaled: 0 where both scales are one; the magnitude then is the output, in the range of `stage`. */
static inline void mcu_abs_16(const mcu_stage *stage, int32_t scaled, const int8_t *in, int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        const int32_t x = mcu_load_16(in), size = x < 0 ? -x : x;
        const int32_t value = scaled ? mcu_staged(size, stage) : mcu_clamp(size, stage->lowest, stage->highest);
        mcu_store_16(out, value);
    }
}

/* One over the root, larger by `headroom` bits between two factors. Of 0, and below, it is the largest output. */
static inline void mcu_rsqrt_16(const mcu_stage *stage, int32_t zero_point, int32_t headroom, const int8_t *in,
                                int8_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++, in += 2, out += 2) {
        const int32_t x = mcu_load_16(in) - zero_point;
        int32_t shift = 0, value = stage->highest;
        if (x > 0) {
            const int32_t multiplier = mcu_inverse_root(x, &shift);
            value = mcu_staged(mcu_rescale(1, multiplier, shift + headroom), stage);
        }
        mcu_store_16(out, value);
    }
}

#endif
