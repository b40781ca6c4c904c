"""Everything that mcusim does with a file, and what must hold of it: a result or a sentence, in bounds, right bytes.

A stage raises McusimError where mcusim refuses, Fault where it answers wrongly; any other exception is a fault itself.
"""

from __future__ import annotations

import io
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from commands import run as run_command
from numpy.typing import NDArray
from oracles import Refused, run_tflm

from fuzzing.rooms import GuardedRooms, guarded
from mcusim.advising.remedies import remedies
from mcusim.errors import McusimError
from mcusim.execution.feeds import check_inputs
from mcusim.execution.preparation import prepare
from mcusim.execution.sessions import Session
from mcusim.execution.streams import compiled_tier
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph
from mcusim.limits import memory_limit, refuse_beyond
from mcusim.lowering.staging import computes, is_tileable, network_of
from mcusim.memory.planning import offline_plan, plan_memory
from mcusim.ops.registry import Numerics
from mcusim.ops.rooms import rooms_made_by
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER, Schedule, StageKind, StageSpec
from mcusim.searching import search
from mcusim.simulation.simulate import simulate

__all__ = ["STAGES", "UNSET", "Answer", "Fault", "answer", "compare", "inputs_of", "outputs_of"]

os.environ["MCUSIM_DEBUG"] = "1"  # what nobody foresaw is raised
Array = NDArray[Any]
Random = np.random.Generator

SECONDS_ALLOWED = 2.0
SECONDS_UNTIL_HUNG = 40.0
"""Kernels are compiled at their first use, which may take some of it."""
MEMORY_ALLOWED_BYTES = 256 << 20
"""What --max-memory says; the process itself may take 1 GiB more than it has, and no more."""
SENTENCE_CHARACTERS = 2000
"""A message is no page, whatever the names in the file."""
BOARDS = ("stm32f412", "stm32h743", "nrf52840")
PRICED = ("tinyengine", "tflm", "tflm-cmsis-nn", "x-cube-ai", "microtvm-cmsis-nn")
CUTTING = ("tinyengine", "mcusim", "tflm")
UNSET = frozenset({"SignalFramer", "SignalStacker", "SignalFftAutoScale", "SPACE_TO_BATCH_ND"})
"""Audio front ends leave an output as it was until a frame is full, and TFLM pads batches with what nothing has set."""
FEW_NODES = 40
"""The slow stages see networks of up to so many nodes."""
JUDGE_ARENA_BYTES = 1 << 20


class Fault(Exception):
    """Something that must not be.   kind: what faults with one cause have in common."""

    def __init__(self, kind: str, details: str = "") -> None:
        super().__init__(f"{kind}: {details}" if details else kind)
        self.kind, self.details = kind, details


class _Hung(BaseException):
    """A stage that would not end; no handler of mcusim's catches it."""


class Answer(NamedTuple):
    """What a file gave.   refused: stage -> sentence.   faults: (kind, details).   counts: what was done, by name."""

    refused: dict[str, str]
    faults: list[tuple[str, str]]
    counts: dict[str, int]


@dataclass
class Subject:
    """A file on its way through the stages."""

    content: bytes
    rng: Random
    rooms: GuardedRooms
    counts: dict[str, int]
    use_judge: bool
    graph: Graph | None = None
    inputs: list[Array] | None = None
    outputs: list[Array] | None = None

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


Enter = Callable[[str], None]


