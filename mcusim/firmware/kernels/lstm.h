/* UNIDIRECTIONAL_SEQUENCE_LSTM of int8 or int16 with int8 weights; cell state and gates are int16. */
#ifndef MCU_LSTM_H
#define MCU_LSTM_H

#include "sigmoid_16.h"

typedef struct {
    const int8_t *inputs;    /* (units, in) */
    const int8_t *recurrent; /* (units, units) */
    const void *bias;        /* of 64 bits where sums are */
    int32_t input_multiplier, input_shift, recurrent_multiplier, recurrent_shift;
} mcu_gate;

typedef struct {
    mcu_gate gates[4]; /* input, forget, cell, output */
    mcu_sigmoid_layer activation, cell_tanh;
    int32_t batch, steps, inputs, units;
    int32_t time_step, batch_step, out_time_step, out_batch_step; /* elements */
    int32_t element_bytes;
    int32_t is_wide; /* sums rescaled by a multiplier of 16 bits */
    int32_t input_zero_point, hidden_zero_point, hidden_lowest, hidden_highest;
    int32_t forget_multiplier, forget_shift, input_multiplier, input_shift, hidden_multiplier, hidden_shift;
    int32_t clip;
} mcu_lstm_layer;

MCU_INLINE int32_t mcu_lstm_value(const mcu_lstm_layer *l, const int8_t *from, int32_t index)
{
    return l->element_bytes == 1 ? from[index] : mcu_load_16(from + 2 * index);
}

MCU_INLINE int32_t mcu_to_16(int64_t value)
{
    return mcu_clamp(value, -32768, 32767);
}

static inline int32_t mcu_lstm_sum(const mcu_lstm_layer *l, int64_t sum, int32_t multiplier, int32_t shift)
{
    return mcu_to_16(l->is_wide ? mcu_rescale_wide(sum, multiplier, shift)
                                : mcu_rescale((int32_t)(uint32_t)(uint64_t)sum, multiplier, shift));
}

/* What goes into the activation of one unit's gate. */
static inline int32_t mcu_lstm_gate(const mcu_lstm_layer *l, const mcu_gate *gate, const int8_t *x,
                                    const int8_t *hidden, int32_t unit)
{
    int64_t from_input = l->is_wide ? ((const int64_t *)gate->bias)[unit] : ((const int32_t *)gate->bias)[unit];
    int64_t from_hidden = 0;
    for (int32_t i = 0; i < l->inputs; i++) {
        from_input += gate->inputs[unit * l->inputs + i] * (mcu_lstm_value(l, x, i) - l->input_zero_point);
    }
    for (int32_t i = 0; i < l->units; i++) {
        from_hidden += gate->recurrent[unit * l->units + i] * (mcu_lstm_value(l, hidden, i) - l->hidden_zero_point);
    }
    return mcu_to_16((int64_t)mcu_lstm_sum(l, from_input, gate->input_multiplier, gate->input_shift) +
                     mcu_lstm_sum(l, from_hidden, gate->recurrent_multiplier, gate->recurrent_shift));
}

/* `scratch`: the hidden state of one batch as it becomes. */
MCU_NOINLINE void mcu_lstm(const mcu_lstm_layer *l, const int8_t *in, int8_t *hidden, int8_t *cell, int8_t *out,
                           int8_t *scratch)
{
    const int32_t bytes = l->element_bytes, row_bytes = l->units * bytes;
    for (int32_t time = 0; time < l->steps; time++) {
        for (int32_t batch = 0; batch < l->batch; batch++) {
            const int8_t *x = in + (time * l->time_step + batch * l->batch_step) * bytes;
            int8_t *state = hidden + batch * row_bytes;
            for (int32_t unit = 0; unit < l->units; unit++) {
                int8_t *of_unit = cell + 2 * (batch * l->units + unit);
                const int32_t let_in = mcu_logistic_16(&l->activation, mcu_lstm_gate(l, &l->gates[0], x, state, unit));
                const int32_t forget = mcu_logistic_16(&l->activation, mcu_lstm_gate(l, &l->gates[1], x, state, unit));
                const int32_t candidate = mcu_tanh_16(&l->activation, mcu_lstm_gate(l, &l->gates[2], x, state, unit));
                const int32_t let_out = mcu_logistic_16(&l->activation, mcu_lstm_gate(l, &l->gates[3], x, state, unit));
                const int32_t kept =
                    mcu_to_16(mcu_rescale(forget * mcu_load_16(of_unit), l->forget_multiplier, l->forget_shift));
                int32_t value = mcu_to_16(
                    (int64_t)kept +
                    mcu_to_16(mcu_rescale(let_in * candidate, l->input_multiplier, l->input_shift)));
                if (l->clip > 0) {
                    value = mcu_within(value, -l->clip, l->clip);
                }
                mcu_store_16(of_unit, value);
                const int64_t after =
                    mcu_rescale(mcu_tanh_16(&l->cell_tanh, value) * let_out, l->hidden_multiplier, l->hidden_shift);
                const int32_t next = mcu_clamp(after + l->hidden_zero_point, l->hidden_lowest, l->hidden_highest);
                if (bytes == 1) {
                    scratch[unit] = (int8_t)next;
                } else {
                    mcu_store_16(scratch + 2 * unit, next);
                }
            }
            memcpy(state, scratch, (uint32_t)row_bytes);
            memcpy(out + (time * l->out_time_step + batch * l->out_batch_step) * bytes, scratch, (uint32_t)row_bytes);
        }
    }
}

#endif
