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
    "grids_of",
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

_CLOSE = 1e-5

INT8_LOWEST = -128

INT8_HIGHEST = 127


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights with output channels first, centred: their zero points are 0 but where `grid` says otherwise.

    elements: int8, or int16 where centred weights need more; `in_parts` makes int8 of them. float32 without a grid.
    """

    elements: Array
    grid: Grid | None

    @property
    def scales(self) -> Array:
        """One an output channel; 1 for real numbers."""
        if self.grid is None:
            return np.ones(self.elements.shape[0])
        return np.broadcast_to(np.array(self.grid.quantization.scales, np.float64), (self.elements.shape[0],))

    def grid_along(self, axis: int) -> Grid | None:
        """Their grid where output channels lie along `axis`."""
        return self.grid and replace(self.grid, quantization=replace(self.grid.quantization, axis=axis))


def weights_of(
    emitter: Emitter, step: Step, index: int, channel_axis: int, source: Grid | None, *, may_have_zero_point: bool
) -> Weights:
    """The weights of a step, with their output channels moved to axis 0.   source: the grid that it computes on."""
    held = emitter.get(step.input(index))
    if held.elements is None:
        raise step.refuse("its weights are computed at run time", "give it constant weights")
    if source is None:
        return Weights(np.moveaxis(held.real(), channel_axis, 0).astype(np.float32), None)
    assert held.grid is not None, step.name  # else `grids_of` gave none
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


def repeated(emitter: Emitter, step: Step, tensor: int, parts: int, groups: int, grid: Grid | None) -> int:
    """A map or matrix whose channels, in each group, stand there so many times."""
    if parts == 1 or grid is None:
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
    if weights.grid is None or weights.grid.dtype is not DType.INT4:
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
    if weights.grid is None:
        return Weights(
            (weights.elements * factors.reshape([-1] + [1] * (weights.elements.ndim - 1))).astype(np.float32), None
        )
    scales = weights.scales * factors
    # TFLite takes negative scales of weights, but other tools do not: the sign goes into the integers where they allow.
    flips = np.where(scales < 0, -1, 1).reshape([-1] + [1] * (weights.elements.ndim - 1))
    elements = weights.elements
    if (flips < 0).any() and int(elements.min(initial=0)) > INT8_LOWEST:
        elements, scales = (elements * flips).astype(elements.dtype), np.abs(scales)
    return Weights(elements, along_first(weights.grid.dtype, scales))


def bias_of(
    emitter: Emitter, step: Step, index: int, source: Grid | None, weights: Weights, *, may_lack: bool = True
) -> int:
    """The bias as TFLite wants it, on the grid of the products, or in floats: the tensor, or ABSENT.

    may_lack: whether the operator runs without. LiteRT's CONV_2D on integers does not: it gets zeros.
    """
    factor, offset = step.array("factor"), step.array("offset")
    held = emitter.get(step.input(index)) if step.has(index) else None
    is_real = source is None or weights.grid is None
    if held is None and offset is None and (is_real or may_lack):
        return ABSENT
    if held is not None and held.elements is None:
        raise step.refuse("its bias is computed at run time", "give it a constant bias")
    channels = weights.elements.shape[0]
    if source is None or weights.grid is None:
        real = _real_bias(step, held, channels, factor, offset)
        return emitter.constant(real.astype(np.float32), f"{step.output}/bias")
    products = np.array([float(np.float32(source.scale * scale)) for scale in weights.scales])
    if held is not None and factor is None and offset is None and _is_on(held, products, source, weights):
        stored = np.broadcast_to(np.asarray(held.elements, np.int64).ravel(), (channels,))
    else:
        real = _real_bias(step, held, channels, factor, offset)
        with np.errstate(divide="ignore", invalid="ignore"):
            stored = np.rint(np.where(products != 0, real / products, 0.0))
        if real.any():
            emitter.note(_ROUNDED)
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


_ROUNDED = "biases without the scale that TFLite gives them are rounded to it: 32 bits, below half a step"


def _real_bias(step: Step, held: Held | None, channels: int, factor: Array | None, offset: Array | None) -> Array:
    """The bias in real numbers, with what a batch norm behind the step makes of it."""
    if held is not None and held.elements is not None and held.elements.size not in (1, channels):
        raise step.refuse(f"its bias of {held.elements.size} numbers does not go with {channels} channels", _AGAIN)
    real = np.zeros(channels) if held is None else np.broadcast_to(held.real().ravel(), (channels,))
    real = real * (1.0 if factor is None else factor.astype(np.float64).ravel())
    return np.asarray(real + (0.0 if offset is None else offset.astype(np.float64).ravel()))


_AGAIN = "export the model again"


def _is_on(held: Held, products: Array, source: Grid, weights: Weights) -> bool:
    """Whether a bias is stored on the grid of the products."""
    if held.grid is None or held.grid.dtype is not DType.INT32 or any(held.grid.quantization.zero_points):
        return False
    return bool(np.allclose(held.grid.quantization.scales, products, rtol=_CLOSE, atol=0))


def grids_of(emitter: Emitter, step: Step, *operands: Held) -> tuple[Grid | None, Grid | None]:
    """The grids of the activations that go in and come out; none for both where the network computes in floats.

    operands: what is multiplied, weights among it.
    """
    target = emitter.target(step)
    source = next((held.grid for held in operands if not held.is_constant), None)
    lacking = (
        "its output has no scale" if target is None
        else "its input has no scale" if source is None
        else "its weights have no scale" if any(held.grid is None for held in operands)
        else ""
    )  # fmt: skip
    if lacking or source is None or target is None:
        emitter.note(
            f"{step.output}: computed in floats, as the network says, for {lacking}: weights take 32 bits. "
            "QuantizeLinear and DequantizeLinear there keep it in integers"
        )
        return None, None
    if source.dtype is not target.dtype or target.dtype not in (DType.INT8, DType.INT16):
        raise step.refuse(
            f"it goes from {source.dtype} to {target.dtype}", "give its input and output one type, int8 or int16"
        )
    return source, target
