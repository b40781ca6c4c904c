/* STM32L4R5 Nucleo: 120 MHz from the internal oscillator, text on LPUART1 (PG7), which the ST-LINK shows.

   RM0432: FLASH (ch. 3), PWR (5), RCC (6), GPIO (8), LPUART (51). */
#include "board.h"

#define RCC 0x40021000u
#define PWR 0x40007000u
#define FLASH_ACR 0x40022000u
#define GPIOG 0x48001800u
#define LPUART1 0x40008000u

void board_start(void)
{
    /* Range 1 in boost mode, which more than 80 MHz needs. */
    KIT_REGISTER(RCC + 0x58) |= 1u << 28; /* APB1ENR1: PWR */
    (void)KIT_REGISTER(RCC + 0x58);
    KIT_REGISTER(PWR + 0x80) &= ~(1u << 8); /* CR5: R1MODE */
    while (KIT_REGISTER(PWR + 0x14) & 1u << 10) { /* SR2: VOSF */
    }
    /* The PLL: 16 MHz * 15 / 2 = 120 MHz. */
    KIT_REGISTER(RCC + 0x00) |= 1u << 8; /* CR: HSION */
    kit_wait_for(RCC + 0x00, 1u << 10);
    KIT_REGISTER(RCC + 0x0C) = 1u << 24 | 15u << 8 | 2u; /* PLLCFGR: R on, N; M = 1, source HSI16 */
    KIT_REGISTER(RCC + 0x00) |= 1u << 24;                /* PLLON */
    kit_wait_for(RCC + 0x00, 1u << 25);
    /* Flash: 5 wait states, prefetch, both caches. */
    KIT_REGISTER(FLASH_ACR) = 7u << 8 | 5u;
    kit_wait_for(FLASH_ACR, 5u);
    /* At half the speed for a microsecond or more, then at all of it. */
    KIT_REGISTER(RCC + 0x08) = 8u << 4 | 3u;
    kit_wait_for(RCC + 0x08, 3u << 2);
    for (volatile uint32_t i = 0; i < 100; i++) {
    }
    KIT_REGISTER(RCC + 0x08) = 3u;
    /* The serial line, clocked by the 16 MHz oscillator; port G has a supply of its own. */
    KIT_REGISTER(PWR + 0x04) |= 1u << 9;  /* CR2: IOSV */
    KIT_REGISTER(RCC + 0x4C) |= 1u << 6;  /* AHB2ENR: GPIOG */
    KIT_REGISTER(RCC + 0x5C) |= 1u;       /* APB1ENR2: LPUART1 */
    KIT_REGISTER(RCC + 0x88) = (KIT_REGISTER(RCC + 0x88) & ~(3u << 10)) | 2u << 10; /* CCIPR */
    KIT_REGISTER(GPIOG + 0x20) = (KIT_REGISTER(GPIOG + 0x20) & ~(0xFu << 28)) | 8u << 28;
    KIT_REGISTER(GPIOG + 0x00) = (KIT_REGISTER(GPIOG + 0x00) & ~(3u << 14)) | 2u << 14;
    KIT_REGISTER(LPUART1 + 0x0C) = 35556; /* BRR: 256 * 16 MHz / 115,200 */
    KIT_REGISTER(LPUART1 + 0x00) = 1u << 3 | 1u;
}

void board_put(char character)
{
    kit_wait_for(LPUART1 + 0x1C, 1u << 7);
    KIT_REGISTER(LPUART1 + 0x28) = (uint8_t)character;
}
