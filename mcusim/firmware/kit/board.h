/* What main.c asks of a board: its clock at full speed, and a place for text. */
#ifndef KIT_BOARD_H
#define KIT_BOARD_H

#include <stdint.h>

#define KIT_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Until all of these bits are set. */
static inline void kit_wait_for(uint32_t address, uint32_t bits)
{
    while ((KIT_REGISTER(address) & bits) != bits) {
    }
}

/* Core clock, flash and caches as the profile has them, and the serial line: 115,200 baud, 8N1. */
void board_start(void);

/* One character on the serial line. */
void board_put(char character);

#endif
