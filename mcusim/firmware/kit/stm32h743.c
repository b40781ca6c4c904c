/* STM32H743 Nucleo (revision V): 480 MHz from the internal oscillator, text on USART3 (PD8), which the ST-LINK shows.

   RM0433: FLASH (ch. 4), PWR (6), RCC (8), GPIO (11), SYSCFG (12), USART (48). */
#include "cortex_m7.h"

#define RCC 0x58024400u
#define PWR 0x58024800u
#define FLASH_ACR 0x52002000u
#define SYSCFG_PWRCR 0x5800042Cu
#define GPIOD 0x58020C00u
#define USART3 0x40004800u

void board_start(void)
{
    /* Supply by the LDO, voltage scale 1, then its boost: 480 MHz needs scale 0. */
    KIT_REGISTER(PWR + 0x0C) = (KIT_REGISTER(PWR + 0x0C) & ~7u) | 2u; /* CR3: LDOEN alone */
    kit_wait_for(PWR + 0x04, 1u << 13);                               /* CSR1: ACTVOSRDY */
    KIT_REGISTER(PWR + 0x18) |= 3u << 14;                             /* D3CR: VOS */
    kit_wait_for(PWR + 0x18, 1u << 13);
    KIT_REGISTER(RCC + 0xF4) |= 1u << 1; /* APB4ENR: SYSCFG */
    (void)KIT_REGISTER(RCC + 0xF4);
    KIT_REGISTER(SYSCFG_PWRCR) |= 1u; /* ODEN */
    kit_wait_for(PWR + 0x18, 1u << 13);
    /* PLL1: 64 MHz / 8 * 120 / 2 = 480 MHz. */
    KIT_REGISTER(RCC + 0x28) = 8u << 4;                           /* PLLCKSELR: source HSI */
    KIT_REGISTER(RCC + 0x2C) = 1u << 16 | 3u << 2;                /* PLLCFGR: P alone, inputs of 8 to 16 MHz */
    KIT_REGISTER(RCC + 0x30) = 1u << 24 | 1u << 16 | 1u << 9 | 119u; /* PLL1DIVR: R, Q, P = 2, N = 120 */
    KIT_REGISTER(RCC + 0x00) |= 1u << 24;                         /* CR: PLL1ON */
    kit_wait_for(RCC + 0x00, 1u << 25);
    /* Flash at 240 MHz: 4 wait states. Buses: AXI and AHB at half the core's clock, APB at half of that. */
    KIT_REGISTER(FLASH_ACR) = 2u << 4 | 4u;
    kit_wait_for(FLASH_ACR, 2u << 4 | 4u);
    KIT_REGISTER(RCC + 0x18) = 4u << 4 | 8u;           /* D1CFGR */
    KIT_REGISTER(RCC + 0x1C) = 4u << 8 | 4u << 4;      /* D2CFGR */
    KIT_REGISTER(RCC + 0x20) = 4u << 4;                /* D3CFGR */
    KIT_REGISTER(RCC + 0x10) = (KIT_REGISTER(RCC + 0x10) & ~7u) | 3u; /* CFGR: PLL1 */
    kit_wait_for(RCC + 0x10, 3u << 3);
    kit_caches_on();
    /* The serial line, clocked by the 64 MHz oscillator. */
    KIT_REGISTER(RCC + 0xE0) |= 1u << 3;  /* AHB4ENR: GPIOD */
    KIT_REGISTER(RCC + 0xE8) |= 1u << 18; /* APB1LENR: USART3 */
    KIT_REGISTER(RCC + 0x54) = (KIT_REGISTER(RCC + 0x54) & ~7u) | 3u; /* D2CCIP2R */
    KIT_REGISTER(GPIOD + 0x24) = (KIT_REGISTER(GPIOD + 0x24) & ~0xFu) | 7u;
    KIT_REGISTER(GPIOD + 0x00) = (KIT_REGISTER(GPIOD + 0x00) & ~(3u << 16)) | 2u << 16;
    KIT_REGISTER(USART3 + 0x0C) = 556; /* BRR: 64 MHz / 115,200 */
    KIT_REGISTER(USART3 + 0x00) = 1u << 3 | 1u;
}

void board_put(char character)
{
    kit_wait_for(USART3 + 0x1C, 1u << 7);
    KIT_REGISTER(USART3 + 0x28) = (uint8_t)character;
}
