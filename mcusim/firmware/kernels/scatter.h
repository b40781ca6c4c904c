/* Which inputs of a transposed convolution lie under an output: every `stride`th tap of the kernel, of those the ones
   whose input is there. */
#ifndef MCU_SCATTER_H
#define MCU_SCATTER_H

#include "base.h"

/* Along an axis: `count` taps from `first` on; `source` lies under the first, the one before it under the next. */
typedef struct {
    int32_t first, count, source;
} mcu_under;

MCU_INLINE mcu_under mcu_taps_under(int32_t place, int32_t before, int32_t kernel, int32_t stride, int32_t size)
{
    const int32_t shifted = place + before, of_last = shifted - (size - 1) * stride;
    const int32_t end = shifted + 1 < kernel ? shifted + 1 : kernel;
    mcu_under under;
    under.first = of_last > 0 ? of_last : shifted % stride;
    under.count = under.first < end ? (end - under.first + stride - 1) / stride : 0;
    under.source = (shifted - under.first) / stride;
    return under;
}

#endif
