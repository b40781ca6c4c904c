"""Collects the TFLite graph of an imported network: what a lowering rule asks for to place one operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX, activation_range, dtype_range
from mcusim.errors import ModelError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.qdq.grids import Grid, grid_of, shifted
from mcusim.frontends.qdq.held import UNIT, Held, Order, channels_last, in_order, plain, without_units
from mcusim.frontends.qdq.network import REAL, Array, Network, Step
from mcusim.frontends.signatures import attributes_for
from mcusim.graph import ABSENT, Activation, DType, Quantization, Shape

__all__ = ["LOWERINGS", "MAPS", "Emitter", "Lower", "clamp_of", "lowers", "symmetric_grid"]

Lower = Callable[["Emitter", Step], None]

LOWERINGS: dict[str, Lower] = {}
"""ONNX's name of an operator -> the rule that places it. Written only while `mcusim.frontends.qdq` is imported."""

MAPS: set[str] = set()
"""Operators that compute on feature maps, and so want NHWC."""

PASSING = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Add", "Mul",
     "Sub", "Div", "Concat", "Affine", "HardSigmoid", "Cast", "PRelu", "Slice", "Split", "Pad", "BatchNormalization",
     "Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "And", "Or", "Not", "Erf", "Gelu"}
)  # fmt: skip
"""Operators that take any order of axes: the next one that does not, decides."""

LOOKAHEAD_STEPS = 64

_CLAMPS = {
    (0.0, np.inf): Activation.RELU,
    (0.0, 6.0): Activation.RELU6,
    (-1.0, 1.0): Activation.RELU_N1_TO_1,
}


def lowers(*ops: str, is_map: bool = False) -> Callable[[Lower], Lower]:
    """Register the rule for these operators.   is_map: whether they compute on feature maps."""

    def register(rule: Lower) -> Lower:
        for op in ops:
            assert op not in LOWERINGS, op
            LOWERINGS[op] = rule
            if is_map:
                MAPS.add(op)
        return rule

    return register


