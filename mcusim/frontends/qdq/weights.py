"""Weights and biases on the grids that TFLite wants, exactly, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX
from mcusim.frontends.qdq.emitter import Emitter
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Array, Step
from mcusim.graph import ABSENT, DType, Quantization

__all__ = [
    "INT8_HIGHEST",
    "INT8_LOWEST",
    "Weights",
    "along_first",
    "bias_of",
    "check_grids",
    "in_parts",
    "repeated",
    "scaled",
    "weights_of",
    "widened",
]


_SYMMETRIC = (
    "quantise weights symmetrically: quantize_static(..., weight_type=QuantType.QInt8, "
    "extra_options={'WeightSymmetric': True})"
)

_SCALE_OUTPUT = "quantise its output too: place QuantizeLinear and DequantizeLinear behind it"

_SCALE_INPUT = "quantise what it reads: place QuantizeLinear and DequantizeLinear before it"

_CLOSE = 1e-5

INT8_LOWEST = -128

INT8_HIGHEST = 127


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights with output channels first, centred: their zero points are 0 but where `grid` says otherwise.

    elements: int8, or int16 where centred weights need more; `in_parts` makes int8 of them.
    """

    elements: Array
    grid: Grid

    @property
    def scales(self) -> Array:
        """One an output channel."""
        return np.broadcast_to(np.array(self.grid.quantization.scales, np.float64), (self.elements.shape[0],))


def weights_of(emitter: Emitter, step: Step, index: int, channel_axis: int, *, may_have_zero_point: bool) -> Weights:
    """The weights of a step, with their output channels moved to axis 0."""
    held = emitter.get(step.input(index))
    if held.elements is None:
        raise step.refuse("its weights are computed at run time", "give it constant weights")
    if held.grid is None:
        raise step.refuse("its weights are not quantised", "quantise all layers with weights, or leave none out")
    quantization = held.grid.quantization
    elements = np.moveaxis(held.elements, channel_axis, 0)
    scales, zero_points = np.array(quantization.scales, np.float64), np.array(quantization.zero_points, np.int64)
    if quantization.is_per_channel and quantization.axis != channel_axis % held.elements.ndim:
        raise step.refuse(
            f"its weights have scales along axis {quantization.axis}, and output channels lie along {channel_axis}",
            "quantise weights along their output channels",
        )
    if (zero_points == 0).all():
        return Weights(elements, along_first(held.grid.dtype, scales))
    offsets = zero_points.reshape([-1] + [1] * (elements.ndim - 1)) if quantization.is_per_channel else zero_points[0]
    centred = elements.astype(np.int64) - offsets
    if centred.min(initial=0) >= INT8_LOWEST and centred.max(initial=0) <= INT8_HIGHEST:
        return Weights(centred.astype(np.int8), along_first(DType.INT8, scales))
    if may_have_zero_point and not quantization.is_per_channel and held.grid.dtype is DType.INT8:
        return Weights(elements, held.grid)
    return Weights(centred.astype(np.int16), along_first(DType.INT8, scales))


def in_parts(emitter: Emitter, step: Step, elements: Array) -> tuple[Array, int]:
    """Weights as int8, and how many parts they are the sum of.

    Weights with a zero point reach from -255 to 255 once it is taken away, and TFLite's int8 convolutions have none.
    Two int8 numbers have that sum: w = a + b, so that the products with x are those of (x, x) with (a, b), exactly, in
    the same accumulator. Parts lie side by side along axis 1, the input channels.
    """
    if elements.dtype != np.int16:
        return elements, 1
    parts: list[Array] = []
    rest = elements
    while not parts or rest.any():
        part = np.clip(rest, INT8_LOWEST, INT8_HIGHEST)
        parts.append(part.astype(np.int8))
        rest = rest - part
    if len(parts) > 1:
        emitter.note(
            f"{step.output}: its weights have a zero point, which TFLite's int8 kernels have not: they are the sum of "
            f"{len(parts)} parts, over an input that is repeated. It costs {len(parts)} times the work; to save it, "
            f"{_SYMMETRIC}"
        )
    return np.concatenate(parts, axis=1), len(parts)


