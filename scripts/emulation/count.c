/* A TCG plugin of QEMU: counts executed instructions, and the cycles that a Cortex-M4's published timings give for them.

   -plugin count.so,mark=ADDRESS,out=FILE: each time the instruction at ADDRESS is reached, a line with both counts.
   Memory answers at once. Timings: a load 2, behind another load 1; LDRD 3; LDM, STM, PUSH and POP 1 and one a register;
   a division 7; everything else 1, and one more where the next instruction is not the one behind: a taken branch. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What QEMU's plugin header declares, of which distributions package only the program. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void (*on_block)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*on_execution)(unsigned, void *);
typedef void (*on_end)(qemu_plugin_id_t, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, on_block);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, on_execution, enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution, enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, on_end, void *);

int qemu_plugin_version = 1;

static uint64_t instructions, cycles, mark;
static uint64_t expected; /* the address behind the block that ran last */

/* A block of code: its first address, and the one behind it. */
struct span {
    uint64_t first, behind;
};
static FILE *out;

static unsigned registers(unsigned mask) { return (unsigned)__builtin_popcount(mask); }

/* Cycles of one instruction; `load`: whether it loads one word. */
static unsigned timed(const uint8_t *code, size_t size, bool behind_load, bool *load)
{
    const unsigned first = code[0] | code[1] << 8, second = size == 4 ? (unsigned)(code[2] | code[3] << 8) : 0;
    if (size == 2) {
        const bool by_register = (first & 0xf000) == 0x5000 && (first >> 9 & 7) >= 3;
        const bool by_offset = ((first & 0xe000) == 0x6000 || (first & 0xf000) == 0x8000 || (first & 0xf000) == 0x9000)
                               && (first & 0x0800);
        *load = by_register || by_offset || (first & 0xf800) == 0x4800;
        if ((first & 0xfe00) == 0xb400 || (first & 0xfe00) == 0xbc00) {
            return 1 + registers(first & 0x1ff);
        }
        if ((first & 0xf000) == 0xc000) {
            return 1 + registers(first & 0xff);
        }
    } else {
        *load = (first & 0xfe10) == 0xf810;
        if ((first & 0xfe40) == 0xe800) {
            return 1 + registers(second);
        }
        if ((first & 0xfe40) == 0xe840) {
            return 3;
        }
        if ((first & 0xffd0) == 0xfb90) {
            return 7;
        }
    }
    return *load && !behind_load ? 2 : 1;
}

static void reached(unsigned cpu, void *unused)
{
    (void)cpu;
    (void)unused;
    fprintf(out, "%llu %llu\n", (unsigned long long)instructions, (unsigned long long)cycles);
}

static void entered(unsigned cpu, void *given)
{
    const struct span *block = given;
    (void)cpu;
    cycles += block->first != expected;
    expected = block->behind;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t count = qemu_plugin_tb_n_insns(block);
    struct span *span = malloc(sizeof *span);
    uint64_t taken = 0;
    bool load = false;
    (void)id;
    if (!span) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *one = qemu_plugin_tb_get_insn(block, i);
        const bool behind_load = load;
        taken += timed(qemu_plugin_insn_data(one), qemu_plugin_insn_size(one), behind_load, &load);
        if (qemu_plugin_insn_vaddr(one) == mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, reached, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
    }
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, count - 1);
    span->first = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0));
    span->behind = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
    qemu_plugin_register_vcpu_tb_exec_cb(block, entered, QEMU_PLUGIN_CB_NO_REGS, span);
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &instructions, count);
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &cycles, taken);
}

static void ended(qemu_plugin_id_t id, void *unused)
{
    (void)id;
    (void)unused;
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    out = stderr;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "mark=", 5) == 0) {
            mark = strtoull(argv[i] + 5, NULL, 0);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return out ? 0 : 1;
}
