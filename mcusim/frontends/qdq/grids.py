"""The scales that a network brings, as TFLite stores them: on which grid of integers each real value lies.

TFLite's integers are signed. Unsigned ones move by half their range, and so does their zero point: the same real
numbers, exactly.

    uint8   0 ... zero point 128 ... 255         int8   -128 ... zero point 0 ... 127
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcusim.arithmetic.quant import dtype_range
from mcusim.frontends.qdq.network import Array, Network, Step
from mcusim.graph import DType, Quantization

__all__ = ["VALUE_KEEPING", "Grid", "grid_of", "shifted", "targets"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The real numbers that a quantised tensor can hold.   dtype: as TFLite stores them."""

    dtype: DType
    quantization: Quantization

    @property
    def scale(self) -> float:
        return self.quantization.scales[0]

    @property
    def zero_point(self) -> int:
        return self.quantization.zero_points[0]

    def stored(self, real: float) -> int:
        """The integer of a real number: nearest, halves to even, kept in the type's range."""
        lowest, highest = dtype_range(self.dtype)
        if math.isinf(real):
            return highest if real > 0 else lowest
        return int(np.clip(np.rint(np.float64(real) / self.scale) + self.zero_point, lowest, highest))

    def real(self, stored: float) -> float:
        return self.scale * (stored - self.zero_point)


SIGNED = {
    "int8": (DType.INT8, 0),
    "uint8": (DType.INT8, 128),
    "int16": (DType.INT16, 0),
    "uint16": (DType.INT16, 32768),
    "int4": (DType.INT4, 0),
    "uint4": (DType.INT4, 8),
    "int32": (DType.INT32, 0),
}
"""Element type in the file -> the signed type of the same width, and what is subtracted on the way there."""


def shifted(stored: Array, kind: str) -> Array:
    """Stored integers as signed ones of the same width."""
    return (
        stored
        if not SIGNED[kind][1]
        else (stored.astype(np.int64) - SIGNED[kind][1]).astype(SIGNED[kind][0].unpacked.value)
    )


_AGAIN = "quantise the network with fixed scales: onnxruntime's quantize_static, or PT2E with static activations"

_SYMMETRIC = "quantise symmetrically: quantize_static(..., extra_options={'ActivationSymmetric': True})"


def grid_of(network: Network, step: Step) -> Grid:
    """The grid of a QuantizeLinear or DequantizeLinear. Raises ModelError for scales that TFLite cannot state."""
    scale = network.constants.get(step.input(1))
    zero_point = network.constants.get(step.input(2)) if step.has(2) else None
    if scale is None or (step.has(2) and zero_point is None):
        raise step.refuse("its scale is computed at run time (dynamic quantisation)", _AGAIN)
    if step.integer("block_size", 0):
        raise step.refuse("it has a scale for each block, and TFLite has one a channel", "quantise per channel")
    kind = _stored_kind(network, step, zero_point)
    if kind not in SIGNED:
        raise step.refuse(f"it stores {kind}, which TFLite does not", "quantise to int8, or int16 activations")
    dtype, moved = SIGNED[kind]
    scales = tuple(float(np.float32(each)) for each in scale.ravel())
    offsets = np.zeros(len(scales), np.int64) if zero_point is None else zero_point.astype(np.int64).ravel()
    if offsets.size not in (1, len(scales)) or not all(math.isfinite(each) and each >= 0 for each in scales):
        raise step.refuse("its scales or zero points are no numbers to divide by", "quantise the network again")
    zero_points = tuple(int(each) - moved for each in np.broadcast_to(offsets, (len(scales),)))
    if dtype is DType.INT16 and any(zero_points):
        what = f"it stores {kind} with zero point {int(offsets[0])}, and TFLite's int16 has none"
        raise step.refuse(what, _SYMMETRIC)
    shape = network.shape(step.input(0)) or ()
    axis = step.integer("axis", 1) % len(shape) if len(scales) > 1 and shape else 0
    if len(scales) > 1 and not (shape and shape[axis] == len(scales)):
        raise step.refuse(f"it has {len(scales)} scales for a tensor of {shape}", "quantise the network again")
    return Grid(dtype, Quantization(scales, zero_points, axis))


