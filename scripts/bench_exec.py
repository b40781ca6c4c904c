"""Execution beside LiteRT, on one core, on every int8 convolutional network of the corpus and on seeded networks of
kinds that lean on other operators (see `bench_kinds.py`). Part of `scripts/bench`.

The same inputs go through mcusim, LiteRT's default kernels (XNNPACK, one thread; not exact) and its reference kernels,
turn by turn in one run; each call copies its inputs in and its outputs out, on all sides. A time is the best of many
calls. MCUSIM_KERNELS forces a kernel set and measures that one only; else the others that the machine can run follow,
each in a process of its own.
"""

from __future__ import annotations

import csv
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from bench_kinds import seeded_networks

from mcusim import execute, load, session
from mcusim.execution.streams import KERNEL_SET, PLAIN
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph
from mcusim.ops import OPS
from mcusim.ops.registry import StateRole, WorkKind

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 8
ROUND_S = 0.03
REFERENCE_CALLS = 3
LARGE_MACS = 5e6
BATCHED = "mlperf_vww01_mbv1_025_96_int8"
BATCH_CALLS = 2000
CONVOLVES = {WorkKind.CONV, WorkKind.DEPTHWISE, WorkKind.POINTWISE}

Call = Callable[[], object]


class Timing(NamedTuple):
    """Seconds of one call.   litert, reference: None where LiteRT refuses the network."""

    name: str
    macs: float
    ours: float
    litert: float | None
    reference: float | None


def bench_exec() -> None:
    """mcusim, LiteRT and its reference kernels on every int8 CNN of the corpus; then the other kernel sets."""
    if _interpreter() is None:
        print("   LiteRT is not installed (extra `oracles`): nothing to compare with")
        return
    folder = _corpus()
    forced = os.environ.get(KERNEL_SET)
    names = _kernel_sets() if forced is None else [forced]
    if folder is None:
        print("   no corpus of real networks: set MCUSIM_CORPUS to its folder")
    elif forced is None:
        _batch(folder / "models" / f"{BATCHED}.tflite")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"   kernel set {names[0]}; ms a call, copies in and out included; one core")
    if folder is not None:
        timings = []
        for row in _rows(folder):
            path, macs = folder / "models" / f"{row['name']}.tflite", float(row["macs_M"] or 0) * 1e6
            timing = _timing(path, row["name"], macs, with_reference=forced is None)
            if timing is not None:
                timings.append(timing)
                _show(timing)
        _sum_up(timings)
    _bench_kinds()
    if forced is None:
        for name in [*names[1:], PLAIN]:
            _other(name)


def _bench_kinds() -> None:
    """The seeded networks, and the ratio of each kind."""
    timings: dict[str, list[Timing]] = {}
    with TemporaryDirectory() as folder:
        for kind, graph in seeded_networks():
            path = Path(folder) / f"{graph.name}.tflite"
            path.write_bytes(write_tflite(graph))
            macs = sum(
                OPS[n.op].work(n.signature, n.signature.output.rows, n.signature.output.cols, 1).macs
                for n in graph.nodes
            )
            timing = _timing(path, graph.name, macs, with_reference=False)
            if timing is not None:
                timings.setdefault(kind, []).append(timing)
                _show(timing)
    for kind, timed in timings.items():
        ratios = [timing.ours / timing.litert for timing in timed if timing.litert is not None]
        if ratios:
            mean = statistics.geometric_mean(ratios)
            print(f"   {kind}: mcusim : LiteRT  geometric mean {mean:.3f}, worst {max(ratios):.3f}", flush=True)


def _kernel_sets() -> list[str]:
    """Those that this machine can run, best first. By name, as sessions do: it imports the compiler."""
    levels: list[str] = import_module("mcusim.ops.kernels.fast.vector").available()
    return levels


def _batch(path: Path) -> None:
    """Calls a second of one batch, by one thread and by one a core."""
    graph = load(path)
    [single] = _inputs(graph)
    batch = np.repeat(single, BATCH_CALLS, axis=0)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for count in sorted({1, threads}):
        seconds = _best(partial(execute, graph, [batch], threads=count), 5)
        rate = f"{BATCH_CALLS / seconds:8.0f} calls a second"
        print(f"   batch of {BATCH_CALLS} calls of {BATCHED}, {count} thread{'s' * (count > 1)}: {rate}")


def _corpus() -> Path | None:
    named = os.environ.get("MCUSIM_CORPUS")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    return folder if (folder / "MANIFEST.csv").is_file() else None


def _rows(folder: Path) -> Iterator[Mapping[str, str]]:
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as manifest:
        yield from csv.DictReader(manifest)


def _interpreter() -> Any:
    try:
        return import_module("ai_edge_litert.interpreter")
    except ImportError:
        return None


