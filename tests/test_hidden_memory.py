"""Memory that kernels need beside the arena and the working memory that the plan names.

What the plan claims is all that a microcontroller would have. Compiled kernels may keep a band of a few rows in a
workspace of their own. Whatever else they hold is named here, with the reason: a kernel that newly needs the memory of
a whole feature map fails these tests, and an excuse that nobody needs any more does so too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mcusim import GraphBuilder
from mcusim.errors import ScheduleError
from mcusim.execution import prepared
from mcusim.execution.arena import Arena, BoundStep
from mcusim.execution.streams import compiled_tier
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType, Graph
from mcusim.ops import OPS
from mcusim.ops.kernels import fast
from mcusim.ops.kernels.fast.vector import KERNEL_SET, available

BAND_BYTES = 1 << 17
"""What a band of rows and the packed columns of a tile may take."""
IN_PLACE = "in place"
"""A depthwise convolution on top of its input copies all of it first. TinyEngine saves a channel, mcusim's C four."""
LINES = "lines"
"""Rows that wrap around in a line buffer are copied into one piece, and back. C addresses them modulo."""
EVERY = "test_every_compiled_operator_holds_no_more_than_a_band"
EXCUSED = {("DEPTHWISE_CONV_2D", IN_PLACE)}
"""(operator, how) of compiled kernels whose workspace grows with the map."""

