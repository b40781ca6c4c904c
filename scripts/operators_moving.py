"""Which networks to try of the operators that move elements, or convert them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
from one_operator import TYPES, Network, Operand, constant, joined, lists, tensor

__all__: list[str] = []

# ---------------------------------------------------------------------------------------------------------------------
# Moving


@lists("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def _blocks(name: str) -> Iterator[Network]:
    gathers = name == "SPACE_TO_DEPTH"
    for dtype, block in product(TYPES, (2, 3)):
        small, large = (1, 2, 3, 2 * block * block), (1, 2 * block, 3 * block, 2)
        source, output = (large, small) if gathers else (small, large)
        table = "SpaceToDepthOptions" if gathers else "DepthToSpaceOptions"
        yield joined(f"{dtype} {block}", name, [tensor(source, dtype)], [tensor(output, dtype)], table, blockSize=block)


@lists("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
def _batches(name: str) -> Iterator[Network]:
    cases = (
        ((1, 4, 6, 3), (2, 2), ((0, 0), (0, 0))),
        ((2, 4, 5, 3), (2, 3), ((1, 1), (0, 1))),
        ((1, 7, 3), (4,), ((0, 1),)),
        ((3, 8, 4), (2,), ((2, 2),)),
    )
    table = "SpaceToBatchNDOptions" if name[0] == "S" else "BatchToSpaceNDOptions"
    for dtype, (shape, block, pads) in product(TYPES, cases):
        spatial = [shape[1 + i] + sum(pads[i]) for i in range(len(block))]
        batched = (shape[0] * prod(block), *(s // b for s, b in zip(spatial, block, strict=True)), shape[-1])
        source, output = (shape, batched) if name[0] == "S" else (batched, shape)
        operands = [tensor(source, dtype, 0.05, -9), constant(list(block)), constant(pads)]
        yield joined(f"{dtype} {shape} {block} {pads}", name, operands, [tensor(output, dtype, 0.05, -9)], table)


@lists("REVERSE_V2")
def _reverse(name: str) -> Iterator[Network]:
    for dtype, (shape, axes) in product(
        TYPES, (((2, 4, 5, 3), (1,)), ((2, 4, 5, 3), (1, 2)), ((3, 7), (-1,)), ((5,), (0,)))
    ):
        operands = [tensor(shape, dtype), constant(list(axes))]
        yield joined(f"{dtype} {shape} {axes}", name, operands, [tensor(shape, dtype)], "ReverseV2Options")


@lists("BROADCAST_TO")
def _broadcast_to(name: str) -> Iterator[Network]:
    for dtype, (shape, target) in product(
        TYPES, (((1, 4, 1, 3), (2, 4, 5, 3)), ((3,), (2, 5, 3)), ((), (4,)), ((2, 3), (2, 3)))
    ):
        operands = [tensor(shape, dtype), constant(list(target))]
        yield joined(f"{dtype} {shape} {target}", name, operands, [tensor(target, dtype)], "BroadcastToOptions")


@lists("BROADCAST_ARGS")
def _broadcast_args(name: str) -> Iterator[Network]:
    for dtype, (a, b) in product(
        ("int32", "int64", "int8"), (((1, 4), (3, 1)), ((5, 1, 4), (3, 1)), ((1,), (2, 3, 4)))
    ):
        operands = [Operand((len(a),), dtype, low=1, high=1), constant(list(b), dtype)]
        yield joined(f"{dtype} {a} {b}", name, operands, [Operand((max(len(a), len(b)),), dtype)])


@lists("FILL")
def _fill(name: str) -> Iterator[Network]:
    for dtype, (shape, dims) in product(TYPES, (((2, 3, 4), "int32"), ((5,), "int64"), ((1, 4, 4, 2), "int32"))):
        operands = [constant(list(shape), dims), tensor((), dtype)]
        yield joined(f"{dtype} {shape} {dims}", name, operands, [tensor(shape, dtype)], "FillOptions")


@lists("ONE_HOT")
def _one_hot(name: str) -> Iterator[Network]:
    for dtype, axis, kind in product(TYPES, (-1, 0, 1), ("int32", "int64")):
        shape = [3, 4]
        shape.insert(axis if axis >= 0 else 2, 5)
        on, off = (constant(np.asarray(v), dtype) for v in (1, 0))
        operands = [Operand((3, 4), kind, low=-1, high=5), constant(5), on, off]
        yield joined(f"{dtype} {axis} {kind}", name, operands, [tensor(shape, dtype)], "OneHotOptions", axis=axis)


@lists("GATHER")
def _gather(name: str) -> Iterator[Network]:
    cases = (
        ((4, 5, 3), (2,), 0, 0),
        ((4, 5, 3), (2, 2), 1, 0),
        ((1, 4, 5, 3), (3,), 3, 0),
        ((2, 5, 3), (2, 4), 1, 1),
        ((7,), (), 0, 0),
    )
    for dtype, kind, (shape, positions, axis, batch) in product(TYPES, ("int32", "int64", "int16"), cases):
        out = (*shape[:axis], *positions[batch:], *shape[axis + 1 :])
        operands = [tensor(shape, dtype), Operand(positions, kind, low=0, high=shape[axis] - 1)]
        label = f"{dtype} {kind} {shape} {positions} {axis} {batch}"
        yield joined(label, name, operands, [tensor(out, dtype)], "GatherOptions", axis=axis, batchDims=batch)


@lists("GATHER_ND")
def _gather_nd(name: str) -> Iterator[Network]:
    for dtype, kind, (shape, positions) in product(
        TYPES, ("int32", "int64"), (((4, 4, 3), (2, 2)), ((3, 3, 3), (5, 3)), ((4, 5), (3, 1)), ((4, 4, 4), (2, 3, 2)))
    ):
        out = (*positions[:-1], *shape[positions[-1] :])
        operands = [tensor(shape, dtype), Operand(positions, kind, low=0, high=min(shape) - 1)]
        yield joined(f"{dtype} {kind} {shape} {positions}", name, operands, [tensor(out, dtype)], "GatherNdOptions")


@lists("EMBEDDING_LOOKUP")
def _embedding(name: str) -> Iterator[Network]:
    for dtype, out, shape in product(TYPES, ("same", "float32"), ((6, 4), (5, 2, 3))):
        kind = dtype if out == "same" else out
        rows = tensor(shape, dtype, 0.05, 0)
        fixed = constant(rows.drawn(np.random.default_rng(3)), dtype, scale=0.05)
        positions = Operand((3,), "int32", low=0, high=shape[0] - 1)
        yield joined(f"{dtype} to {kind} {shape}", name, [positions, fixed], [tensor((3, *shape[1:]), kind)])
        yield joined(f"{dtype} to {kind} {shape} run time", name, [positions, rows], [tensor((3, *shape[1:]), kind)])


@lists("DYNAMIC_UPDATE_SLICE")
def _update_slice(name: str) -> Iterator[Network]:
    for dtype, kind, (shape, part) in product(
        TYPES, ("int32", "int64"), (((4, 5, 3), (2, 2, 3)), ((8,), (3,)), ((2, 6), (2, 6)))
    ):
        start = Operand((len(shape),), kind, low=-2, high=5)
        operands = [tensor(shape, dtype), tensor(part, dtype), start]
        yield joined(f"{dtype} {kind} {shape} {part}", name, operands, [tensor(shape, dtype)])


@lists("EXPAND_DIMS")
def _expand(name: str) -> Iterator[Network]:
    for dtype, axis in product(TYPES, (0, 2, -1)):
        shape = [3, 4]
        shape.insert(axis if axis >= 0 else 2, 1)
        yield joined(
            f"{dtype} {axis}",
            name,
            [tensor((3, 4), dtype), constant([axis])],
            [tensor(shape, dtype)],
            "ExpandDimsOptions",
        )


@lists("SLICE")
def _slice(name: str) -> Iterator[Network]:
    for dtype, kind, fixed in product(TYPES, ("int32", "int64"), (True, False)):
        begin = constant([1, 0, 2], kind) if fixed else Operand((3,), kind, low=0, high=1)
        operands = [tensor((4, 5, 6), dtype), begin, constant([2, 4, 3], kind)]
        yield joined(f"{dtype} {kind} fixed {fixed}", name, operands, [tensor((2, 4, 3), dtype)], "SliceOptions")


@lists("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(name: str) -> Iterator[Network]:
    table = "ResizeBilinearOptions" if name == "RESIZE_BILINEAR" else "ResizeNearestNeighborOptions"
    for dtype, align, half, size in product(TYPES, (False, True), (False, True), ((7, 8), (3, 2), (1, 1), (4, 5))):
        operands = [tensor((1, 4, 5, 3), dtype), constant(list(size))]
        output = tensor((1, *size, 3), dtype)
        yield joined(
            f"{dtype} {align} {half} {size}", name, operands, [output], table, alignCorners=align, halfPixelCenters=half
        )


@lists("CAST")
def _cast(name: str) -> Iterator[Network]:
    for dtype, out in product((*TYPES, "float16", "uint32"), repeat=2):
        fields = {"low": -100, "high": 100} if dtype == "float32" and out != "uint8" else {}
        yield joined(f"{dtype} to {out}", name, [tensor((3, 9), dtype, **fields)], [tensor((3, 9), out)], "CastOptions")


@lists("QUANTIZE", "DEQUANTIZE")
def _convert(name: str) -> Iterator[Network]:
    table = f"{name.capitalize()}Options"
    for dtype, out in product(TYPES, TYPES):
        source, output = tensor((3, 200), dtype, 0.05, 3), tensor((3, 200), out, 0.03, -4)
        if dtype == "int32":
            source = Operand((3, 200), dtype, scale=0.05)
        if out == "int32":
            output = Operand((3, 200), out, scale=0.03)
        yield joined(f"{dtype} to {out}", name, [source], [output], table)
