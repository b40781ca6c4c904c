/* SignalFilterBankSpectralSubtraction: channels less an estimate of their noise, which is kept from call to call. */
#ifndef MCU_SIGNAL_FILTER_BANK_SPECTRAL_SUBTRACTION_H
#define MCU_SIGNAL_FILTER_BANK_SPECTRAL_SUBTRACTION_H

#include "base.h"

/* new_share, old_share: of a channel and of its estimate; [1]: of odd channels.   least_share: what always remains.
   channel_bits: fractional ones of the estimate.   share_bits: of the shares.   clamping: never above the channel. */
typedef struct {
    int32_t channels;
    uint32_t new_share[2], old_share[2], least_share;
    int32_t channel_bits, share_bits, clamping;
} mcu_signal_subtraction_layer;

MCU_NOINLINE void mcu_signal_filter_bank_spectral_subtraction(const mcu_signal_subtraction_layer *l, const int8_t *in,
                                                               int8_t *kept, int8_t *out, int8_t *estimates)
{
    for (int32_t i = 0; i < l->channels; i++) {
        const uint32_t channel = (uint32_t)mcu_load_32(in + 4 * i), scaled = channel << l->channel_bits;
        const uint64_t renewed = (uint64_t)scaled * l->new_share[i % 2];
        const uint64_t remembered = (uint64_t)(uint32_t)mcu_load_32(kept + 4 * i) * l->old_share[i % 2];
        const uint32_t estimate = (uint32_t)((renewed + remembered) >> l->share_bits);
        const uint32_t bounded = estimate < scaled ? estimate : scaled;
        const uint32_t least = (uint32_t)((uint64_t)channel * l->least_share >> l->share_bits);
        const uint32_t rest = (scaled - bounded) >> l->channel_bits;
        mcu_store_32(kept + 4 * i, (int32_t)(l->clamping ? bounded : estimate));
        mcu_store_32(out + 4 * i, (int32_t)(rest > least ? rest : least));
    }
    mcu_copy(estimates, kept, 4u * (uint32_t)l->channels);
}

#endif
