/* One inference of a generated network under emulation: drawn inputs, a mark around each step, the outputs' hash. */
#include <stdint.h>

#include "model.h"

__attribute__((noinline)) void model_mark(int step) { __asm volatile("" ::"r"(step)); }

static uint8_t outside[1 << 20]; /* memory of the caller, for external inputs */

static void say(const char *text)
{
    register uint32_t operation __asm("r0") = 4; /* SYS_WRITE0 */
    register const char *argument __asm("r1") = text;
    __asm volatile("bkpt 0xAB" : "+r"(operation) : "r"(argument) : "memory");
}

int main(void)
{
    uint32_t drawn = 1, hash = 2166136261u;
    int failed = model_init();
    for (int i = 0; i < MODEL_INPUTS; i++) {
        uint8_t *to = model_input(i);
        if (!to) {
            to = outside;
            model_set_input(i, to);
        }
        for (unsigned k = 0; k < MODEL_INPUT_BYTES(i); k++) {
            drawn = drawn * 1664525u + 1013904223u;
            to[k] = (uint8_t)(drawn >> 24);
        }
    }
    model_mark(-1);
    failed |= model_invoke();
    model_mark(-2);
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        const uint8_t *from = model_output(i);
        for (unsigned k = 0; k < MODEL_OUTPUT_BYTES(i); k++) {
            hash = (hash ^ from[k]) * 16777619u;
        }
    }
    char text[] = "hash 00000000\n";
    for (int digit = 0; digit < 8; digit++) {
        text[5 + digit] = "0123456789abcdef"[hash >> (28 - 4 * digit) & 15];
    }
    say(text);
    return failed;
}