def _stored_kind(network: Network, step: Step, zero_point: Array | None) -> str:
    """ONNX's name of the stored integers."""
    name = step.input(0) if step.op == "DequantizeLinear" and step.input(0) in network.constants else step.input(2)
    four_bit = name in network.four_bit
    held = network.constants.get(name)
    if held is None:
        held = zero_point
    if held is None:
        return step.text("stored", "uint8" if step.op == "QuantizeLinear" else "int8")
    bits = step.text("stored", "")
    return bits or (f"{held.dtype}".replace("8", "4") if four_bit else str(held.dtype))


VALUE_KEEPING = frozenset(
    {
        "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "MaxPool", "GlobalMaxPool", "Slice",
        "Split", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Pad", "ReduceMax", "ReduceMin", "Relu",
        "Clip",
        "Concat", "Upsample", "Max", "Min",
    }
)  # fmt: skip
"""Operators whose outputs are some of their inputs' numbers: they need no scale of their own."""

ROUNDED = frozenset({"AveragePool", "GlobalAveragePool", "Resize", "ReduceMean"})
"""Operators that average: without a scale of their own TFLite rounds their outputs to their input's."""

_NEEDING = VALUE_KEEPING | ROUNDED | {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def targets(network: Network) -> Mapping[str, Grid]:
    """The grid on which each value that a step computes, or the network is given, has to lie; left out: stays real.

    A value that only quantisers read has the first one's. What keeps values passes grids on: first forwards, then back.
    """
    grid_of_value: dict[str, Grid] = {}
    for name, readers in network.readers.items():
        if name in network.constants or name in network.outputs or not all(_quantizes(step, name) for step in readers):
            continue
        grid_of_value[name] = grid_of(network, readers[0])
    for step in network.steps:
        if step.op in ("QuantizeLinear", "DequantizeLinear") and step.input(0) not in network.constants:
            grid_of_value[step.output] = grid_of(network, step)
        elif step.op in VALUE_KEEPING:
            _pass_on(network, step, grid_of_value)
    for step in reversed(network.steps):
        if step.op in VALUE_KEEPING:
            _pass_back(network, step, grid_of_value)
    for step in network.steps:
        if step.op in VALUE_KEEPING or (step.op in ROUNDED and _feeds(network, step)):
            _pass_on(network, step, grid_of_value)
    return grid_of_value


def _sources(step: Step) -> tuple[str, ...]:
    """The operands whose values a step keeps."""
    return step.inputs if step.op in ("Concat", "Max", "Min") else step.inputs[:1]


def _pass_on(network: Network, step: Step, grid_of_value: dict[str, Grid]) -> None:
    """Give a step's outputs the grid of its inputs, if that is one."""
    grid = grid_of_value.get(step.input(0))
    if grid is not None and all(_may_lie_on(network, name, grid, grid_of_value) for name in _sources(step)):
        for output in step.outputs:
            grid_of_value.setdefault(output, grid)


def _may_lie_on(network: Network, name: str, grid: Grid, grid_of_value: Mapping[str, Grid]) -> bool:
    made = network.producer.get(name)
    if made is not None and made.op == "DequantizeLinear" and made.input(0) in network.constants:
        return grid_of(network, made) == grid
    return name in network.constants or grid_of_value.get(name) == grid


def _pass_back(network: Network, step: Step, grid_of_value: dict[str, Grid]) -> None:
    """Give a step's inputs, which nobody else reads, the grid of its output."""
    grid = grid_of_value.get(step.output) if step.outputs else None
    if grid is None or grid.quantization.is_per_channel:
        return
    for name in _sources(step):
        if network.is_read_once(name) and name not in network.constants:
            grid_of_value.setdefault(name, grid)


def _feeds(network: Network, step: Step) -> bool:
    """Whether what reads an average without a scale needs one: what multiplies by weights, or a network's caller."""
    readers = network.readers.get(step.output, ())
    return step.output in network.outputs or any(reader.op in _NEEDING for reader in readers)


def _quantizes(step: Step, name: str) -> bool:
    return step.op == "QuantizeLinear" and step.input(0) == name
