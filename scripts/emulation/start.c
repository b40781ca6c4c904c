/* Start-up for QEMU's mps2 boards: FPU on, .data and .bss made, main called, its answer given to semihosting. */
#include <stdint.h>

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;
int main(void);

static void leave(uint32_t code)
{
    static uint32_t reason[2] = {0x20026, 0};
    reason[1] = code;
    register uint32_t operation __asm("r0") = 0x20; /* SYS_EXIT_EXTENDED */
    register uint32_t *argument __asm("r1") = reason;
    __asm volatile("bkpt 0xAB" ::"r"(operation), "r"(argument) : "memory");
    for (;;) {
    }
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR */
    __asm volatile("dsb\n isb");
    for (uint32_t *from = &_sidata, *to = &_sdata; to < &_edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_sbss; to < &_ebss;) {
        *to++ = 0;
    }
    leave((uint32_t)main());
}

static void fault(void) { leave(99); }

__attribute__((section(".vectors"), used)) const void *const vectors[] = {
    &_estack, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
