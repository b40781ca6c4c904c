/* SignalDelay: streams of samples, so many later; zeros come first. */
#ifndef MCU_SIGNAL_DELAY_H
#define MCU_SIGNAL_DELAY_H

#include "base.h"

/* waiting: of each stream the `delay` samples that are to come out. */
MCU_NOINLINE void mcu_signal_delay(int32_t streams, int32_t samples, int32_t delay, const int8_t *in, int8_t *waiting,
                                    int8_t *out)
{
    const int32_t late = samples < delay ? samples : delay, early = samples - late;
    for (int32_t stream = 0; stream < streams; stream++) {
        mcu_copy(out, waiting, 2u * (uint32_t)late);
        mcu_copy(out + 2 * late, in, 2u * (uint32_t)early);
        mcu_copy(waiting, waiting + 2 * late, 2u * (uint32_t)(delay - late));
        mcu_copy(waiting + 2 * (delay - late), in + 2 * early, 2u * (uint32_t)late);
        in += 2 * samples;
        out += 2 * samples;
        waiting += 2 * delay;
    }
}

#endif
