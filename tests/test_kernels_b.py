"""The kernels that move, repeat and convert elements: against naive versions, piece by piece, and against TFLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import naive_movement as naive
import numpy as np
import pytest
from oracles import run_tflm

from mcusim import GraphBuilder
from mcusim.errors import InputError, ModelError
from mcusim.execution import execute, prepared
from mcusim.execution.arena import Arena, whole_piece
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Activation, DType, Graph, Quantization
from mcusim.ops import OPS
from mcusim.ops.registry import Piece
from mcusim.region import Span, clip

Array = np.ndarray[Any, Any]
HALF = Quantization((0.5,), (3,))


class Case(NamedTuple):
    """A network of one operator, and what it should give. build: adds the operator to a builder."""

    name: str
    shape: tuple[int, ...]
    build: Callable[[GraphBuilder, int], Sequence[int]]
    expected: Callable[[Array], Sequence[Array]]
    dtype: DType = DType.INT8


def one(op: str, *constants: Sequence[int], shapes: Sequence[tuple[int, ...]] | None = None, **attributes: Any) -> Any:
    """Builder of an operator whose further inputs are integer constants."""

    def build(b: GraphBuilder, x: int) -> Sequence[int]:
        extra = [b.integers(c, shapes[i] if shapes else None) for i, c in enumerate(constants)]
        kind = OPS[op].attributes
        return b.op_outputs(op, [x, *extra], kind(**attributes), quantization=HALF)

    return build


def joined(op: str, count: int, **attributes: Any) -> Any:
    def build(b: GraphBuilder, x: int) -> Sequence[int]:
        return b.op_outputs(op, [x] * count, OPS[op].attributes(**attributes), quantization=HALF)

    return build


def split(b: GraphBuilder, x: int) -> Sequence[int]:
    return b.op_outputs("SPLIT", [b.integers([3], ()), x], OPS["SPLIT"].attributes(num_splits=2), quantization=HALF)


CUBE = (1, 5, 6, 4)
CASES = [
    Case(
        "pad",
        CUBE,
        one("PAD", [0, 0, 1, 2, 3, 0, 0, 1], shapes=[(4, 2)]),
        lambda x: [naive.pad(x, [(0, 0), (1, 2), (3, 0), (0, 1)], 3)],
    ),
    Case("pad vector", (7,), one("PAD", [2, 3], shapes=[(1, 2)]), lambda x: [naive.pad(x, [(2, 3)], 3)]),
    Case(
        "pad int16",
        CUBE,
        one("PAD", [0, 0, 1, 1, 1, 1, 0, 0], shapes=[(4, 2)]),
        lambda x: [naive.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], 0)],
        DType.INT16,
    ),
    Case(
        "mirror reflect",
        CUBE,
        one("MIRROR_PAD", [0, 0, 2, 3, 1, 4, 0, 0], shapes=[(4, 2)], mode=0),
        lambda x: [naive.mirror_pad(x, [(0, 0), (2, 3), (1, 4), (0, 0)], False)],
    ),
    Case(
        "mirror symmetric",
        CUBE,
        one("MIRROR_PAD", [0, 0, 5, 1, 2, 6, 0, 0], shapes=[(4, 2)], mode=1),
        lambda x: [naive.mirror_pad(x, [(0, 0), (5, 1), (2, 6), (0, 0)], True)],
    ),
    Case("tile", CUBE, one("TILE", [1, 2, 3, 2]), lambda x: [naive.tile(x, [1, 2, 3, 2])]),
    Case("transpose", CUBE, one("TRANSPOSE", [0, 2, 1, 3]), lambda x: [naive.transpose(x, [0, 2, 1, 3])]),
    Case("transpose channels", CUBE, one("TRANSPOSE", [0, 1, 3, 2]), lambda x: [naive.transpose(x, [0, 1, 3, 2])]),
    Case("transpose 3", (2, 3, 4), one("TRANSPOSE", [2, 0, 1]), lambda x: [naive.transpose(x, [2, 0, 1])]),
    *[
        Case(
            f"concat {axis}",
            CUBE,
            joined("CONCATENATION", 3, axis=axis),
            lambda x, a=axis: [naive.concatenation([x] * 3, a)],
        )
        for axis in (1, 2, -1)
    ],
    Case("pack", (3, 4), joined("PACK", 2, values_count=2, axis=1), lambda x: [np.array([x, x]).transpose(1, 0, 2)]),
    Case("unpack", (3, 4, 2), one("UNPACK", num=4, axis=1), lambda x: [x[:, i] for i in range(4)]),
    Case("split", CUBE, split, lambda x: [x[..., :2], x[..., 2:]]),
    Case(
        "split_v",
        CUBE,
        one("SPLIT_V", [1, -1, 2], [2], shapes=[(3,), ()], num_splits=3),
        lambda x: [x[:, :, :1], x[:, :, 1:4], x[:, :, 4:]],
    ),
    Case("slice", CUBE, one("SLICE", [0, 1, 2, 0], [1, 3, -1, 2]), lambda x: [x[:, 1:4, 2:, :2]]),
    Case(
        "strided_slice",
        CUBE,
        one("STRIDED_SLICE", [0, 4, 1, 0], [1, 0, 6, 4], [1, -2, 2, 1], end_mask=2),
        lambda x: [x[:, 4::-2, 1:6:2, :]],
    ),
    Case(
        "strided_slice drops and adds",
        CUBE,
        one("STRIDED_SLICE", [0, 0, 2, 0], [1, 0, 3, 4], [1, 1, 1, 1], shrink_axis_mask=4, new_axis_mask=2),
        lambda x: [x[0:1, None, 2, 0:4]],
    ),
    Case("reshape", CUBE, one("RESHAPE", [4, 30]), lambda x: [x.ravel().reshape(4, 30)]),
    Case("squeeze", CUBE, one("SQUEEZE"), lambda x: [x[0]]),
    Case("expand_dims", (3, 4), one("EXPAND_DIMS", [1], shapes=[()]), lambda x: [x[:, None]]),
    Case(
        "gather channels",
        CUBE,
        one("GATHER", [3, 0, 0], axis=3),
        lambda x: [naive.gather(x, np.array([3, 0, 0]), 3)],
    ),
    Case(
        "gather one channel",
        CUBE,
        one("GATHER", [1], shapes=[()], axis=3),
        lambda x: [naive.gather(x, np.array(1), 3)],
    ),
    Case(
        "gather rows",
        (4, 3, 2),
        one("GATHER", [2, 0, 1, 1], shapes=[(2, 2)], axis=1),
        lambda x: [naive.gather(x, np.array([[2, 0], [1, 1]]), 1)],
    ),
    Case("space_to_depth", (1, 6, 4, 3), one("SPACE_TO_DEPTH", block_size=2), lambda x: [naive.space_to_depth(x, 2)]),
    Case("depth_to_space", (1, 3, 2, 12), one("DEPTH_TO_SPACE", block_size=2), lambda x: [naive.depth_to_space(x, 2)]),
    Case("nearest", CUBE, one("RESIZE_NEAREST_NEIGHBOR", [10, 12]), lambda x: [x.repeat(2, 1).repeat(2, 2)]),
    *[
        Case(
            f"bilinear {rows}x{cols} {corners} {centers}",
            CUBE,
            one("RESIZE_BILINEAR", [rows, cols], align_corners=corners, half_pixel_centers=centers),
            lambda x, how=(rows, cols, corners, centers): [naive.bilinear(x, *how)],
        )
        for rows, cols in ((10, 12), (7, 3), (1, 1), (13, 17))
        for corners, centers in ((False, False), (True, False), (False, True))
    ],
]
IDS = [case.name for case in CASES]


def network(case: Case) -> Graph:
    builder = GraphBuilder(case.name.replace(" ", "_"))
    quantization = HALF if case.dtype is DType.INT8 else Quantization((0.5,), (0,))
    return builder.build(case.build(builder, builder.input(case.shape, case.dtype, quantization=quantization)))


def draw(graph: Graph, seed: int = 0) -> Array:
    kind = graph.tensors[graph.inputs[0]].type
    info = np.iinfo(kind.dtype.value)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max + 1, kind.shape, dtype=kind.dtype.value)


def assert_same(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    assert len(outputs) == len(expected)
    for a, b in zip(outputs, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.nojit
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_kernel_is_the_naive_one(case: Case) -> None:
    graph = network(case)
    x = draw(graph)
    assert_same(execute(graph, x, check=True), case.expected(x))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_pieces_make_the_whole(case: Case) -> None:
    """Any region of the output, from exactly the input region that `needs` asks for."""
    graph = network(case)
    call, kinds = graph.nodes[0].signature, [graph.tensors[t].type for t in graph.nodes[0].outputs]
    if any(len(kind.shape) != 4 for kind in kinds):
        return
    x, rng = draw(graph), np.random.default_rng(1)
    whole = execute(graph, x)
    ready = prepared(graph).steps[0]
    for _ in range(30):
        rows, cols = (
            Span(*sorted(rng.choice(n + 1, 2, replace=False).tolist())) for n in (kinds[0].rows, kinds[0].cols)
        )
        arrays, origins = [], []
        for position, tensor in enumerate(graph.nodes[0].inputs):
            region = OPS[call.op].needs(call, position, rows, cols)
            constant = graph.tensors[tensor].constant
            array = x if constant is None else constant
            if constant is not None or region is None:
                if constant is None:
                    return  # not tileable
                arrays.append(array)
                origins.append((0, 0))
                continue
            r, c = clip(region.rows, array.shape[1]), clip(region.cols, array.shape[2])
            arrays.append(array[:, r.start : r.stop, c.start : c.stop].copy())
            origins.append((r.start, c.start))
        outputs = [np.zeros((k.shape[0], rows.length, cols.length, k.shape[3]), k.dtype.value) for k in kinds]
        ready.run(ready.prepared, arrays, outputs, Piece(rows, cols, tuple(origins)))
        assert_same(outputs, [w[:, rows.start : rows.stop, cols.start : cols.stop] for w in whole])


CONVERSIONS = [
    (DType.INT8, DType.INT8),
    (DType.INT8, DType.UINT8),
    (DType.INT8, DType.INT16),
    (DType.INT8, DType.INT32),
    (DType.UINT8, DType.INT8),
    (DType.INT16, DType.INT8),
    (DType.INT16, DType.INT16),
    (DType.INT16, DType.INT32),
    (DType.INT32, DType.INT8),
    (DType.INT32, DType.INT16),
]


def conversion(source: DType, target: DType, old: Quantization, new: Quantization, elements: int) -> Graph:
    b = GraphBuilder("conversion")
    x = b.input((1, elements), source, quantization=old)
    return b.build([b.op("QUANTIZE", [x], dtype=target, quantization=new)])


def zero_of(dtype: DType, zero_point: int) -> int:
    return {DType.INT8: zero_point, DType.UINT8: zero_point + 128}.get(dtype, 0)


@pytest.mark.nojit
@pytest.mark.parametrize(("source", "target"), CONVERSIONS, ids=str)
@pytest.mark.parametrize("real", [1.0, 0.37, 0.0041, 3.9])
def test_requantize_is_exact(source: DType, target: DType, real: float) -> None:
    new_scale = float(np.float32(0.01))
    old_scale = float(np.float32(0.01 * real))
    old, new = zero_of(source, -7), zero_of(target, 5)
    graph = conversion(source, target, Quantization((old_scale,), (old,)), Quantization((new_scale,), (new,)), 997)
    x = draw(graph) // (1 << 12 if source is DType.INT32 else 1)
    bounds = np.iinfo(target.value)
    [output] = execute(graph, x.astype(source.value))
    expected = naive.requantize(x, old_scale / new_scale, old, new, bounds.min, bounds.max)
    assert output.ravel().tolist() == expected


@pytest.mark.nojit
@pytest.mark.parametrize("target", [DType.INT8, DType.UINT8, DType.INT16], ids=str)
def test_real_numbers_round_halves_away_from_zero(target: DType) -> None:
    scale, zero = float(np.float32(0.1)), zero_of(target, -5)
    graph = conversion(DType.FLOAT32, target, HALF, Quantization((scale,), (zero,)), 4003)
    rng = np.random.default_rng(2)
    x = np.concatenate([np.arange(-2000, 2000) * np.float32(scale / 2), [3e38, -3e38, rng.normal()]]).astype(np.float32)
    bounds = np.iinfo(target.value)
    [output] = execute(graph, x[None])
    assert output.ravel().tolist() == naive.quantize(x, scale, zero, bounds.min, bounds.max)


def test_dequantize_is_the_scaled_difference() -> None:
    b = GraphBuilder("real")
    scale = float(np.float32(0.1))
    x = b.input((1, 256), quantization=Quantization((scale,), (-3,)))
    graph = b.build([b.op("DEQUANTIZE", [x], dtype=DType.FLOAT32)])
    values = np.arange(-128, 128, dtype=np.int8)[None]
    [output] = execute(graph, values)
    assert output.dtype == np.float32
    assert output.ravel().tolist() == [float(np.float32(scale * (int(v) + 3))) for v in values.ravel()]


@pytest.mark.parametrize(
    ("source", "target", "given", "expected"),
    [
        (DType.FLOAT32, DType.INT8, [1.9, -1.9, 127.0, 0.2], [1, -1, 127, 0]),
        (DType.INT16, DType.INT8, [300, -129, 5, 128], [44, 127, 5, -128]),
        (DType.INT8, DType.FLOAT32, [-128, 127, 0, 1], [-128.0, 127.0, 0.0, 1.0]),
        (DType.INT32, DType.BOOL, [0, 1, -5, 256], [False, True, True, True]),
    ],
)
def test_cast_is_that_of_c(source: DType, target: DType, given: list[float], expected: list[float]) -> None:
    b = GraphBuilder("cast")
    graph = b.build([b.op("CAST", [b.input((1, 4), source)], dtype=target)])
    [output] = execute(graph, np.array([given], source.value))
    assert output.ravel().tolist() == expected


def test_arg_max_takes_the_first_of_equals() -> None:
    b = GraphBuilder("largest")
    x = b.input((1, 6))
    kind = OPS["ARG_MAX"].attributes
    graph = b.build([b.op("ARG_MAX", [x, b.integers([1], ())], kind(output_type=DType.INT32), dtype=DType.INT32)])
    [output] = execute(graph, np.array([[1, 7, 7, -3, 7, 0]], np.int8))
    assert output.tolist() == [1]
    assert output.dtype == np.int32


def test_shape_is_the_shape() -> None:
    b = GraphBuilder("shape")
    kind = OPS["SHAPE"].attributes
    graph = b.build([b.op("SHAPE", [b.input(CUBE)], kind(out_type=DType.INT32), dtype=DType.INT32)])
    assert execute(graph, np.zeros(CUBE, np.int8))[0].tolist() == list(CUBE)


def test_gather_refuses_positions_that_are_not_there() -> None:
    b = GraphBuilder("picker")
    x, at = b.input((4, 3), name="table"), b.input((2,), DType.INT32, name="at")
    graph = b.build([b.op("GATHER", [x, at], OPS["GATHER"].attributes(axis=0))])
    table = np.arange(12, dtype=np.int8).reshape(4, 3)
    assert execute(graph, [table, np.array([3, 0], np.int32)])[0].tolist() == [[9, 10, 11], [0, 1, 2]]
    with pytest.raises(InputError, match="outside an axis of 4"):
        execute(graph, [table, np.array([4, 0], np.int32)])


def test_what_tflm_refuses_is_refused() -> None:
    b = GraphBuilder("fused")
    x = b.input(CUBE)
    kind = OPS["CONCATENATION"].attributes
    graph = b.build([b.op("CONCATENATION", [x, x], kind(axis=3, fused_activation_function=Activation.RELU))])
    with pytest.raises(ModelError, match="fused activation relu"):
        execute(graph, np.zeros(CUBE, np.int8))


def test_steps_are_views_of_the_arena() -> None:
    """No step works on a copy: its arrays lie in the one array of the claimed size."""
    graph = network(CASES[0])
    arena = Arena(prepared(graph))
    ready = prepared(graph)
    assert arena.storage.nbytes == ready.placement.arena_bytes + ready.placement.held_bytes
    for step in arena.bound_steps():
        assert all(np.shares_memory(output, arena.storage) for output in step.outputs)
        assert np.shares_memory(step.inputs[0], arena.storage)
    assert whole_piece(None, 1).rows == Span(0, 1)


# ---------------------------------------------------------------------------------------------------------------------
# The real interpreter


TFLM_REFUSES = ("tile", "pad vector", "strided_slice drops and adds")  # no TILE, PAD of four axes only, no new axes


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_kernel_is_tflms(case: Case) -> None:
    if case.name in TFLM_REFUSES:
        pytest.skip("TFLM cannot run it")
    graph = network(case)
    x = draw(graph, 5)
    assert_same(execute(graph, x), run_tflm(write_tflite(graph), [x]))


@pytest.mark.parametrize(("source", "target"), CONVERSIONS, ids=str)
@pytest.mark.parametrize("real", [1.0, 0.37, 0.0041, 3.9])
def test_requantize_is_tflms(source: DType, target: DType, real: float) -> None:
    old = Quantization((float(np.float32(0.01 * real)),), (zero_of(source, -7),))
    new = Quantization((float(np.float32(0.01)),), (zero_of(target, 5),))
    graph = conversion(source, target, old, new, 997)
    x = (draw(graph, 6) // (1 << 12 if source is DType.INT32 else 1)).astype(source.value)
    assert_same(execute(graph, x), run_tflm(write_tflite(graph), [x]))


@pytest.mark.parametrize("target", [DType.INT8, DType.INT16], ids=str)
def test_quantize_is_tflms(target: DType) -> None:
    scale = float(np.float32(0.1))
    graph = conversion(DType.FLOAT32, target, HALF, Quantization((scale,), (zero_of(target, -5),)), 4000)
    x = (np.arange(-2000, 2000) * np.float32(scale / 2)).astype(np.float32)[None]
    assert_same(execute(graph, x), run_tflm(write_tflite(graph), [x]))
