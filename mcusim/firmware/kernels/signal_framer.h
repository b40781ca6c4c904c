/* SignalFramer: overlapping frames of streams of samples, and whether all of them were full. */
#ifndef MCU_SIGNAL_FRAMER_H
#define MCU_SIGNAL_FRAMER_H

#include "base.h"

/* frames: of a call.   step, size: samples from one to the next, and of one.   held: that wait when one is given out.
   missing: so many must have come before a frame is full. */
typedef struct {
    int32_t streams, frames, step, size, held, missing;
} mcu_signal_framer_layer;

/* latest: of each stream the `held` samples that came last.   steps: that came so far. Frames that are not full yet are
   left as they are. */
MCU_NOINLINE void mcu_signal_framer(const mcu_signal_framer_layer *l, const int8_t *in, int8_t *latest, int8_t *steps,
                                     int8_t *out, int8_t *is_full)
{
    const uint32_t kept_bytes = 2u * (uint32_t)(l->held - l->step), step_bytes = 2u * (uint32_t)l->step;
    int64_t count;
    MCU_MOVE_BYTES(&count, steps, sizeof count);
    *is_full = 1;
    for (int32_t frame = 0; frame < l->frames; frame++) {
        count++;
        for (int32_t stream = 0; stream < l->streams; stream++) {
            int8_t *samples = latest + 2 * stream * l->held;
            mcu_copy(samples, samples + step_bytes, kept_bytes);
            mcu_copy(samples + kept_bytes, in + 2 * (stream * l->frames + frame) * l->step, step_bytes);
            if (count * l->step >= l->missing) {
                mcu_copy(out + 2 * (stream * l->frames + frame) * l->size, samples, 2u * (uint32_t)l->size);
            } else {
                *is_full = 0;
            }
        }
    }
    MCU_MOVE_BYTES(steps, &count, sizeof count);
}

#endif
