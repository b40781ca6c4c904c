/* The caches of a Cortex-M7 (Armv7-M reference manual, B2.2): invalidated as a whole, then on. */
#ifndef KIT_CORTEX_M7_H
#define KIT_CORTEX_M7_H

#include "board.h"

static inline void kit_caches_on(void)
{
    KIT_REGISTER(0xE000EF50) = 0; /* ICIALLU */
    __asm volatile("dsb\n isb");
    KIT_REGISTER(0xE000ED84) = 0; /* CSSELR: the data cache of level 1 */
    __asm volatile("dsb");
    const uint32_t size = KIT_REGISTER(0xE000ED80); /* CCSIDR */
    const uint32_t sets = size >> 13 & 0x7FFFu, ways = size >> 3 & 0x3FFu;
    for (uint32_t set = 0; set <= sets; set++) {
        for (uint32_t way = 0; way <= ways; way++) {
            KIT_REGISTER(0xE000EF60) = way << 30 | set << 5; /* DCISW: four ways, lines of 32 bytes */
        }
    }
    __asm volatile("dsb");
    KIT_REGISTER(0xE000ED14) |= 1u << 17 | 1u << 16; /* CCR: IC, DC */
    __asm volatile("dsb\n isb");
}

#endif
