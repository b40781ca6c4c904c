/* From reset to main: the vector table, the FPU, .data and .bss. No interrupt is enabled. */
#include <stdint.h>

#include "board.h"

extern uint32_t _stack_top, _data_start, _data_end, _data_load, _bss_start, _bss_end;
int main(void);
void kit_reset(void);
void kit_fault(void);

void kit_reset(void)
{
#if defined(__ARM_FP)
    KIT_REGISTER(0xE000ED88) |= 0xFu << 20; /* CPACR: the FPU for all code */
    __asm volatile("dsb\n isb");
#endif
    for (uint32_t *to = &_data_start, *from = &_data_load; to < &_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_bss_start; to < &_bss_end;) {
        *to++ = 0;
    }
    main();
    for (;;) {
    }
}

/* A debugger stops here, and in emulation this ends it. */
void kit_fault(void)
{
    for (;;) {
#if defined(KIT_SEMIHOSTING)
        static uint32_t reason[2] = {0x20026, 99};
        register uint32_t operation __asm("r0") = 0x20; /* SYS_EXIT_EXTENDED */
        register uint32_t *argument __asm("r1") = reason;
        __asm volatile("bkpt 0xAB" ::"r"(operation), "r"(argument) : "memory");
#endif
    }
}

/* The top of the stack, reset, then the system's exceptions: NMI to SysTick. */
__attribute__((section(".vectors"), used)) const void *const kit_vectors[16] = {
    &_stack_top,
    (const void *)kit_reset,
    (const void *)kit_fault,
    (const void *)kit_fault,
    (const void *)kit_fault,
    (const void *)kit_fault,
    (const void *)kit_fault,
    0,
    0,
    0,
    0,
    (const void *)kit_fault,
    (const void *)kit_fault,
    0,
    (const void *)kit_fault,
    (const void *)kit_fault,
};