class Emitter:
    """The graph while it grows.   notes: what a user should know of it, in plain words."""

    def __init__(self, network: Network, grids: Mapping[str, Grid]) -> None:
        self.network = network
        self.grids = grids
        self.builder = GraphBuilder(network.name)
        self.notes: list[str] = []
        self._held: dict[str, Held] = {}
        self._converted: dict[tuple[int, Grid | None], int] = {}

    # Values

    def get(self, name: str) -> Held:
        """A value that was placed before, or a constant."""
        held = self._held.get(name)
        if held is None:
            elements = self.network.constants.get(name)
            if elements is None:
                raise ModelError(
                    f"value '{name[:80]}' is read before it is computed", where=self.network.name, fix=_AGAIN
                )
            held = self._held[name] = _constant(elements)
        return held

    def put(self, name: str, held: Held) -> None:
        """Place a value. Raises ModelError where its shape is not the one that the front end inferred."""
        known = self.network.values.get(name)
        if known is not None and known.shape != held.shape:
            what = f"it gives {held.shape} here, and {known.shape} where it comes from"
            raise ModelError(what, where=f"value '{name[:80]}'", fix="report it, with the network: mcusim misreads it")
        self._held[name] = held

    def target(self, step: Step, output: int = 0) -> Grid | None:
        """The grid on which an output has to lie; None where it stays real."""
        grid = self.grids.get(step.outputs[output])
        if grid is not None and grid.quantization.is_per_channel:
            what = "its output has a scale a channel, and not only depthwise convolutions read it"
            raise step.refuse(what, _PER_TENSOR)
        return grid

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # Operators

    def emit(
        self,
        op: str,
        inputs: Sequence[int],
        name: str,
        *,
        grid: Grid | None,
        dtype: DType | None = None,
        options: Mapping[str, object] | None = None,
        **more: object,
    ) -> int:
        """Add an operator with one output on `grid`.

        dtype: of the output, where it has no grid.   options, more: its attributes.
        """
        fields = {**(options or {}), **more}
        given = list(inputs)
        while given[-1] == ABSENT:  # TFLM reads a missing last input of DEPTHWISE_CONV_2D where there is none
            given.pop()
        output = self.builder.op(
            op,
            given,
            attributes_for(op, tuple(fields.items())) if fields else None,
            name=name.replace(REAL, ""),
            dtype=grid.dtype if grid else dtype,
            quantization=grid.quantization if grid else None,
        )
        shape = self.builder.type_of(output).shape
        if math.prod(shape) > INT32_MAX:
            raise ModelError(
                f"its {op} gives {math.prod(shape):,} elements: {shape}", where=name, fix="use smaller maps"
            )
        return output

    def constant(self, elements: Array, name: str, grid: Grid | None = None, dtype: DType | None = None) -> int:
        """A constant tensor, elements as they are to be stored."""
        kind = grid.dtype if grid else dtype or DType(str(elements.dtype))
        return self.builder.constant(
            elements.shape,
            kind,
            np.ascontiguousarray(elements),
            name.replace(REAL, ""),
            grid.quantization if grid else None,
        )

    # Layout

    def arranged(self, held: Held, order: Order, name: str) -> int:
        """The tensor of a value with its axes in `order`."""
        if held.elements is not None:
            elements, grid = in_order(held.elements, order), held.grid
            if grid is not None and grid.quantization.is_per_channel:
                axis = order.index(grid.quantization.axis)
                grid = replace(grid, quantization=replace(grid.quantization, axis=axis))
            return self.constant(elements, f"{name}/constant", grid, None if grid else held.dtype)
        if held.order == order:
            return held.at
        tensor, lying = held.at, held.order
        shape = tuple(1 if axis == UNIT else held.shape[axis] for axis in order)
        if without_units(lying, held.shape) != without_units(order, held.shape):
            rest = [place for place, axis in enumerate(lying) if axis == UNIT or axis not in order]
            places = [lying.index(axis) for axis in order if axis != UNIT]
            places = places if len(lying) == len(places) else [*rest, *places]
            if len(places) > MAX_TRANSPOSED:
                merged, places = merged_axes(self.builder.type_of(tensor).shape, places)
                tensor = self.reshaped(tensor, merged, f"{name}/merge", held.grid, held.dtype)
            axes = self.builder.integers(places)
            tensor = self.emit("TRANSPOSE", (tensor, axes), f"{name}/transpose", grid=held.grid, dtype=held.dtype)
        if self.builder.type_of(tensor).shape != shape:
            tensor = self.reshaped(tensor, shape, f"{name}/reshape", held.grid, held.dtype)
        return tensor

    def reshaped(self, tensor: int, shape: Shape, name: str, grid: Grid | None, dtype: DType) -> int:
        return self.emit(
            "RESHAPE", (tensor, self.builder.integers(shape)), name, grid=grid, dtype=dtype, new_shape=tuple(shape)
        )

    def map_of(self, step: Step, index: int = 0) -> Held:
        """An operand of rank 3 or 4, with its channels last: a map of rows and columns."""
        held = self.get(step.input(index))
        rank = len(held.shape)
        if rank not in (3, 4):
            fix = "microcontroller runtimes compute on one- and two-dimensional maps"
            raise step.refuse(f"its input has {rank} dimensions: {held.shape}", fix)
        order = channels_last(rank)
        return replace(held, tensor=self.arranged(held, order, step.output), order=order, elements=None)

    def wanted_order(self, name: str, rank: int) -> Order:
        """The order that the first reader wants which cares, seen through those that do not."""
        seen, here = 0, [(name, plain(rank))]
        while here and seen < LOOKAHEAD_STEPS:
            value, axes = here.pop(0)
            for step in self.network.readers.get(value, ()):
                seen += 1
                if _is_on_maps(step) and step.input(0) == value:
                    return tuple(UNIT if axis == UNIT else axes[axis] for axis in channels_last(rank))
                if step.op in PASSING:
                    here += [(output, axes) for output in step.outputs if output]
                elif step.op == "Transpose":
                    permutation = step.integers("perm") or plain(rank)[::-1]
                    if len(permutation) == rank:
                        here.append((step.output, tuple(axes[axis] for axis in permutation)))
                elif step.op in LOWERINGS:
                    return tuple(axes)
            if value in self.network.outputs:
                return plain(rank)
        return plain(rank)

    # Scales

    def on_grid(self, held: Held, grid: Grid | None, name: str) -> Held:
        """The value on a grid: requantised, quantised or dequantised where it lies on another."""
        if held.grid == grid or (held.grid is None and grid is None):
            return held
        if held.elements is not None:
            return _constant_on_grid(held, grid)
        tensor = self._converted.get((held.at, grid))
        if tensor is None:
            op, dtype = ("DEQUANTIZE", DType.FLOAT32) if grid is None else ("QUANTIZE", None)
            tensor = self.emit(op, (held.at,), f"{name}/{op.lower()}", grid=grid, dtype=dtype)
            self._converted[held.at, grid] = tensor
            if grid is None:
                self.note(f"{name}: computed in floats, as between the network's own quantisers")
        return replace(held, tensor=tensor, grid=grid, dtype=DType.FLOAT32 if grid is None else grid.dtype)

    def common_dtype(self, step: Step, operands: Sequence[Held]) -> DType | None:
        """The integer type of a step's operands and its output; None if it has to compute on reals."""
        grid = self.target(step)
        if grid is None or grid.dtype not in (DType.INT8, DType.INT16):
            return None
        kinds = {held.grid.dtype if held.grid else None for held in operands if not held.is_constant}
        return grid.dtype if kinds == {grid.dtype} else None

    def stored(self, step: Step) -> Held:
        """The constant that a DequantizeLinear reads, on its grid."""
        return stored_constant(self.network, step)

    # Clamps

    def activation(self, step: Step, grid: Grid | None) -> Activation:
        """The fused activation that does exactly what the step's clamp does; NONE if there is none, or no clamp."""
        limits = clamp_of(step)
        if limits is None:
            return Activation.NONE
        if grid is None:
            return _CLAMPS.get(limits, Activation.NONE)
        wanted = (grid.stored(limits[0]), grid.stored(limits[1]))
        for kind in (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1):
            if activation_range(kind, grid.quantization, grid.dtype, step.name) == wanted:
                return kind
        return Activation.NONE

    def finish(self, step: Step, held: Held, fused: Activation | None = None, output: int = 0) -> None:
        """Place an output.   fused: the activation that the operator has; None if it has none to fuse."""
        limits = clamp_of(step)
        if limits is not None and (fused is None or fused is Activation.NONE):
            held = self.clamped(step, held, limits)
        self.put(step.outputs[output], held)

    def clamped(self, step: Step, held: Held, limits: tuple[float, float]) -> Held:
        """The value kept between two bounds, on its own grid: exact, for rounding keeps order."""
        name, tensor = f"{step.output}/clamp", held.at
        activation = self.activation(step, held.grid)
        if activation in (Activation.RELU, Activation.RELU6):
            tensor = self.emit(activation.upper(), (tensor,), name, grid=held.grid, dtype=held.dtype)
            return replace(held, tensor=tensor)
        lowest, highest = dtype_range(held.grid.dtype) if held.grid else (-np.inf, np.inf)
        for op, bound, idle in (("MAXIMUM", limits[0], lowest), ("MINIMUM", limits[1], highest)):
            stored = held.grid.stored(bound) if held.grid else bound
            if stored == idle:
                continue
            kind = held.dtype.unpacked.value
            shape = (1,) * len(held.order)
            limit = self.constant(np.full(shape, stored, kind), f"{name}/{op.lower()}", held.grid, held.dtype)
            tensor = self.emit(op, (tensor, limit), f"{name}/{op.lower()}", grid=held.grid, dtype=held.dtype)
        return replace(held, tensor=tensor)


