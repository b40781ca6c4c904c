/* nRF52840 DK: 64 MHz, text on P0.06, which the J-Link shows.

   nRF52840 product specification: CLOCK, NVMC, GPIO, UART. */
#include "board.h"

#define CLOCK 0x40000000u
#define NVMC_ICACHECNF 0x4001E540u
#define P0 0x50000000u
#define UART0 0x40002000u
#define TX_PIN 6u

void board_start(void)
{
    /* The core always runs at 64 MHz; the crystal makes that exact. */
    KIT_REGISTER(CLOCK + 0x100) = 0; /* EVENTS_HFCLKSTARTED */
    KIT_REGISTER(CLOCK + 0x000) = 1; /* TASKS_HFCLKSTART */
    kit_wait_for(CLOCK + 0x100, 1);
    KIT_REGISTER(NVMC_ICACHECNF) = 1; /* the instruction cache of the flash */
    KIT_REGISTER(P0 + 0x508) = 1u << TX_PIN; /* OUTSET */
    KIT_REGISTER(P0 + 0x518) = 1u << TX_PIN; /* DIRSET */
    KIT_REGISTER(UART0 + 0x50C) = TX_PIN;      /* PSEL.TXD */
    KIT_REGISTER(UART0 + 0x524) = 0x01D7E000u; /* BAUDRATE: 115,200 */
    KIT_REGISTER(UART0 + 0x500) = 4;           /* ENABLE */
    KIT_REGISTER(UART0 + 0x008) = 1;           /* TASKS_STARTTX */
}

void board_put(char character)
{
    KIT_REGISTER(UART0 + 0x11C) = 0; /* EVENTS_TXDRDY */
    KIT_REGISTER(UART0 + 0x51C) = (uint8_t)character;
    kit_wait_for(UART0 + 0x11C, 1);
}