def answer(content: bytes, rng: Random, *, enter: Enter = lambda _: None, use_judge: bool = True) -> Answer:
    """Take a file through all stages.   enter: is told which stage begins, for whoever outlives a crash."""
    rooms = GuardedRooms(int(rng.integers(2**32)))
    subject = Subject(content, rng, rooms, {}, use_judge)
    refused: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    for name, stage in STAGES.items():
        if name != "load" and subject.graph is None:
            break
        enter(name)
        started = time.process_time()
        try:
            with rooms_made_by(rooms.make), memory_limit(MEMORY_ALLOWED_BYTES), _ended_after(SECONDS_UNTIL_HUNG):
                stage(subject)
        except McusimError as error:
            refused[name] = str(error)
            faults += [(f"{name}: sentence", str(error)[:300])] * (not _is_sentence(error))
        except Fault as fault:
            faults.append((f"{name}: {fault.kind}", fault.details))
        except _Hung:
            faults.append((f"{name}: hangs", traceback.format_exc(limit=-12)))
        except Exception as error:  # the very thing that is looked for
            faults.append((f"{name}: {_place(error)}", traceback.format_exc(limit=-12)))
        seconds = time.process_time() - started
        if seconds > SECONDS_ALLOWED:
            faults.append((f"{name}: slow", f"{seconds:.1f} s"))
        if rooms.damaged():
            faults.append((f"{name}: wrote outside", f"{rooms.damaged()} rooms"))
            rooms.forget()
    rooms.forget()
    return Answer(refused, faults, subject.counts)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Raise `_Hung` inside after so many seconds of processor time: a hang is a fault with its place, not a wait."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Hung

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _is_sentence(error: McusimError) -> bool:
    return bool(error.what) and bool(error.fix) and "\n" not in error.what and len(str(error)) < SENTENCE_CHARACTERS


def _place(error: Exception) -> str:
    """The exception's type and the innermost line of mcusim that it passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/mcusim/" in frame.filename]
    at = f"{frames[-1].filename.rpartition('/mcusim/')[2]}:{frames[-1].name}" if frames else "nowhere"
    return f"{type(error).__name__} in {at}"


# ---------------------------------------------------------------------------------------------------------------------
# Stages


def _load(subject: Subject) -> None:
    graph = parse_tflite(subject.content, name="case", where="case.tflite")
    subject.graph = guarded(graph, subject.rooms)
    subject.count("loaded")


def _graph(subject: Subject) -> Graph:
    assert subject.graph is not None
    return subject.graph


def _pick(rng: Random, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _simulate(subject: Subject) -> None:
    report = simulate(_graph(subject), profile=_pick(subject.rng, BOARDS), runtime=_pick(subject.rng, PRICED))
    report.to_json()
    subject.count("simulated")


def _plan(subject: Subject) -> None:
    plan = plan_memory(_graph(subject), _pick(subject.rng, ("tflm", "tinyengine", "mcusim")))
    _ = plan.tenants, plan.fragmentation, plan.alive_bytes
    subject.count("planned")


def _plan_offline(subject: Subject) -> None:
    offline_plan(_graph(subject))


def _search(subject: Subject) -> None:
    graph = _graph(subject)
    if len(graph.nodes) <= FEW_NODES:
        runtime = _pick(subject.rng, ("tinyengine", "tflm", "mcusim"))
        search(graph, profile=_pick(subject.rng, BOARDS), runtime=runtime, max_stages=2, max_grid=4)
        subject.count("searched")


def _remedies(subject: Subject) -> None:
    if subject.rng.random() < 0.1 and len(_graph(subject).nodes) <= FEW_NODES // 4:
        remedies(_graph(subject), profile="stm32f412", runtime=_pick(subject.rng, ("tinyengine", "tflm")))
        subject.count("advised")


COMMANDS = (
    ("run", "--profile", "stm32f412"),
    ("run", "--profile", "stm32h743", "--runtime", "tflm", "--json", "-"),
    ("plan", "--runtime", "tflm"),
    ("plan", "--runtime", "tinyengine", "--csv", "-"),
    ("patch", "--profile", "stm32f412", "--max-grid", "4"),
    ("fit", "--profile", "nrf52840"),
    ("ops",),
    ("plan", "--all"),
    ("exec", "--input", "random"),
)


def _tell(subject: Subject) -> None:
    """A command as users give it, and how it tells its answer."""
    if subject.rng.random() > 0.15 or len(_graph(subject).nodes) > FEW_NODES:
        return
    command, *options = _pick(subject.rng, COMMANDS)
    with tempfile.NamedTemporaryFile(suffix=".tflite", prefix="case") as file:
        file.write(subject.content)
        file.flush()
        code, out, err = run_command(command, file.name, *options)
    subject.count("told")
    if code not in (0, 2) or (code == 2) != bool(err) or "Traceback" in err + out:
        raise Fault(f"{command} ends with {code}", err[-300:])
    if any(c < " " and c not in "\n\t" for c in out + err):
        raise Fault(f"{command} prints control characters", repr(out)[:300])


def _execute(subject: Subject) -> None:
    """Compiled, twice; plain; under the canary. One answer."""
    graph = _graph(subject)
    size_bytes = sum(8 * max(graph.tensors[index].type.elements, 0) for index in graph.inputs)
    refuse_beyond(size_bytes, "drawing its inputs", where="the fuzzer")
    subject.inputs = inputs_of(graph, subject.rng)
    first = outputs_of(graph, LAYER, "tflm", subject.inputs, compiled=True)
    subject.outputs = first
    subject.count("executed")
    compare("plain kernels differ", first, outputs_of(graph, LAYER, "tflm", subject.inputs, compiled=False))
    if subject.rng.random() < 0.2:
        compare(
            "the canary's run differs",
            first,
            outputs_of(graph, LAYER, "tflm", subject.inputs, compiled=True, check=True),
        )


def _judge(subject: Subject) -> None:
    """TFLM's own kernels, where it takes the file."""
    if subject.outputs is None or subject.inputs is None or not subject.use_judge:
        return
    if any(node.op.startswith("CUSTOM") or node.op in UNSET for node in _graph(subject).nodes):
        return
    try:
        theirs = run_tflm(subject.content, subject.inputs, arena_bytes=JUDGE_ARENA_BYTES)
    except (Refused, AttributeError, ValueError):  # the last two come from the wheel's own Python
        subject.count("refused by TFLM alone")
        return
    subject.count("judged")
    pairs = [
        (ours, theirs[k].reshape(ours.shape) if theirs[k].size == ours.size else theirs[k])
        for k, ours in enumerate(subject.outputs)
        if not _graph(subject).tensors[_graph(subject).outputs[k]].dtype.is_packed  # which TFLM returns as it is stored
    ]
    compare("TFLM differs", [ours for ours, _ in pairs], [other for _, other in pairs])


