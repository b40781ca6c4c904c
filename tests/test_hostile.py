"""Files from strangers: what was found by fuzzing, a sample of it each time, and that the fuzzer would see a fault."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    pytest.skip("numba's compiler is off", allow_module_level=True)
pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from commands import run
from fuzzing.answers import answer, inputs_of
from fuzzing.mutations import MUTATIONS, mutated, packed, unpacked
from fuzzing.rooms import GuardedRooms
from fuzzing.seeds import HOSTILE, Seeds

from mcusim import execute
from mcusim.errors import McusimError, ScheduleError
from mcusim.frontends.tflite import parse_tflite

REPO = Path(__file__).resolve().parents[1]
CASES = int(os.environ.get("MCUSIM_FUZZ", "150"))

REFUSED = {
    "batch-to-space-int64": "input 2 is int64, whose bytes",
    "bool-bytes": "bytes other than 0 and 1",
    "conv-dilation-100000": "would take .* of memory",
    "conv-stride-40000": "its stride is 40,000, of which TFLM keeps 16 bits",
    "depth-multiplier-0": "depth_multiplier is 0",
    "depthwise-dilation-40000": "its dilation is 40,000, of which TFLM keeps 16 bits",
    "detection-rank": "are not of one image",
    "elu-scale": "is no number at scale",
    "gather-float16": "positions are float16",
    "handle-int32": "no resource",
    "hard-swish-scale": "too far apart: a factor is inf",
    "logistic-int16-scale": "is too small",
    "int16-zero-point": "has the zero point 5",
    "log-softmax-4096": "sums 4,096 exponentials, which may overflow",
    "lstm-scale-a-channel": "weights with a scale a channel",
    "lstm-weights-rank": r"has shape \(4,\), not \(4, 6\)",
    "mean-surplus-integer": "contradicts the inputs",
    "mirror-pad-mode": "its mode is 100",
    "overlap-add-scalar": "elements of resource cannot be computed with",
    "pool-padding-35000": "its padding is 35,000, of which TFLM keeps 16 bits",
    "pool-window-2e9": "would take .* of memory",
    "relu6-scale": "is no number at scale",
    "resize-2e9": "would take .* of memory",
    "resize-rows-told": "would take .* of memory",
    "signal-window-empty": "samples are not made of frames",
    "slice-mixed-positions": "its size is int32, whose bytes",
    "softmax-surplus-integer": "contradicts the inputs",
    "strided-slice-backwards": "leaves its output unset",
    "space-to-batch-int64": "input 2 is int64, whose bytes",
    "transpose-conv-30000": "would take .* of memory",
    "transpose-conv-stride-40000": "its stride is 40,000, of which TFLM keeps 16 bits",
    "transpose-conv-int16-zero-point": "has the zero point 128",
    "transpose-int64": "input 1 is int64, whose bytes",
    "variable-before-its-value": "used before the subgraph that sets it",
    "variable-int4": "elements of int4 are not kept",
    "variable-never-assigned": "nothing assigns it",
}
"""File -> what loading or running it says."""
RUN = {
    "batch-3",
    "batch-matmul-surplus",
    "broadcast-args-wide",
    "names",
    "no-computing-node",
    "no-layer-to-cut",
    "pad-as-weights",
    "pad-int16",
    "padv2-run-time-value",
    "rows-100000",
    "state-in-and-out",
    "variable-in-a-stage",
    "variable-input",
    "variable-relabelled",
}
"""Files that run: compiled and plain kernels, schedules, an export and TFLM agree."""
REFUSED_BY_TFLM = {"batch-matmul-surplus"}
"""What runs here alone: kernels are not given inputs to spare."""


def test_every_kept_file_is_spoken_of() -> None:
    assert {path.stem for path in HOSTILE.glob("*.tflite")} == REFUSED.keys() | RUN


@pytest.mark.parametrize("name", sorted(REFUSED.keys() | RUN))
def test_what_was_found_stays_mended(name: str) -> None:
    content = (HOSTILE / f"{name}.tflite").read_bytes()
    outcome = answer(content, np.random.default_rng(1))
    if outcome.faults and all(kind.endswith(": slow") for kind, _ in outcome.faults):
        outcome = answer(content, np.random.default_rng(1))  # The first call compiles kernels.
    assert not outcome.faults
    sentence = outcome.refused.get("load") or outcome.refused.get("execute")
    if name in RUN:
        assert sentence is None
        assert outcome.counts.get("judged", 0) == (name not in REFUSED_BY_TFLM)
    else:
        assert sentence is not None
        with pytest.raises(McusimError, match=REFUSED[name]):
            raise McusimError(sentence, where="it", fix="none")


@pytest.mark.slow
def test_a_sample_of_mutations_has_no_fault() -> None:
    """In a process of its own: what it looks for may end it."""
    command = [sys.executable, str(REPO / "scripts" / "fuzz.py"), "run", "--cases", str(CASES), "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPO)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


# ---------------------------------------------------------------------------------------------------------------------
# The fuzzer itself


def test_the_same_number_gives_the_same_case() -> None:
    seeds = Seeds(None)
    first, second = (np.random.default_rng([3, 14]) for _ in range(2))
    assert mutated(seeds.draw(first).content, first) == mutated(seeds.draw(second).content, second)


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_mutations_leave_a_file_that_the_reader_takes_or_refuses(name: str) -> None:
    rng, seeds = np.random.default_rng(5), Seeds(None)
    for _ in range(20):
        model = unpacked(seeds.draw(rng).content)
        MUTATIONS[name](model, rng)
        try:
            content = packed(model)
        except (TypeError, ValueError, OverflowError):
            continue
        with contextlib.suppress(McusimError):
            parse_tflite(content, name="case", where="case")


def test_writes_around_a_room_are_seen() -> None:
    rooms = GuardedRooms(1)
    room = rooms.make(100)
    assert len(room) == 100
    room[...] = 7
    assert rooms.damaged() == 0
    inside = np.lib.stride_tricks.as_strided(room, (101,), (1,))
    before = int(inside[100])
    inside[100] = before ^ 255
    assert rooms.damaged() == 1


OVERRUN = (
    "import numpy as np; from fuzzing.rooms import GuardedRooms; room = GuardedRooms(1).make(64); "
    "print(np.lib.stride_tricks.as_strided(room, (1 << 14,), (1,)).sum())"
)


def test_reads_beyond_a_room_fault() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'tests'}:{REPO / 'scripts'}"}
    done = subprocess.run([sys.executable, "-c", OVERRUN], capture_output=True, env=environment, check=False)
    assert done.returncode < 0


# ---------------------------------------------------------------------------------------------------------------------
# Stages that the fuzzer reaches seldom


FOLDED = ("pad-as-weights", "variable-in-a-stage", "variable-relabelled")


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("runtime", ["mcusim", "tinyengine"])
@pytest.mark.parametrize("schedule", ["layer", "stream:2@1", "stream:2@2"])
def test_what_runtimes_fold_keeps_its_bytes(name: str, runtime: str, schedule: str) -> None:
    """A PAD whose map is the weights too, and variables that a step writes."""
    graph = parse_tflite((HOSTILE / f"{name}.tflite").read_bytes(), name="case", where="case")
    inputs = inputs_of(graph, np.random.default_rng(3))
    wanted = execute(graph, inputs, runtime="tflm")
    try:
        outputs = execute(graph, inputs, runtime=runtime, schedule=schedule)
    except ScheduleError:
        return
    for one, other in zip(wanted, outputs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_operators_of_a_huge_map_are_listed_at_once() -> None:
    """Else this takes half an hour: as many rows as the map has were looked at, one after the other."""
    code, out, _ = run("ops", str(HOSTILE / "resize-rows-told.tflite"))
    assert (code, "of memory" in " ".join(out.split())) == (0, True)