def _why_not(graph: Graph) -> str | None:
    """Why a network is left out, or None."""
    work = [
        OPS[n.op].work(n.signature, n.signature.outputs[0].rows, n.signature.outputs[0].cols, 1)
        for n in graph.nodes
        if n.signature.outputs
    ]
    weighted = [n for n in graph.nodes if OPS[n.op].parameters]
    if any(n.signature.input(0).dtype is not DType.INT8 for n in weighted):
        return "not int8"
    if not any(w.kind in CONVOLVES for w in work):
        return "no convolution"
    if any(OPS[n.op].state is not StateRole.NONE for n in graph.nodes):
        return "keeps state from call to call"
    return None


def _inputs(graph: Graph) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    inputs = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype is DType.FLOAT32:
            inputs.append(rng.standard_normal(tensor.shape).astype(np.float32))
        else:
            limits = np.iinfo(tensor.dtype.value)
            inputs.append(rng.integers(limits.min, limits.max + 1, tensor.shape, dtype=tensor.dtype.value))
    return inputs


def _timing(path: Path, name: str, macs: float, *, with_reference: bool) -> Timing | None:
    if name.startswith("seanet"):  # one int16 operator each
        return None
    graph = load(path)
    reason = _why_not(graph)
    if reason is not None:
        print(f"   {name:<38} left out: {reason}")
        return None
    inputs, ours = _inputs(graph), session(graph)
    calls: list[Call | None] = [lambda: ours.run(inputs), _litert(path, inputs, "AUTO")]
    calls.append(_litert(path, inputs, "BUILTIN_REF") if with_reference else None)
    best = [math.inf] * len(calls)
    for _ in range(ROUNDS):
        for k, call in enumerate(calls):
            if call is not None:
                best[k] = min(best[k], _best(call, REFERENCE_CALLS if k == 2 else None))
    litert, reference = (None if math.isinf(seconds) else seconds for seconds in best[1:])
    return Timing(name, macs, best[0], litert, reference)


def _litert(path: Path, inputs: list[np.ndarray[Any, Any]], resolver: str) -> Call | None:
    """A call of LiteRT's interpreter with one thread; None where it refuses the network."""
    module = _interpreter()
    try:
        made = module.Interpreter(
            str(path), num_threads=1, experimental_op_resolver_type=module.OpResolverType[resolver]
        )
        made.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    into = [each["index"] for each in made.get_input_details()]
    out_of = [each["index"] for each in made.get_output_details()]

    def call() -> object:
        for index, array in zip(into, inputs, strict=True):
            made.set_tensor(index, array)
        made.invoke()
        return [made.get_tensor(index) for index in out_of]

    return call


def _best(call: Call, calls: int | None) -> float:
    """Seconds of the fastest of some calls: so many, or what fits in a round."""
    best, end = math.inf, time.perf_counter() + ROUND_S
    done = 0
    while done < (calls or 3) or (calls is None and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        done += 1
    return best


def _show(timing: Timing) -> None:
    line = f"   {timing.name:<38} {timing.macs / 1e6:7.2f} M  mcusim {timing.ours * 1e3:8.4f}"
    if timing.litert is None:
        print(f"{line}  LiteRT refuses it")
        return
    line += f"  LiteRT {timing.litert * 1e3:8.4f}  {timing.ours / timing.litert:6.3f} x"
    if timing.reference is not None:
        line += f"   reference {timing.reference * 1e3:9.3f}  {timing.reference / timing.ours:5.1f} x slower"
    print(line, flush=True)


def _sum_up(timings: list[Timing]) -> None:
    ratios = {t.name: t.ours / t.litert for t in timings if t.litert is not None}
    large = [ratios[t.name] for t in timings if t.macs > LARGE_MACS and t.name in ratios]
    print(
        f"   mcusim : LiteRT  geometric mean {statistics.geometric_mean(ratios.values()):.3f}, "
        f"median {statistics.median(ratios.values()):.3f} of {len(ratios)} networks; "
        f"worst {max(ratios.values()):.3f}, worst above {LARGE_MACS / 1e6:.0f} M MACs {max(large):.3f}"
    )
    slow = sorted(ratios, key=ratios.__getitem__)[:3]
    rest = [ratio for name, ratio in ratios.items() if name not in slow]
    print(f"   without {', '.join(slow)}, where LiteRT is slowest: {statistics.geometric_mean(rest):.3f}")
    reference = [t.reference / t.ours for t in timings if t.reference is not None]
    if reference:
        print(f"   the reference kernels take {statistics.geometric_mean(reference):.1f} x mcusim's time")


def _other(name: str) -> None:
    """The sums of another kernel set, measured in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import bench_exec; bench_exec.bench_exec()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, KERNEL_SET: name}, capture_output=True, text=True, check=True
    )
    print(f"   {name}:")
    for line in done.stdout.splitlines():
        if line.startswith("   without ") or "geometric mean" in line:
            print(f"   {line}", flush=True)


if __name__ == "__main__":
    bench_exec()
