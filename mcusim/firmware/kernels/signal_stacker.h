/* SignalStacker: the latest frames of channels side by side, every few frames, and whether there were enough. */
#ifndef MCU_SIGNAL_STACKER_H
#define MCU_SIGNAL_STACKER_H

#include "base.h"

/* stacked: numbers of an answer.   copies: of the first frame, which stands for those before it.
   dropped: numbers that an answer takes away. */
typedef struct {
    int32_t channels, stacked, copies, dropped;
} mcu_signal_stacker_layer;

/* queue: what waits.   counts: how many numbers wait, and whether the first frame came. */
MCU_NOINLINE void mcu_signal_stacker(const mcu_signal_stacker_layer *l, const int8_t *in, int8_t *queue, int8_t *counts,
                                      int8_t *out, int8_t *is_full)
{
    int64_t count[2];
    MCU_MOVE_BYTES(count, counts, sizeof count);
    for (int32_t copy = count[1] ? 1 : l->copies; copy > 0; copy--, count[0] += l->channels) {
        mcu_copy(queue + 2 * count[0], in, 2u * (uint32_t)l->channels);
    }
    count[1] = 1;
    *is_full = count[0] >= l->stacked;
    if (*is_full) {
        mcu_copy(out, queue, 2u * (uint32_t)l->stacked);
        count[0] -= l->dropped;
        mcu_copy(queue, queue + 2 * l->dropped, 2u * (uint32_t)count[0]);
    }
    MCU_MOVE_BYTES(counts, count, sizeof count);
}

#endif
