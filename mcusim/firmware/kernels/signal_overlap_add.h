/* SignalOverlapAdd: overlapping frames summed, with saturation, to streams of samples. */
#ifndef MCU_SIGNAL_OVERLAP_ADD_H
#define MCU_SIGNAL_OVERLAP_ADD_H

#include "base.h"

/* sums: of each stream, what frames so far add to the next `size` samples. */
MCU_NOINLINE void mcu_signal_overlap_add(int32_t streams, int32_t frames, int32_t size, int32_t step, const int8_t *in,
                                          int8_t *sums, int8_t *out)
{
    for (int32_t stream = 0; stream < streams; stream++, sums += 2 * size) {
        for (int32_t frame = 0; frame < frames; frame++, in += 2 * size, out += 2 * step) {
            for (int32_t i = 0; i < size; i++) {
                const int32_t sum = mcu_load_16(sums + 2 * i) + mcu_load_16(in + 2 * i);
                mcu_store_16(sums + 2 * i, mcu_clamp(sum, INT16_MIN, INT16_MAX));
            }
            mcu_copy(out, sums, 2u * (uint32_t)step);
            mcu_copy(sums, sums + 2 * step, 2u * (uint32_t)(size - step));
            memset(sums + 2 * (size - step), 0, 2u * (uint32_t)step);
        }
    }
}

#endif
