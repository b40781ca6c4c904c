"""The fast kernels against the plain ones and against exact arithmetic: the same bytes, and only their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import naive_kernels as naive
import numpy as np
import pytest
from conftest import CorpusModel
from goldens import RUNS
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from oracles import run_tflm
from strategies import ONE_OP, Case, networks
from test_execution import inputs_of, load

import mcusim
from mcusim.arithmetic.quant import Scaling
from mcusim.errors import InputError, ModelError, ScheduleError
from mcusim.execution import prepared, streams
from mcusim.execution.runners import PlainRunner
from mcusim.execution.sessions import Session
from mcusim.execution.streams import PLAIN, compiled_tier
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.signatures import attributes_for
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Activation, DType, Graph, Padding, Quantization
from mcusim.ops import OPS
from mcusim.ops.conv_2d import PreparedConv2D
from mcusim.ops.depthwise_conv_2d import PreparedDepthwiseConv2D
from mcusim.ops.fully_connected import PreparedFullyConnected
from mcusim.ops.registry import Piece
from mcusim.ops.rooms import room as make_room
from mcusim.ops.shared.accumulators import Accumulator, OutputStage
from mcusim.ops.shared.pooling import PreparedPool
from mcusim.ops.shared.windows import window
from mcusim.region import Span, Window, clip

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    pytest.skip("numba's compiler is off", allow_module_level=True)

from mcusim.ops.kernels.fast import driver
from mcusim.ops.kernels.fast.command import Command, Declined, address_of
from mcusim.ops.kernels.fast.lookup import encode_table
from mcusim.ops.kernels.fast.packing import requant
from mcusim.ops.kernels.fast.stream import StreamRunner
from mcusim.ops.kernels.fast.vector import KERNEL_SETS, available, detect
from mcusim.ops.kernels.jit import KERNEL_SET, cache_folder

Array = np.ndarray[Any, Any]
REPO = Path(__file__).resolve().parents[1]
EXAMPLES = int(os.environ.get("MCUSIM_FUZZ", "40"))
GUARD_BYTES = 256
FAST = "mcusim.ops.kernels.fast"
BY_FAST_KERNELS = sorted(
    name for name, op in OPS.items() if op.kernel and (REPO.joinpath(*FAST.split(".")) / f"{op.kernel}.py").is_file()
)

# ---------------------------------------------------------------------------------------------------------------------
# One kernel at a time: arrays anywhere, pieces of any size


class Cell(NamedTuple):
    """An array inside random bytes."""

    room: Array
    array: Array


def placed(array: Array, rng: np.random.Generator, gap: int) -> Cell:
    """A copy with `gap` bytes between its rows, and random bytes all around."""
    *outer, row = (*array.shape[:2], array.shape[2] * array.shape[3]) if array.ndim == 4 else (1, 1, array.size)
    pitch = row + gap
    room = make_room(2 * GUARD_BYTES + outer[0] * outer[1] * pitch)
    room[...] = rng.integers(0, 256, room.size)
    strides = (outer[1] * pitch, pitch, array.shape[3], 1) if array.ndim == 4 else array.strides
    view = np.ndarray(array.shape, array.dtype, room[GUARD_BYTES:], strides=strides)
    view[...] = array
    return Cell(room, view)


def run_commands(commands: Sequence[Command]) -> None:
    """Run them in a workspace of exactly what they ask for, whose surroundings must not change."""
    size_bytes = max((command.workspace_bytes for command in commands), default=0)
    room = make_room(size_bytes + GUARD_BYTES)
    room[...] = 0xA5
    program = driver.program(commands)
    driver.run(address_of(program), len(commands), address_of(room))
    assert (room[size_bytes:] == 0xA5).all(), "it wrote behind its workspace"


def unshared(key: object, make: Callable[[], Any]) -> Any:
    return make()


def assert_same_as_plain(
    kernel: str, ready: object, source: Array, shape: tuple[int, ...], piece: Piece, rng: np.random.Generator, gap: int
) -> None:
    expected = np.zeros(shape, np.int8)
    import_module(f"mcusim.ops.kernels.{kernel}").run(ready, [source], [expected], piece)
    read, written = placed(source, rng, gap), placed(np.zeros(shape, np.int8), rng, 0 if gap == 0 else gap + 3)
    before = read.room.copy(), written.room.copy()
    before[1][GUARD_BYTES:] = written.room[GUARD_BYTES:]
    run_commands(import_module(f"{FAST}.{kernel}").encode(ready, [read.array], [written.array], piece, unshared))
    np.testing.assert_array_equal(written.array, expected)
    np.testing.assert_array_equal(read.room, before[0])
    outside = before[1].copy()
    np.ndarray(shape, np.int8, outside[GUARD_BYTES:], strides=written.array.strides)[...] = expected
    np.testing.assert_array_equal(written.room, outside)


class Drawn(NamedTuple):
    """A window over a map, and the piece of its output that is computed."""

    rows: Window
    cols: Window
    source: Array
    shape: tuple[int, ...]
    piece: Piece
    rng: np.random.Generator
    gap: int


SIZES = st.integers(1, 12)
CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17, 24, 40, 64, 72, 96, 130])


@st.composite
def drawn(draw: Callable[[st.SearchStrategy[Any]], Any], *, dilates: bool = True) -> Drawn:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    windows, spans = [], []
    for _ in range(2):
        size, kernel, stride = draw(SIZES), draw(st.integers(1, 5)), draw(st.integers(1, 3))
        dilation = draw(st.sampled_from([1, 1, 1, 2])) if dilates else 1
        size += (kernel - 1) * dilation
        pads = None if draw(st.booleans()) else (draw(st.integers(0, kernel * dilation - 1)),) * 2
        axis_window = window(size, kernel, stride, dilation, draw(st.sampled_from(list(Padding))), pads)
        outputs = axis_window.outputs(size)
        start = draw(st.integers(0, outputs - 1))
        windows.append((axis_window, size))
        spans.append(Span(0, outputs) if draw(st.booleans()) else Span(start, draw(st.integers(start + 1, outputs))))
    held = [clip(axis_window.needs(span), size) for (axis_window, size), span in zip(windows, spans, strict=True)]
    channels = draw(CHANNELS)
    shape = draw(st.sampled_from([1, 1, 2])), held[0].length, held[1].length, channels
    source = rng.integers(-128, 128, shape).astype(np.int8)
    piece = Piece(*spans, ((held[0].start, held[1].start),))
    out = (shape[0], spans[0].length, spans[1].length, channels)
    return Drawn(windows[0][0], windows[1][0], source, out, piece, rng, draw(st.sampled_from([0, 0, 1, 7, 64])))


def accumulator(rng: np.random.Generator, weights: Array, axis: int, odd: bool) -> Accumulator:
    """Random numbers around `weights`.   odd: shifts to the left and of nothing, negative factors, dead channels."""
    channels = weights.shape[axis]
    shift = -rng.integers(3, 12, channels)
    multiplier = rng.integers(1 << 30, 1 << 31, channels)
    bias = rng.integers(-9999, 9999, channels)
    if odd:
        shift = rng.integers(-3, 3, channels)
        multiplier[::3] *= -1
        multiplier[::7], shift[::7], bias[::7] = 0, 0, (1 << 31) - 9
    low, high = sorted(rng.integers(-128, 128, 2).tolist())
    low, high = (-128, 127) if rng.random() < 0.5 else (low, high)
    stage = OutputStage(
        Scaling(multiplier.astype(np.int32), shift.astype(np.int32), np.zeros(channels, np.float32)),
        int(rng.integers(-128, 128)),
        low,
        high,
    )
    others = tuple(k for k in range(weights.ndim) if k != axis)
    bound = np.abs(weights.astype(np.int64)).sum(axis=others) * 255 + np.abs(bias)
    return Accumulator(weights, bias, int(rng.integers(-128, 128)), bound, bool((bound >= 1 << 31).any()), stage)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(drawn(), CHANNELS, st.booleans())
def test_conv_2d(case: Drawn, out_c: int, odd: bool) -> None:
    weights = case.rng.integers(-127, 128, (out_c, case.rows.kernel, case.cols.kernel, case.source.shape[3]))
    sums = accumulator(case.rng, weights.astype(np.int8), 0, odd)
    ready = PreparedConv2D(sums, case.rows, case.cols, 1)
    assert_same_as_plain("conv_2d", ready, case.source, (*case.shape[:3], out_c), case.piece, case.rng, case.gap)


@settings(max_examples=EXAMPLES)
@given(drawn(), st.sampled_from([1, 1, 1, 2, 3]), st.booleans())
def test_depthwise_conv_2d(case: Drawn, times: int, odd: bool) -> None:
    in_c = case.source.shape[3]
    weights = case.rng.integers(-127, 128, (1, case.rows.kernel, case.cols.kernel, in_c * times))
    sums = accumulator(case.rng, weights.astype(np.int8), 3, odd)
    ready = PreparedDepthwiseConv2D(sums, case.rows, case.cols, in_c)
    shape = (*case.shape[:3], in_c * times)
    assert_same_as_plain("depthwise_conv_2d", ready, case.source, shape, case.piece, case.rng, case.gap)


@settings(max_examples=EXAMPLES)
@given(drawn())
def test_depthwise_on_top_of_its_input(case: Drawn) -> None:
    """As far as it goes: the output starts where the input does."""
    channels = case.source.shape[3]
    weights = case.rng.integers(-127, 128, (1, case.rows.kernel, case.cols.kernel, channels)).astype(np.int8)
    sums = accumulator(case.rng, weights, 3, False)
    ready = PreparedDepthwiseConv2D(sums, case.rows, case.cols, channels)
    source, shape = case.source[:1], (1, *case.shape[1:])
    expected = np.zeros(shape, np.int8)
    import_module("mcusim.ops.kernels.depthwise_conv_2d").run(ready, [source], [expected], case.piece)
    room = make_room(max(source.size, expected.size))
    read, written = (room[: np.prod(s)].view(np.int8).reshape(s) for s in (source.shape, shape))
    read[...] = source
    run_commands(import_module(f"{FAST}.depthwise_conv_2d").encode(ready, [read], [written], case.piece, unshared))
    np.testing.assert_array_equal(written, expected)


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 300), CHANNELS, st.booleans())
def test_fully_connected(seed: int, rows: int, depth: int, units: int, odd: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (units, depth)).astype(np.int8)
    ready = PreparedFullyConnected(accumulator(rng, weights, 0, odd))
    source = rng.integers(-128, 128, (rows, depth)).astype(np.int8)
    piece = Piece(Span(0, 1), Span(0, 1), ((0, 0),))
    assert_same_as_plain("fully_connected", ready, source, (rows, units), piece, rng, 0)


@settings(max_examples=EXAMPLES)
@given(drawn(dilates=False), st.booleans(), st.booleans())
def test_pools(case: Drawn, average: bool, clamped: bool) -> None:
    if any(w.before >= w.kernel or w.after >= w.kernel for w in (case.rows, case.cols)):
        return  # a window of nothing but border, which no network has
    limits = (-100, 90) if clamped else (-128, 127)
    ready = PreparedPool(average, case.rows, case.cols, *limits)
    assert_same_as_plain("pooling", ready, case.source, case.shape, case.piece, case.rng, case.gap)


# ---------------------------------------------------------------------------------------------------------------------
# Requantisation


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32 - 1), st.integers(-25, 3), st.sampled_from([None, 1 << 30, (1 << 31) - 1]))
def test_requantisation_is_exact(seed: int, shift: int, m: int | None) -> None:
    """Sums about ties and at the ends of the range; x + bias is the sum, for x of -128 and 127."""
    rng = np.random.default_rng(seed)
    channels = 200
    multiplier = rng.integers(1 << 30, 1 << 31, channels) if m is None else np.full(channels, m)
    ties = (2 * rng.integers(-130, 130, channels) + 1) * (1 << 30) * 2.0 ** (-shift) / multiplier
    room = ((1 << 31) >> max(shift, 0)) - ((1 << max(-shift, 0)) >> 1) - 600
    bias = np.clip(np.floor(ties).astype(np.int64) + rng.integers(-128, 129, channels), -room, room)
    weights = np.ones((channels, 1), np.int8)
    scaling = Scaling(multiplier.astype(np.int32), np.full(channels, shift, np.int32), np.zeros(channels, np.float32))
    sums = Accumulator(weights, bias, 0, np.abs(bias) + 128, False, OutputStage(scaling, 0, -128, 127))
    ready = PreparedFullyConnected(sums)
    source = np.arange(-128, 128).astype(np.int8).reshape(-1, 1)
    output = np.zeros((256, channels), np.int8)
    encode = import_module(f"{FAST}.fully_connected").encode
    run_commands(encode(ready, [source], [output], Piece(Span(0, 1), Span(0, 1), ((0, 0),)), unshared))
    for x in range(0, 256, 15):
        for c in range(channels):
            exact = naive.requantize(int(bias[c]) + x - 128, int(multiplier[c]), shift)
            assert output[x, c] == min(max(exact, -128), 127), (bias[c], x - 128, multiplier[c], shift)


def test_sums_that_may_leave_32_bits_are_declined() -> None:
    one = np.ones(1, np.int64)
    requant(one, one << 30, -one, -one << 29, one << 29)
    for low, high, shift in ((-1 << 31, 0, -1), (0, 1 << 31, -1), (-1 << 29, 1 << 29, 2), (0, (1 << 31) - 200, -1)):
        with pytest.raises(Declined):
            requant(one, one << 30, shift * one, low * one, high * one)


# ---------------------------------------------------------------------------------------------------------------------
# Whole steps


def outputs_of(case: Case, fast: bool, schedule: str, runtime: str) -> list[Array]:
    """Under the canary: a step that writes what is not its own is an error."""
    ready = prepared(case.graph, schedule=schedule, runtime=runtime)
    return Session(ready, check=True, tier=compiled_tier() if fast else None).run(list(case.inputs))


def assert_fast_equals_plain(case: Case, schedule: str = "layer", runtime: str = "tflm") -> None:
    fast, plain = (outputs_of(case, which, schedule, runtime) for which in (True, False))
    for output, expected in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("op", [op for op in BY_FAST_KERNELS if op in ONE_OP])
def test_operators(op: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(case=ONE_OP[op])
    def check(case: Case) -> None:
        assert_fast_equals_plain(case)

    check()


@settings(max_examples=EXAMPLES)
@given(
    case=networks(),
    schedule=st.sampled_from(["layer", "patch:2x2@1", "patch:2x3@2", "stream:1@2", "stream:2@3"]),
    runtime=st.sampled_from(["tflm", "tinyengine"]),
)
def test_networks_under_every_schedule(case: Case, schedule: str, runtime: str) -> None:
    try:
        assert_fast_equals_plain(case, schedule, runtime)
    except (ModelError, ScheduleError):
        reject()  # scales that nothing computes with, or layers that cannot be cut


def test_every_encoder_belongs_to_a_kernel() -> None:
    """A misspelt module would be silently dead."""
    kernels = {op.kernel for op in OPS.values()}
    for path in (REPO / "mcusim" / "ops" / "kernels" / "fast").glob("*.py"):
        if "\ndef encode(" in path.read_text():
            assert path.stem in kernels


# ---------------------------------------------------------------------------------------------------------------------
# Sums, products and PRELU: any channel count, shapes that stretch, tables


CHANNEL_COUNTS = [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 129]


def binary_network(op: str, c: int, stretch: str, seed: int) -> Case:
    """One operator of (1, 5, 7, c) and an input that stretches to it: a gate, or learned slopes."""
    rng = np.random.default_rng(seed)
    shapes = {"none": (1, 5, 7, c), "gate": (1, 1, 1, c), "one": (1, 1, 1, 1), "rows": (1, 5, 1, c)}
    builder = GraphBuilder(f"{op}-{c}-{stretch}")

    def quantised() -> Quantization:
        return Quantization((float(rng.uniform(0.004, 0.06)),), (int(rng.integers(-128, 128)),))

    x = builder.input((1, 5, 7, c), name="x", quantization=quantised())
    if op == "PRELU":
        slopes = rng.integers(-128, 128, shapes[stretch][1:], dtype=np.int8)
        other = builder.constant(slopes.shape, DType.INT8, slopes, "alpha", quantised())
    else:
        other = builder.input(shapes[stretch], name="y", quantization=quantised())
    if op == "PRELU":
        attributes = None
    else:
        attributes = attributes_for(
            op, (("fused_activation_function", Activation.RELU6 if seed % 2 else Activation.NONE),)
        )
    out = builder.op(op, (x, other), attributes, quantization=quantised())
    graph = builder.build([out])
    given = [rng.integers(-128, 128, graph.tensors[index].shape, dtype=np.int8) for index in graph.inputs]
    return Case(graph, tuple(given))


def kernels_of(graph: Graph) -> list[str]:
    """The compiled kernels that a network runs by; PLAIN for what none takes."""
    runners = Session(prepared(graph), tier=compiled_tier())._runners
    names: list[str] = []
    for runner in runners:
        commands = runner._commands if isinstance(runner, StreamRunner) else None
        names += [PLAIN] if commands is None else [command.kernel.name for command in commands]
    return names


@pytest.mark.parametrize("stretch", ["none", "gate", "one", "rows"])
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "PRELU"])
def test_two_inputs_of_any_channel_count(op: str, stretch: str) -> None:
    by_one = {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "PRELU": "prelu"}
    seen = set()
    for c in CHANNEL_COUNTS:
        case = binary_network(op, c, stretch, c)
        assert_fast_equals_plain(case)
        seen.update(kernels_of(case.graph))
    assert by_one[op] in seen or (stretch == "one" and "lookup_8" in seen), seen


def test_prelu_of_int16_is_left_to_the_plain_kernel() -> None:
    rng, builder = np.random.default_rng(0), GraphBuilder("wide", DType.INT16)
    x = builder.input((1, 3, 3, 5), quantization=Quantization((0.001,), (0,)))
    slopes = rng.integers(-128, 128, (1, 1, 5), dtype=np.int8)
    alpha = builder.constant((1, 1, 5), DType.INT8, slopes, "alpha", Quantization((0.01,), (0,)))
    graph = builder.build([builder.op("PRELU", (x, alpha), quantization=Quantization((0.001,), (0,)))])
    assert kernels_of(graph) == [PLAIN]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@1", "stream:1@3"])
def test_a_product_of_an_input_and_its_image_is_a_table(turned: bool, schedule: str) -> None:
    """SILU: x * LOGISTIC(x). The gate of another map stays a product."""
    rng, builder = np.random.default_rng(1), GraphBuilder("silu")
    x = builder.conv_2d(builder.input((1, 9, 9, 3)), 20, 3)
    gate = builder.unary("LOGISTIC", x)
    y = builder.mul(*((gate, x) if turned else (x, gate)))
    graph = with_seeded_weights(builder.build([builder.mul(builder.conv_2d(y, 20, 1), gate)]))
    case = Case(graph, (rng.integers(-128, 128, (1, 9, 9, 3), dtype=np.int8),))
    assert_fast_equals_plain(case, schedule)
    if schedule == "layer":
        assert kernels_of(graph) == ["conv", "lookup_8", "lookup_8", "conv", "multiply"]


def test_a_table_looks_up_every_byte() -> None:
    """All 256 inputs at every place of a vector, and every length of what is left of one."""
    rng = np.random.default_rng(2)
    table = make_room(256)
    table[...] = rng.permutation(256)
    for length in [*range(1, 140), 4096 + 37]:
        source = rng.integers(0, 256, length).astype(np.uint8)
        source[: min(length, 256)] = rng.permutation(256)[: min(length, 256)]
        read, written = (placed(array.view(np.int8), rng, 0) for array in (source, np.zeros(length, np.uint8)))
        before = written.room.copy()
        run_commands(encode_table(table, read.array, written.array))
        np.testing.assert_array_equal(written.array.view(np.uint8), table[source])
        before[GUARD_BYTES : GUARD_BYTES + length] = table[source]
        np.testing.assert_array_equal(written.room, before)


# ---------------------------------------------------------------------------------------------------------------------
# Real networks


@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@3", "stream:2@4"])
def test_real_networks_give_the_references_outputs(corpus_model: CorpusModel, schedule: str) -> None:
    graph, golden = load(corpus_model)
    for run in range(RUNS if schedule == "layer" else 1):
        try:
            outputs = mcusim.execute(graph, inputs_of(graph, golden, run), schedule=schedule)
        except ScheduleError:
            pytest.skip("it cannot be cut so")
        for output, expected in zip(outputs, golden.outputs(run, len(graph.outputs)), strict=True):
            np.testing.assert_array_equal(output, expected)


KINDS = ["face-landmarks", "palm-detection", "squeeze-and-excite", "silu-detector"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_seeded_networks_run_by_fast_kernels_alone_and_give_tflms_outputs(kind: str) -> None:
    """The kinds that `scripts/bench exec` times beside the corpus."""
    spec = spec_from_file_location("bench_kinds", REPO / "scripts" / "bench_kinds.py")
    assert spec is not None
    assert spec.loader is not None
    bench_kinds = module_from_spec(spec)
    spec.loader.exec_module(bench_kinds)
    assert list(bench_kinds.KINDS) == KINDS
    _, graph = next(bench_kinds.seeded_networks((kind,)))
    assert PLAIN not in kernels_of(graph)
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, graph.tensors[index].shape, dtype=np.int8) for index in graph.inputs]
    expected = run_tflm(write_tflite(graph), inputs, arena_bytes=1 << 26)
    for output, wanted in zip(mcusim.execute(graph, inputs), expected, strict=True):
        np.testing.assert_array_equal(output, wanted)


def test_int8_cnns_run_by_fast_kernels_alone(corpus_model: CorpusModel) -> None:
    graph, _ = load(corpus_model)
    dtypes = {tensor.dtype.value for tensor in graph.tensors if not tensor.is_constant}
    if dtypes & {"int16", "uint8"} - ({"uint8"} if "coral_tf2" in corpus_model.name else set()):
        pytest.skip("it is no int8 network")
    session = Session(prepared(graph), tier=compiled_tier())
    plain = {
        step.iteration.step.signature.op
        for runner in session._runners
        if isinstance(runner, PlainRunner)
        for step in runner._steps
    }
    assert plain <= {"LOG_SOFTMAX", "SVDF", "CALL_ONCE", "VAR_HANDLE"}


def test_a_batch_is_its_calls(corpus: Path) -> None:
    graph = mcusim.load(corpus / "models" / "mlperf_kws01_dscnn_int8.tflite")
    x = np.random.default_rng(0).integers(-128, 128, (70, *graph.tensors[graph.inputs[0]].shape[1:]), dtype=np.int8)
    [one_by_one] = (
        np.concatenate(outputs) for outputs in zip(*(mcusim.execute(graph, [a[None]]) for a in x), strict=True)
    )
    for threads in (1, 2, 5):
        np.testing.assert_array_equal(mcusim.execute(graph, [x], threads=threads)[0], one_by_one)
    np.testing.assert_array_equal(mcusim.execute(graph, [x[:, ::1, ::-1][:, ::1, ::-1]])[0], one_by_one)


# ---------------------------------------------------------------------------------------------------------------------
# Kernel sets and the compiler


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'tests'}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", available()[1:])
def test_every_other_kernel_set_that_this_machine_can_run(name: str) -> None:
    """The best one, which is first, serves the tests of this file when nothing is forced."""
    if os.environ.get(KERNEL_SET):
        pytest.skip("one is forced already")
    left_out = "kernel_set or compile or every_schedule"
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", f"not ({left_out})"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=REPO,
        env={**os.environ, KERNEL_SET: name, "MCUSIM_FUZZ": str(max(EXAMPLES // 4, 5))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_an_unknown_kernel_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"'avx9' is a kernel set that is unknown\n  fix: use .*generic or plain"):
        detect("avx9")
    impossible = [name for name in KERNEL_SETS if name not in available()]
    for name in impossible:
        with pytest.raises(InputError, match="this machine cannot run"):
            detect(name)


def test_the_plain_kernel_set_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KERNEL_SET == streams.KERNEL_SET
    monkeypatch.setenv(KERNEL_SET, PLAIN)
    assert compiled_tier() is None
    monkeypatch.delenv(KERNEL_SET)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert compiled_tier() is None


@pytest.mark.slow
def test_nothing_compiles_after_first_use(tmp_path: Path) -> None:
    """A kernel that is small, in an empty cache: the first process compiles it and says so, the second loads it."""
    code = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from numba.core import event\n"
        "seen = event.RecordingListener()\n"
        "event.register('numba:compile', seen)\n"
        f"from {FAST} import driver, moving\n"
        "moving.fill.address\n"
        "print(len(seen.buffer))\n"
    )
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = run_python(code, **cache), run_python(code, **cache)
    assert "compiling kernels for this machine (kept" in first.stderr, first.stderr
    assert second.stderr == ""
    assert int(second.stdout) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kept_bytes", [0, 100])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, suffix: str, kept_bytes: int) -> None:
    code = f"import logging; logging.basicConfig()\nfrom {FAST} import moving\nmoving.fill.address"
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    run_python(code, **cache)
    damaged = [path for path in tmp_path.rglob(f"*fill-*.{suffix}") if path.is_file()]
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:kept_bytes])
    assert "compiling again" in run_python(code, **cache).stderr
    assert run_python(code, **cache).stderr == ""


def test_the_cache_knows_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another source or another forced set is another folder: a stale callee cannot be found."""
    cache_folder.cache_clear()
    before = cache_folder()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + (b"#" if path.name == "memory.py" else b""))
    cache_folder.cache_clear()
    assert cache_folder() != before
    monkeypatch.undo()
    monkeypatch.setenv(KERNEL_SET, "another")
    cache_folder.cache_clear()
    assert cache_folder() != before
    monkeypatch.undo()
    cache_folder.cache_clear()
    assert cache_folder() == before
