/* SVDF: filters over features, then over the `memory` last activations, which the state keeps. */
#ifndef MCU_SVDF_H
#define MCU_SVDF_H

#include "base.h"

typedef struct {
    const int8_t *features;     /* (filters, inputs) */
    const void *times;          /* (filters, memory), int8 or int16 as the state */
    const int32_t *bias;
    int32_t batch, inputs, filters, memory, rank;
    int32_t time_bytes;
    int32_t input_zero_point;
    int32_t state_zero_point;
    mcu_stage feature;          /* of new activations, before the state's zero point is added */
    mcu_stage stage;
} mcu_svdf_layer;

MCU_INLINE int32_t mcu_svdf_value(const mcu_svdf_layer *l, const int8_t *from, int32_t index)
{
    return l->time_bytes == 1 ? from[index] : mcu_load_16(from + 2 * index);
}

MCU_NOINLINE void mcu_svdf(const mcu_svdf_layer *l, const int8_t *in, int8_t *state, int8_t *out)
{
    const int32_t kept = l->batch * l->filters * l->memory;
    memmove(state, state + l->time_bytes, (uint32_t)((kept - 1) * l->time_bytes));
    for (int32_t batch = 0; batch < l->batch; batch++, in += l->inputs) {
        for (int32_t filter = 0; filter < l->filters; filter++) {
            uint32_t sum = 0;
            for (int32_t i = 0; i < l->inputs; i++) {
                sum += (uint32_t)(l->features[filter * l->inputs + i] * (in[i] - l->input_zero_point));
            }
            const int32_t newest = mcu_staged((int32_t)sum, &l->feature) + l->state_zero_point;
            int8_t *to = state + ((batch * l->filters + filter + 1) * l->memory - 1) * l->time_bytes;
            if (l->time_bytes == 1) {
                *to = (int8_t)(uint8_t)((uint32_t)newest & 0xFFu);
            } else {
                mcu_store_16(to, newest);
            }
        }
        for (int32_t unit = 0; unit < l->filters / l->rank; unit++) {
            uint32_t sum = (uint32_t)l->bias[unit];
            const int32_t first = unit * l->rank * l->memory, count = l->rank * l->memory;
            const int8_t *of_batch = state + batch * l->filters * l->memory * l->time_bytes;
            for (int32_t i = first; i < first + count; i++) {
                const int32_t activation = mcu_svdf_value(l, of_batch, i) - l->state_zero_point;
                sum += (uint32_t)activation * (uint32_t)mcu_svdf_value(l, l->times, i);
            }
            *out++ = (int8_t)mcu_staged((int32_t)sum, &l->stage);
        }
    }
}

#endif