WITH_TEMPORARIES = {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"}
"""Plain kernels are numpy's: but for those that only move bytes, each holds temporaries of its operands' size, in the
types of sums. They define the arithmetic and run on a host; nothing is claimed of their memory."""


class Step(NamedTuple):
    """One step as it is bound to an arena.   activation_bytes: of what it reads and writes."""

    op: str
    how: str
    bound: BoundStep
    activation_bytes: int


def wide() -> Graph:
    """Maps of 128 KiB and more, so that a band is far from all of one."""
    builder = GraphBuilder("wide")
    x = builder.conv_2d(builder.input((1, 128, 128, 3)), 16, 3, padding=1)
    y = builder.conv_2d(x, 16, 3, padding=1)
    x = builder.add(builder.depthwise_conv_2d(y, 3, padding=1), x)
    x = builder.depthwise_conv_2d(builder.conv_2d(x, 24, 1), 5, padding=2)
    x = builder.max_pool_2d(x, 2, stride=2)
    return with_seeded_weights(builder.build([builder.conv_2d(x, 8, 1)]), 0)


Made = Callable[[GraphBuilder, int, int], int]
"""(builder, a map, another of its shape) -> the tensor that an operator makes of them."""
COMPILED: dict[str, Made] = {
    "CONV_2D": lambda b, y, _: b.conv_2d(y, 8, 3, stride=2),
    "DEPTHWISE_CONV_2D": lambda b, y, _: b.depthwise_conv_2d(y, 3, padding=1),
    "FULLY_CONNECTED": lambda b, y, _: b.fully_connected(b.reshape(y, (128 * 128, 16)), 8),
    "ADD": lambda b, y, x: b.add(y, x),
    "SUB": lambda b, y, x: b.sub(y, x),
    "MUL": lambda b, y, x: b.mul(y, x),
    "MAX_POOL_2D": lambda b, y, _: b.max_pool_2d(y, 2, stride=2),
    "AVERAGE_POOL_2D": lambda b, y, _: b.average_pool_2d(y, 3, stride=1),
    "MEAN": lambda b, y, _: b.mean(y),
    "SUM": lambda b, y, _: b.op("SUM", [y, b.integers([1])]),
    "PAD": lambda b, y, _: b.pad(y, 1, 1, 1, 1),
    "TRANSPOSE": lambda b, y, _: b.transpose(y, (0, 2, 1, 3)),
    "CONCATENATION": lambda b, y, x: b.concatenation([x, y]),
    "RESIZE_NEAREST_NEIGHBOR": lambda b, y, _: b.resize_nearest_neighbor(y, (256, 256)),
    "RESIZE_BILINEAR": lambda b, y, _: b.op("RESIZE_BILINEAR", [y, b.integers([256, 256])]),
    "SLICE": lambda b, y, _: b.op("SLICE", [y, b.integers([0, 1, 1, 0]), b.integers([1, 100, 100, 16])]),
    "QUANTIZE": lambda b, y, _: b.op("QUANTIZE", [y]),
    "SHAPE": lambda b, y, _: b.op("SHAPE", [y], dtype=DType.INT32),
    "RESHAPE": lambda b, y, _: b.reshape(y, (1, 64, 256, 16)),
    "SOFTMAX": lambda b, y, _: b.softmax(y),
    "LOGISTIC": lambda b, y, _: b.unary("LOGISTIC", y),
}
"""An operator for each compiled kernel, on a map of 256 KiB."""


def with_operator(name: str) -> Graph:
    """A convolution, the operator on what it gives and on what it reads, and a convolution of the map that it makes."""
    builder = GraphBuilder(name, DType.INT8)
    x = builder.input((1, 128, 128, 16))
    y = COMPILED[name](builder, builder.conv_2d(x, 16, 3, padding=1), x)
    return with_seeded_weights(
        builder.build([builder.conv_2d(y, 8, 1) if len(builder.type_of(y).shape) == 4 else y]), 0
    )


def steps(schedule: str, runtime: str, graph: Graph | None = None) -> Iterator[Step]:
    ready = prepared(wide() if graph is None else graph, schedule=schedule, runtime=runtime)
    program = ready.program
    for bound in Arena(ready).bound_steps():
        planned = bound.iteration.step
        over = [program.buffers[program.views[view].buffer].over for view in planned.writes]
        how = LINES if bound.gathers or bound.scatters else IN_PLACE if max(over) >= 0 else ""
        sizes = [array.nbytes for array in (*bound.inputs[:1], *bound.outputs)]
        yield Step(planned.signature.op, how, bound, sum(sizes))


def tier_or_skip() -> Any:
    tier = compiled_tier()
    if tier is None:
        pytest.skip("no compiler: only plain kernels run")
    return tier


def workspace_bytes(step: Step, tier: Any) -> int:
    """Of a compiled kernel; 0 where a plain one runs."""
    commands = tier.encode(np.zeros(0, np.uint8), step.bound)
    return 0 if commands is None else max((command.workspace_bytes for command in commands), default=0)


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine", "mcusim"])
@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@4", "stream:4@6"])
def test_compiled_kernels_hold_no_more_than_a_band(schedule: str, runtime: str) -> None:
    tier = tier_or_skip()
    large = {(step.op, step.how) for step in steps(schedule, runtime) if workspace_bytes(step, tier) > BAND_BYTES}
    assert large <= EXCUSED


def test_every_compiled_kernel_is_asked_about() -> None:
    """Operators without one run plainly: see `test_plain_kernels_are_named_as_a_whole`."""
    folder = Path(fast.__file__).parent
    encoders = {path.stem for path in folder.glob("*.py") if "\ndef encode(" in path.read_text(encoding="utf-8")}
    assert {OPS[name].kernel for name in COMPILED} == encoders


@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@3", "stream:8@3"])
@pytest.mark.parametrize("name", COMPILED)
def test_every_compiled_operator_holds_no_more_than_a_band(name: str, schedule: str) -> None:
    """In pieces too, where the operator can be cut: else what comes before it is."""
    tier = tier_or_skip()
    try:
        bound = list(steps(schedule, "tflm", with_operator(name)))
    except ScheduleError as refusal:
        bound = list(steps(refusal.fix.removeprefix("use ").partition(",")[0], "tflm", with_operator(name)))
    own = [tier.encode(np.zeros(0, np.uint8), step.bound) for step in bound if step.op == name]
    assert own
    assert schedule != "layer" or None not in own
    assert max(workspace_bytes(step, tier) for step in bound) <= BAND_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("kernel_set", available())
def test_convolutions_hold_no_more_than_a_band_with_every_kernel_set(kernel_set: str) -> None:
    """Without VNNI a band is held twice, in bytes and widened: what the best set of this machine holds is not all."""
    own = [f"{Path(__file__).name}::{name}" for name in ("test_what_is_excused_is_so", f"{EVERY}[CONV_2D-layer]")]
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *own]
    environment = {**os.environ, KERNEL_SET: kernel_set}
    answer = subprocess.run(asked, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_what_is_excused_is_so() -> None:
    tier = tier_or_skip()
    excused = {
        (s.op, s.how) for s in steps("layer", "tinyengine") if workspace_bytes(s, tier) >= s.activation_bytes // 2
    }
    assert excused == EXCUSED


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine", "mcusim"])
def test_only_line_buffers_are_copied(runtime: str) -> None:
    """No patch and no whole layer needs another copy of its operands."""
    for schedule in ("layer", "patch:2x2@4", "patch:3x2@2"):
        assert all(step.how != LINES for step in steps(schedule, runtime))
    assert any(step.how == LINES for step in steps("stream:4@6", runtime))


def test_plain_kernels_are_named_as_a_whole() -> None:
    """A plain run takes about its operands once more."""
    temporary = set()
    for step in steps("layer", "tflm"):
        tracemalloc.start()
        step.bound.run(step.bound.prepared, step.bound.inputs, step.bound.outputs, step.bound.piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if peak_bytes > step.activation_bytes // 2:
            temporary.add(step.op)
    assert temporary == WITH_TEMPORARIES
