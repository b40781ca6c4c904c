/* STM32F746 Discovery: 216 MHz from the internal oscillator, text on USART1 (PA9), which the ST-LINK shows.

   RM0385: PWR (ch. 4), RCC (5), GPIO (6), FLASH (3), USART (31). */
#include "cortex_m7.h"

#define RCC 0x40023800u
#define PWR 0x40007000u
#define FLASH_ACR 0x40023C00u
#define GPIOA 0x40020000u
#define USART1 0x40011000u

void board_start(void)
{
    /* The PLL: 16 MHz / 8 * 216 / 2 = 216 MHz. */
    KIT_REGISTER(RCC + 0x40) |= 1u << 28; /* APB1ENR: PWR */
    (void)KIT_REGISTER(RCC + 0x40);
    KIT_REGISTER(RCC + 0x04) = 9u << 24 | 216u << 6 | 8u; /* PLLCFGR: Q, N, M; P = 2, source HSI */
    KIT_REGISTER(RCC + 0x00) |= 1u << 24;                 /* CR: PLLON */
    /* Over-drive, which 216 MHz needs. */
    KIT_REGISTER(PWR + 0x00) |= 1u << 16; /* CR1: ODEN */
    kit_wait_for(PWR + 0x04, 1u << 16);
    KIT_REGISTER(PWR + 0x00) |= 1u << 17; /* ODSWEN */
    kit_wait_for(PWR + 0x04, 1u << 17);
    kit_wait_for(RCC + 0x00, 1u << 25); /* PLLRDY */
    /* Flash: 7 wait states, prefetch, accelerator. */
    KIT_REGISTER(FLASH_ACR) = 1u << 9 | 1u << 8 | 7u;
    kit_wait_for(FLASH_ACR, 7u);
    KIT_REGISTER(RCC + 0x08) = 4u << 13 | 5u << 10 | 2u; /* CFGR: APB2 / 2, APB1 / 4, the PLL */
    kit_wait_for(RCC + 0x08, 2u << 2);
    kit_caches_on();
    /* The serial line, clocked by the 16 MHz oscillator. */
    KIT_REGISTER(RCC + 0x30) |= 1u;       /* AHB1ENR: GPIOA */
    KIT_REGISTER(RCC + 0x44) |= 1u << 4;  /* APB2ENR: USART1 */
    KIT_REGISTER(RCC + 0x90) = (KIT_REGISTER(RCC + 0x90) & ~3u) | 2u; /* DCKCFGR2 */
    KIT_REGISTER(GPIOA + 0x24) = (KIT_REGISTER(GPIOA + 0x24) & ~0xF0u) | 0x70u;
    KIT_REGISTER(GPIOA + 0x00) = (KIT_REGISTER(GPIOA + 0x00) & ~(3u << 18)) | 2u << 18;
    KIT_REGISTER(USART1 + 0x0C) = 139; /* BRR: 16 MHz / 115,200 */
    KIT_REGISTER(USART1 + 0x00) = 1u << 3 | 1u;
}

void board_put(char character)
{
    kit_wait_for(USART1 + 0x1C, 1u << 7);
    KIT_REGISTER(USART1 + 0x28) = (uint8_t)character;
}