def repeated(emitter: Emitter, step: Step, tensor: int, parts: int, groups: int, grid: Grid) -> int:
    """A map or matrix whose channels, in each group, stand there so many times."""
    if parts == 1:
        return tensor
    shape = emitter.builder.type_of(tensor).shape
    name, channels = f"{step.output}/repeated", shape[-1]
    if groups == 1:
        return emitter.emit("CONCATENATION", (tensor,) * parts, name, grid=grid, axis=len(shape) - 1)
    apart = (shape[0] * shape[1], shape[2], groups, channels // groups)
    split = emitter.reshaped(tensor, apart, f"{name}/groups", grid, grid.dtype)
    joined = emitter.emit("CONCATENATION", (split,) * parts, f"{name}/joined", grid=grid, axis=3)
    return emitter.reshaped(joined, (*shape[:-1], channels * parts), name, grid, grid.dtype)


def widened(weights: Weights) -> Weights:
    """4-bit weights as 8-bit ones, for operators that TFLM runs on those alone."""
    if weights.grid.dtype is not DType.INT4:
        return weights
    return replace(weights, grid=replace(weights.grid, dtype=DType.INT8))


def along_first(dtype: DType, scales: Array) -> Grid:
    return Grid(dtype, Quantization(tuple(float(np.float32(s)) for s in scales), (0,) * len(scales), 0))


def scaled(weights: Weights, step: Step) -> Weights:
    """The weights times the factors that a batch norm behind them has: into their scales, exactly."""
    factor = step.array("factor")
    if factor is None:
        return weights
    factors = np.broadcast_to(factor.astype(np.float64).ravel(), (weights.elements.shape[0],))
    scales = weights.scales * factors
    # TFLite takes negative scales of weights, but other tools do not: the sign goes into the integers where they allow.
    flips = np.where(scales < 0, -1, 1).reshape([-1] + [1] * (weights.elements.ndim - 1))
    elements = weights.elements
    if (flips < 0).any() and int(elements.min(initial=0)) > INT8_LOWEST:
        elements, scales = (elements * flips).astype(elements.dtype), np.abs(scales)
    return Weights(elements, along_first(weights.grid.dtype, scales))


def bias_of(emitter: Emitter, step: Step, index: int, source: Grid, weights: Weights) -> int:
    """The bias as TFLite wants it, on the grid of the products: the tensor, or ABSENT."""
    factor, offset = step.array("factor"), step.array("offset")
    held = emitter.get(step.input(index)) if step.has(index) else None
    if held is None and offset is None:
        return ABSENT
    channels = weights.elements.shape[0]
    products = np.array([float(np.float32(source.scale * scale)) for scale in weights.scales])
    if held is not None and held.elements is None:
        raise step.refuse("its bias is computed at run time", "give it a constant bias")
    if held is not None and factor is None and offset is None and _is_on(held, products, source, weights):
        stored = np.broadcast_to(np.asarray(held.elements, np.int64).ravel(), (channels,))
    else:
        real = np.zeros(channels) if held is None else np.broadcast_to(held.real().ravel(), (channels,))
        real = real * (1.0 if factor is None else factor.astype(np.float64).ravel())
        real = real + (0.0 if offset is None else offset.astype(np.float64).ravel())
        with np.errstate(divide="ignore", invalid="ignore"):
            stored = np.rint(np.where(products != 0, real / products, 0.0))
        emitter.note("biases without the scale that TFLite gives them are rounded to it: 32 bits, below half a step")
    kind = DType.INT64 if source.dtype is DType.INT16 else DType.INT32
    if kind is DType.INT32 and np.abs(stored).max(initial=0) > INT32_MAX:
        fix = "quantise again with a larger scale for its weights or input"
        raise step.refuse("its bias does not fit 32 bits at the scale of its products", fix)
    elements = np.asarray(stored).astype(kind.value)
    grid = Grid(
        kind,
        Quantization(
            tuple(products) if weights.grid.quantization.is_per_channel else (products[0],),
            (0,) * (len(products) if weights.grid.quantization.is_per_channel else 1),
            0,
        ),
    )
    return emitter.constant(elements, f"{step.output}/bias", grid)


def _is_on(held: Held, products: Array, source: Grid, weights: Weights) -> bool:
    """Whether a bias is stored on the grid of the products."""
    if held.grid is None or held.grid.dtype is not DType.INT32 or any(held.grid.quantization.zero_points):
        return False
    return bool(np.allclose(held.grid.quantization.scales, products, rtol=_CLOSE, atol=0))


def check_grids(emitter: Emitter, step: Step, source: Held) -> tuple[Grid, Grid]:
    """The grids of the activations that go in and come out. Raises ModelError where one is missing."""
    target = emitter.target(step)
    if source.grid is None:
        raise step.refuse("its input is not quantised", _SCALE_INPUT)
    if target is None:
        raise step.refuse("its output is not quantised, so that it would have to compute in floats", _SCALE_OUTPUT)
    if source.grid.dtype is not target.dtype or target.dtype not in (DType.INT8, DType.INT16):
        raise step.refuse(
            f"it goes from {source.grid.dtype} to {target.dtype}", "give its input and output one type, int8 or int16"
        )
    return source.grid, target