_AGAIN = "export the model again"

_PER_TENSOR = (
    "quantise activations per tensor; with NNCF: QuantizationParameters(per_channel=False) as the advanced parameter "
    "activations_quantization_params"
)


def clamp_of(step: Step) -> tuple[float, float] | None:
    """The clamp that a pattern moved into a step."""
    ends = step.attributes.get("clamp")
    return (float(ends[0]), float(ends[1])) if isinstance(ends, tuple) else None


def _is_on_maps(step: Step) -> bool:
    """Whether a step wants its channels last."""
    if step.op == "Affine":
        return any(numbers.size > 1 for numbers in (step.array("factor"), step.array("offset")) if numbers is not None)
    return step.op in MAPS


def _constant(elements: Array) -> Held:
    """A constant as the network stores it: reals as float32, plain integers as they are."""
    if elements.dtype.kind == "f" or elements.dtype.name in ("bfloat16",):
        elements = elements.astype(np.float32)
    return Held(elements.shape, plain(elements.ndim), DType(str(elements.dtype)), elements=elements)


def stored_constant(network: Network, step: Step) -> Held:
    """The constant that a DequantizeLinear reads, on its grid."""
    stored, grid = network.constants[step.input(0)], grid_of(network, step)
    kind = str(stored.dtype)
    elements = shifted(stored, kind.replace("8", "4") if step.input(0) in network.four_bit else kind)
    return Held(elements.shape, plain(elements.ndim), grid.dtype, grid, elements=elements)


def _constant_on_grid(held: Held, grid: Grid | None) -> Held:
    real = held.real()
    if grid is None:
        elements = real.astype(np.float32)
        return replace(held, dtype=DType.FLOAT32, grid=None, elements=elements)
    lowest, highest = dtype_range(grid.dtype)
    stored = np.clip(np.rint(real / grid.scale) + grid.zero_point, lowest, highest)
    return replace(held, dtype=grid.dtype, grid=grid, elements=stored.astype(grid.dtype.unpacked.value))


MAX_TRANSPOSED = 5
"""Axes that TFLM's TRANSPOSE takes."""


def merged_axes(shape: Shape, places: Sequence[int]) -> tuple[Shape, list[int]]:
    """The same transpose with fewer axes: those of 1 are left out, and those that stay side by side become one."""
    runs: list[list[int]] = []
    for place in places:
        if shape[place] == 1:
            continue
        if runs and all(shape[between] == 1 for between in range(runs[-1][-1] + 1, place)) and place > runs[-1][-1]:
            runs[-1].append(place)
        else:
            runs.append([place])
    before = sorted(runs)
    sizes = tuple(math.prod(shape[place] for place in run) for run in before)
    return sizes, [before.index(run) for run in runs]


def symmetric_grid(real: Array, dtype: DType = DType.INT8) -> Grid:
    """A grid that holds a scalar exactly, and an array to half a step."""
    largest = float(np.abs(real).max(initial=0.0)) or 1.0
    _, highest = dtype_range(dtype)
    return Grid(dtype, Quantization((float(np.float32(largest / highest)),), (0,), 0))
