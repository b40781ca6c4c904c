"""The machine that runs a program: a whole run of steps is one call of compiled code.

A program is int64s: for each command the address of its kernel, the number of its fields, and these. Of two commands
with three fields and one:

    word    0        1   2   3   4   5        6   7
            kernel   3   f0  f1  f2  kernel   1   f0
                         ^ the address that the first kernel is given; the next command is 16 + 8 x 3 bytes further
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from mcusim.ops.kernels.fast.command import Command
from mcusim.ops.kernels.fast.memory import copy_exact, ld64
from mcusim.ops.kernels.fast.vector import I64, Emit, Value, procedure
from mcusim.ops.kernels.jit import kernel

__all__ = ["program", "run", "run_calls"]


@procedure
def _call(e: Emit, address: Value, command: Value, workspace: Value) -> None:
    kind = ir.FunctionType(ir.VoidType(), [I64, I64])
    e.b.call(e.b.inttoptr(address, ir.PointerType(kind)), [command, workspace])


@kernel("void(int64, int64, int64)")
def run(program: int, count: int, workspace: int) -> None:
    """Execute `count` commands.   program, workspace: addresses. The interpreter's lock is released meanwhile."""
    at = program
    for _ in range(count):
        _call(ld64(at), at + 16, workspace)  # a kernel reads its own fields: none is passed in a register
        at += 16 + 8 * ld64(at + 8)


@kernel("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def run_calls(
    program: int, count: int, workspace: int, ports: int, inward: int, outward: int, first: int, end: int
) -> None:
    """`run` for calls [first, end) of a batch.

    ports: of the inputs, then of the outputs: address in the batch of call 0, bytes of a call, address in the arena.
    """
    for call in range(first, end):
        for k in range(inward):
            port = ports + 24 * k
            copy_exact(ld64(port + 16), ld64(port) + call * ld64(port + 8), ld64(port + 8))
        run(program, count, workspace)
        for k in range(inward, inward + outward):
            port = ports + 24 * k
            copy_exact(ld64(port) + call * ld64(port + 8), ld64(port + 16), ld64(port + 8))


def program(commands: Sequence[Command]) -> NDArray[np.int64]:
    """The commands as `run` reads them. Compiles, or loads, the kernels that they call."""
    words: list[int] = []
    for command in commands:
        words += [command.kernel.address, len(command.fields), *command.fields]
    return np.array(words, np.int64)