def _schedules(subject: Subject) -> None:
    """Schedules change nothing."""
    if subject.outputs is None or subject.inputs is None or len(_graph(subject).nodes) > FEW_NODES:
        return
    for _ in range(2):
        runtime = _pick(subject.rng, CUTTING)
        schedule = _schedule(_graph(subject), runtime, subject.rng)
        if schedule is None:
            return
        compiled = bool(subject.rng.random() < 0.7)
        try:
            outputs = outputs_of(_graph(subject), schedule, runtime, subject.inputs, compiled=compiled)
        except McusimError:
            subject.count("schedules refused")
            continue
        except Exception as error:  # the schedule must be told
            raise Fault(_place(error), f"{schedule} {runtime}\n{traceback.format_exc(limit=-8)}") from error
        subject.count("schedules")
        compare("a schedule differs", subject.outputs, outputs, f"{schedule} {runtime} compiled={compiled}")
        simulate(_graph(subject), profile="stm32h743", runtime=runtime, schedule=schedule)


def _export(subject: Subject) -> None:
    """Written and read again it is the same network."""
    graph = _graph(subject)
    written = write_tflite(graph)
    again = parse_tflite(written, name="case", where="case.tflite")
    if write_tflite(again) != written:
        raise Fault("written twice it differs")
    subject.count("exported")
    if subject.outputs is not None and subject.inputs is not None:
        compare("exported it differs", subject.outputs, outputs_of(again, LAYER, "tflm", subject.inputs, compiled=True))


STAGES: dict[str, Callable[[Subject], None]] = {
    "load": _load,
    "simulate": _simulate,
    "plan": _plan,
    "offline": _plan_offline,
    "search": _search,
    "remedies": _remedies,
    "tell": _tell,
    "execute": _execute,
    "schedules": _schedules,
    "export": _export,
    "judge": _judge,
}

