"""Generated firmware built and run: on this machine under sanitizers, and on an emulated Cortex-M.

    lane.run(firmware, name, inputs) -> what `NAME_step` was shown, in order, and the outputs

What it must be shown comes from an execution layer by layer (`expected_steps`), whatever the schedule: every region of
every step is cut out of the whole tensors.
"""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.execution import execute
from mcusim.graph import ABSENT, DType, Graph
from mcusim.program import Program

Array = NDArray[Any]

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
STACK = -2
OUTPUTS = -1
"""In the place of a step's index: an output of the network, its number in the place of the row."""


def packed(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def expected_steps(graph: Graph, program: Program, inputs: Sequence[Array]) -> Iterator[tuple[int, int, int, bytes]]:
    """(step, row, col, bytes) of each step of each iteration, then the outputs."""
    trace = execute(graph, list(inputs), trace=True)
    times = {id(step): time for time, step in enumerate(program.body())}
    for iteration in program.steps():
        step = iteration.step
        shown = b""
        tensors = graph.nodes[step.node].outputs if step.node != ABSENT else ()
        for tensor, view, kind in zip(tensors, step.writes, step.signature.outputs, strict=True):
            if view == ABSENT or kind.dtype is DType.RESOURCE:
                continue
            whole = trace.tensors[tensor]
            rows, cols = iteration.region
            is_cut = whole.ndim == 4 and (rows.length, cols.length) != whole.shape[1:3]
            shown += packed(whole[:, slice(*rows), slice(*cols)] if is_cut else whole)
        yield times[id(step)], iteration.row, iteration.col, shown
    for number, output in enumerate(trace.outputs):
        yield OUTPUTS, number, 0, packed(output)


def write_files(files: Mapping[str, str], folder: Path) -> None:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


HOST_MAIN = """
#include "NAME.h"
#include <stdio.h>
#include <stdlib.h>
static void put(int step, int row, int col, const void *bytes, unsigned size)
{
    const int head[4] = {step, row, col, (int)size};
    if (fwrite(head, sizeof head, 1, stdout) != 1 || (size && fwrite(bytes, size, 1, stdout) != 1)) exit(9);
}
void NAME_step(int step, int row, int col, const void *bytes, unsigned size) { put(step, row, col, bytes, size); }
int main(void)
{
    static void *held[UPPER_INPUTS + 1];
    if (NAME_init()) return 2;
    for (int call = 0; call < CALLS; call++) {
        for (int i = 0; i < UPPER_INPUTS; i++) {
            const size_t size = (size_t)UPPER_INPUT_BYTES(i);
            void *to = NAME_input(i);
            if (!to && !held[i]) {
                held[i] = malloc(size ? size : 1);
                if (NAME_invoke() != 1) return 4;
                NAME_set_input(i, held[i]);
            }
            if (!to) to = held[i];
            if (size && fread(to, size, 1, stdin) != 1) return 5;
        }
        if (NAME_invoke()) return 3;
        for (int i = 0; i < UPPER_OUTPUTS; i++) put(-1, i, call, NAME_output(i), (unsigned)UPPER_OUTPUT_BYTES(i));
    }
    for (int i = 0; i < UPPER_INPUTS; i++) free(held[i]);
    return 0;
}
"""


@dataclass(frozen=True, slots=True)
class HostLane:
    """This machine's compiler, with all warnings as errors and the sanitizers for addresses and undefined behaviour."""

    compiler: tuple[str, ...] = ("gcc",)
    flags: tuple[str, ...] = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

    @property
    def is_there(self) -> bool:
        return shutil.which(self.compiler[0]) is not None

    def run(
        self, files: Mapping[str, str], name: str, inputs: Sequence[Array], calls: int = 1
    ) -> list[tuple[int, int, int, bytes]]:
        """inputs: of all calls, one after the other.   Outputs have their call's number in the place of a column."""
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where)
            write_files(files, folder)
            main = HOST_MAIN.replace("NAME", name).replace("UPPER", name.upper())
            (folder / "main.c").write_text(main)
            define = f"-D{name.upper()}_TRACE"
            built = subprocess.run(
                [
                    *self.compiler,
                    "-std=c99",
                    *WARNINGS,
                    *self.flags,
                    define,
                    f"-DCALLS={calls}",
                    f"{name}.c",
                    "main.c",
                    "-o",
                    "main",
                ],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            assert built.returncode == 0, built.stderr[:4000]
            fed = b"".join(packed(array) for array in inputs)
            ran = subprocess.run([folder / "main"], input=fed, capture_output=True)
            assert ran.returncode == 0, f"exit {ran.returncode}: {ran.stderr.decode()[:4000]}"
            return list(_parsed(ran.stdout))


class Machine(NamedTuple):
    """An emulated board.   zig: the core as clang calls it."""

    name: str
    flags: str
    zig: str
    code: str = "0"
    ram: str = "0x20000000"


CPU = {
    "cortex-m3": Machine("mps2-an385", "-mcpu=cortex-m3 -mfloat-abi=soft", "cortex_m3"),
    "cortex-m4": Machine("mps2-an386", "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard", "cortex_m4"),
    "cortex-m7": Machine("mps2-an500", "-mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -mfloat-abi=hard", "cortex_m7"),
    "cortex-m33": Machine("mps2-an505", "-mcpu=cortex-m33 -mfloat-abi=soft", "cortex_m33", "0x10000000", "0x38000000"),
}

BOARD_LD = """
MEMORY { FLASH (rx) : ORIGIN = CODE, LENGTH = 4M  RAM (rwx) : ORIGIN = DATA, LENGTH = 2M }
ENTRY(reset)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : ALIGN(4) { *(.data*) } > RAM
  .bss : ALIGN(4) { first_ram = .; *(.bss*) *(COMMON) . = ALIGN(4); end_ram = .; } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""

BOARD_MAIN = """
#include "NAME.h"
#include <stdint.h>
#include "inputs.h"
extern uint32_t stack_top, first_ram, end_ram;
int main(void);
static int host(int what, const void *with)
{
    register int r0 __asm("r0") = what;
    register const void *r1 __asm("r1") = with;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static void finish(int code)
{
    const uint32_t block[2] = {0x20026, (uint32_t)code};
    host(0x20, block);
    for (;;) {}
}
void fault(void) { finish(99); }
void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm volatile("dsb\\nisb");
    for (uint32_t *p = &first_ram; p < &stack_top - 32; p++) *p = 0xA5A5A5A5u;
    finish(main());
}
__attribute__((section(".vectors"), used)) const void *const vectors[7] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};
static void put(int step, int row, int col, const uint8_t *bytes, unsigned size)
{
    static char line[64];
    uint32_t words[5] = {(uint32_t)step, (uint32_t)row, (uint32_t)col, size, 2166136261u};
    char *to = line;
    for (unsigned i = 0; i < size; i++) words[4] = (words[4] ^ bytes[i]) * 16777619u;
    for (int i = 0; i < 5; i++) {
        for (int bit = 28; bit >= 0; bit -= 4) *to++ = "0123456789abcdef"[words[i] >> bit & 15];
        *to++ = i < 4 ? ' ' : '\\n';
    }
    *to = 0;
    host(4, line);
}
void NAME_step(int step, int row, int col, const void *bytes, unsigned size) { put(step, row, col, bytes, size); }
int main(void)
{
    if (NAME_init()) return 2;
    for (int i = 0; i < UPPER_INPUTS; i++) {
        uint8_t *to = NAME_input(i);
        if (!to) NAME_set_input(i, inputs[i]);
        else for (int k = 0; k < UPPER_INPUT_BYTES(i); k++) to[k] = inputs[i][k];
    }
    const int code = NAME_invoke();
#ifdef SHOWS_STACK
    const uint32_t *p = &end_ram;
    while (*p == 0xA5A5A5A5u) p++;
    put(-2, (int)((char *)&stack_top - (char *)p), 0, 0, 0);
#endif
    if (code) return 3;
    for (int i = 0; i < UPPER_OUTPUTS; i++) put(-1, i, 0, NAME_output(i), (unsigned)UPPER_OUTPUT_BYTES(i));
    return 0;
}
"""


@dataclass(frozen=True, slots=True)
class QemuLane:
    """`arm-none-eabi-gcc -O2` for a core, run by QEMU, which traps what a Cortex-M traps (unaligned LDRD, LDM).

    uses_zig: the network is compiled by clang, as the `ziglang` package brings it.
    """

    core: str
    uses_zig: bool = False

    @property
    def is_there(self) -> bool:
        zig = not self.uses_zig or importlib.util.find_spec("ziglang") is not None
        return zig and shutil.which("arm-none-eabi-gcc") is not None and shutil.which("qemu-system-arm") is not None

    @staticmethod
    def digest(content: bytes) -> str:
        """What a step's bytes are shown as: their number, and FNV-1a, which takes a core few instructions a byte."""
        value = 2166136261
        for byte in content:
            value = (value ^ byte) * 16777619 & 0xFFFFFFFF
        return f"{len(content):08x} {value:08x}"

    def stack_bytes(self, files: Mapping[str, str], name: str, inputs: Sequence[Array]) -> int:
        """The most stack that an inference takes, its caller's few words included."""
        return next(row for step, row, _, _ in self.run(files, name, inputs, "SHOWS_STACK") if step == STACK)

    def run(
        self, files: Mapping[str, str], name: str, inputs: Sequence[Array], define: str = ""
    ) -> list[tuple[int, int, int, str]]:
        """(step, row, col, digest) of every call of `NAME_step`, then of the outputs.

        define: instead of the trace.
        """
        define = define or f"{name.upper()}_TRACE"
        machine = CPU[self.core]
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where)
            write_files(files, folder)
            arrays = "".join(
                f"static const uint8_t input_{i}[] = {{{','.join(map(str, packed(array)))}}};\n"
                for i, array in enumerate(inputs)
            )
            listed = ", ".join(f"input_{i}" for i in range(len(inputs)))
            (folder / "inputs.h").write_text(f"{arrays}static const uint8_t *const inputs[] = {{{listed}}};\n")
            (folder / "main.c").write_text(BOARD_MAIN.replace("NAME", name).replace("UPPER", name.upper()))
            (folder / "q.ld").write_text(BOARD_LD.replace("CODE", machine.code).replace("DATA", machine.ram))
            network = f"{name}.c"
            if self.uses_zig:
                network = f"{name}.o"
                command = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf"]
                command += [
                    f"-mcpu={machine.zig}",
                    "-O2",
                    "-fomit-frame-pointer",
                    "-fno-unwind-tables",
                    "-fno-sanitize=all",
                    f"-D{define}",
                    "-c",
                    f"{name}.c",
                    "-o",
                    network,
                ]
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
            command = ["arm-none-eabi-gcc", *machine.flags.split(), "-mthumb", "-std=gnu99", "-O2", "-ffreestanding"]
            if not self.uses_zig:
                network = f"{name}.o"
                _done([*command, *WARNINGS, f"-D{define}", "-c", f"{name}.c", "-o", network], folder)
            command += ["-nostartfiles", "-T", "q.ld", f"-D{define}", network, "main.c"]
            _done([*command, "-o", "main.elf", "-lc", "-lgcc"], folder)
            emulator = ["qemu-system-arm", "-M", machine.name, "-nographic", "-monitor", "none", "-serial", "none"]
            emulator += ["-semihosting-config", "enable=on,target=native", "-kernel", "main.elf"]
            ran = subprocess.run(emulator, cwd=folder, capture_output=True, text=True, timeout=300)
            assert ran.returncode == 0, f"exit {ran.returncode}: {ran.stderr[-2000:]}"
            lines = [line.split() for line in (ran.stderr + ran.stdout).splitlines()]
            numbers = [[int(word, 16) for word in line[:3]] for line in lines]
            return [
                ((n[0] ^ 0x80000000) - 0x80000000, n[1], n[2], " ".join(line[3:]))
                for n, line in zip(numbers, lines, strict=True)
            ]


def _done(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def _parsed(stream: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at < len(stream):
        step, row, col, size = struct.unpack_from("<4i", stream, at)
        at += 16
        yield step, row, col, stream[at : at + size]
        at += size


def first_difference(
    shown: Sequence[tuple[int, int, int, bytes]], wanted: Sequence[tuple[int, int, int, bytes]]
) -> str:
    """The first step where two runs part, in words; "" where they do not."""
    for got, want in zip(shown, wanted, strict=False):
        if got != want:
            a, b = np.frombuffer(got[3], np.uint8), np.frombuffer(want[3], np.uint8)
            places = np.nonzero(a != b)[0] if a.size == b.size else []
            first = (
                f", {len(places)} bytes, first at {places[0]}: {a[places[0]]}, not {b[places[0]]}"
                if len(places)
                else ""
            )
            return f"step {got[:3]} of {a.size} bytes, wanted {want[:3]} of {b.size}{first}"
    return "" if len(shown) == len(wanted) else f"{len(shown)} steps, wanted {len(wanted)}"