# ---------------------------------------------------------------------------------------------------------------------
# Runs


def inputs_of(graph: Graph, rng: Random) -> list[Array]:
    """Every value of a type; small integers where they may be positions, axes or sizes."""
    arrays: list[Array] = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        is_numpys = tensor.dtype.bits > 0 and tensor.dtype is not DType.BFLOAT16
        dtype = np.dtype(tensor.dtype.unpacked.value if is_numpys else "int8")
        if dtype.kind == "f":
            arrays.append((rng.standard_normal(tensor.shape) * 2).astype(dtype))
        elif dtype.kind == "b":
            arrays.append(rng.integers(0, 2, tensor.shape).astype(bool))
        elif dtype.kind in "iu":
            limits = np.iinfo(dtype)
            low, high = (0, 4) if dtype.itemsize >= 4 and rng.random() < 0.8 else (limits.min, limits.max)
            unused = limits.bits - tensor.dtype.bits if tensor.dtype.is_packed else 0
            arrays.append(rng.integers(low, high, tensor.shape, dtype, endpoint=True) >> unused)
        else:
            arrays.append(np.zeros(tensor.shape, dtype))
    return arrays


def outputs_of(
    graph: Graph, schedule: Schedule, runtime: str, inputs: Sequence[Array], *, compiled: bool, check: bool = False
) -> list[Array]:
    """Two calls that begin afresh, which must agree, whatever the first has left behind."""
    with redirect_stderr(io.StringIO()):
        ready = prepare(graph, schedule, find_runtime(runtime), Numerics.TFLM)
        session = Session(ready, check=check, tier=compiled_tier() if compiled else None)
        feed = check_inputs(graph, inputs)
        first = session.call(feed.arrays) if feed.calls is None else session.run(inputs)
        session.reset()
        second = session.run(inputs)
    compare("a second call differs", first, second, f"{schedule} {runtime} compiled={compiled}")
    return second


def compare(kind: str, ours: Sequence[Array], theirs: Sequence[Array], details: str = "") -> None:
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype:
            raise Fault(kind, f"output {index}: {one.dtype}{one.shape} beside {other.dtype}{other.shape}; {details}")
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            places = np.argwhere(np.atleast_1d(one != other))
            at = tuple(places[0].tolist())
            pair = np.atleast_1d(one)[at], np.atleast_1d(other)[at]
            raise Fault(
                kind, f"output {index}: {len(places)} of {one.size}, at {at} {pair[0]} and {pair[1]}; {details}"
            )


def _schedule(graph: Graph, runtime: str, rng: Random) -> Schedule | None:
    """One or two cut stages wherever operators can be cut, layers between them."""
    try:
        steps = [step for step in network_of(graph, find_runtime(runtime).rules).steps if computes(step)]
    except McusimError:
        return None
    stages = list(_stages([is_tileable(step) for step in steps], [step.signature.output for step in steps], rng))
    return Schedule(tuple(stages)) if any(stage.kind is not StageKind.LAYER for stage in stages) else None


def _stages(able: Sequence[bool], outputs: Sequence[Any], rng: Random) -> Iterator[StageSpec]:
    at = 0
    for _ in range(2):
        starts = [k for k in range(at, len(able)) if able[k]]
        if not starts:
            return
        first = _pick(rng, starts)
        end = first + 1
        while end < len(able) and able[end] and rng.random() < 0.7:
            end += 1
        if first > at:
            yield StageSpec(StageKind.LAYER, first - at)
        last = outputs[end - 1]
        rows, cols = (int(rng.integers(1, min(max(size, 1), 4) + 1)) for size in (last.rows, last.cols))
        if rng.random() < 0.6:
            yield StageSpec(StageKind.PATCH, end - first, rows, cols)
        else:
            band = int(rng.integers(-(-max(last.rows, 1) // 12), max(last.rows, 1) + 1))
            yield StageSpec(StageKind.STREAM, end - first, band_rows=max(band, 1))
        at = end
