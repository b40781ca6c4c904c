"""Activations with a scale for each channel, as NNCF quantises what a depthwise convolution reads.

TFLite's activations have one scale. Each channel of a depthwise convolution goes its own way, so the difference moves
into the scales of the weights on both sides, which are one a channel anyway; the stored steps stay what they were:

    conv -> scale s[c] -> depthwise conv      becomes      conv * S/s[c] -> scale S -> depthwise conv * s[c]/S
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mcusim.arithmetic.quant import dtype_range
from mcusim.frontends.qdq.grids import Grid, grid_of
from mcusim.frontends.qdq.network import Array, Attribute, Network, Step

__all__ = ["with_one_scale"]


def with_one_scale(network: Network) -> tuple[Network, tuple[str, ...]]:
    """`network` with one scale for each activation that only depthwise convolutions read, and what was done, in words.

    Activations with a scale a channel that anything else reads stay as they are.
    """
    constants, notes = dict(network.constants), []
    stands_for: dict[int, tuple[Step, ...]] = {}
    for step in network.steps:
        activation = _channelwise(network, step)
        if activation is None:
            continue
        writer = _Writer(network, activation, constants)
        writer.write(stands_for)
        notes += writer.notes
    if not notes:
        return network, ()
    steps = [new for step in network.steps for new in stands_for.get(id(step), (step,))]
    return replace(network, steps=tuple(steps), constants=constants), tuple(notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Channelwise:
    """An activation with a scale a channel.   made: the step before, if its weights can take factors.

    readers: the depthwise convolutions behind.   limits: the smallest and the largest step from each channel's zero.
    zero_point: the one that holds them all, as the file stores it.
    """

    made: Step | None
    quantizer: Step
    dequantizers: tuple[Step, ...]
    readers: tuple[Step, ...]
    scales: Array
    limits: Array
    zero_point: Array

    @property
    def largest(self) -> float:
        return float(self.scales.max())

    @property
    def has_one_clamp(self) -> bool:
        """Whether the limits of all channels are the same, in steps."""
        return bool((self.limits == self.limits[:, :1]).all())


def _channelwise(network: Network, step: Step) -> _Channelwise | None:
    scales = network.constants.get(step.input(1))
    rank = len(network.shape(step.input(0)) or ())
    if step.op != "QuantizeLinear" or scales is None or scales.size < 2 or rank not in (3, 4):
        return None
    if step.output in network.outputs or step.integer("axis", 1) % rank != 1:
        return None
    grid = grid_of(network, step)
    dequantizers = network.readers.get(step.output, ())
    if min(grid.quantization.scales) <= 0 or not all(_undoes(network, each, grid) for each in dequantizers):
        return None
    names = {each.output for each in dequantizers}
    readers = tuple(dict.fromkeys(reader for name in names for reader in network.readers.get(name, ())))
    if not readers or not all(_is_depthwise(network, reader, names, scales.size) for reader in readers):
        return None
    made = _with_weights(network, step.input(0))
    limits = _limits(grid, made)
    place = _zero_point(grid, limits)
    if place is None:
        return None
    stored = network.constants.get(step.input(2))
    kind = np.uint8 if stored is None else stored.dtype
    moved = 0 if stored is None else int(stored.astype(np.int64).ravel()[0]) - grid.quantization.zero_points[0]
    numbers = np.array(grid.quantization.scales, np.float64)
    return _Channelwise(made, step, dequantizers, readers, numbers, limits, np.asarray(place + moved, kind))


def _undoes(network: Network, step: Step, grid: Grid) -> bool:
    is_one = step.op == "DequantizeLinear" and step.output not in network.outputs
    return is_one and grid_of(network, step) == grid


def _is_depthwise(network: Network, step: Step, names: set[str], channels: int) -> bool:
    """Whether a step is a depthwise convolution of one of these values, with constant weights and bias."""
    if step.op != "Conv" or step.input(0) not in names or step.integer("group", 1) != channels:
        return False
    weights = network.real(step.input(1))
    is_whole = weights is not None and weights.ndim > 2 and weights.shape[1] == 1 and weights.shape[0] % channels == 0
    return is_whole and (not step.has(2) or network.real(step.input(2)) is not None)


def _with_weights(network: Network, name: str) -> Step | None:
    """The step that computes a value, if it multiplies by constants and nobody else reads the value."""
    step = network.producer.get(name)
    if step is None or step.op not in ("Conv", "Affine") or not network.is_read_once(name):
        return None
    return step if step.op == "Affine" or network.real(step.input(1)) is not None else None


def _limits(grid: Grid, made: Step | None) -> Array:
    """The smallest and largest step of each channel: what its integers hold, and what the clamp before leaves."""
    clamp = made.attributes.get("clamp") if made is not None else None
    bounds = np.array(clamp if isinstance(clamp, tuple) else (-np.inf, np.inf), np.float64)
    steps = np.rint(bounds[:, None] / np.array(grid.quantization.scales))
    held = np.array(dtype_range(grid.dtype))[:, None] - np.array(grid.quantization.zero_points)
    return np.asarray(np.clip(steps, held[0], held[1]), np.int64)


def _zero_point(grid: Grid, limits: Array) -> int | None:
    """A zero point with which one type holds the steps of all channels, if there is one."""
    lowest, highest = dtype_range(grid.dtype)
    for place in dict.fromkeys(grid.quantization.zero_points):
        if lowest <= limits[0].min() + place and limits[1].max() + place <= highest:
            return place
    return None


class _Writer:
    """Writes one activation anew."""

    def __init__(self, network: Network, activation: _Channelwise, constants: dict[str, Array]) -> None:
        self.network = network
        self.activation = activation
        self.constants = constants
        self.notes: list[str] = []
        self.name = activation.quantizer.output
        self.grid = (f"{self.name}/scale", f"{self.name}/zero_point")
        constants[self.grid[0]] = np.asarray(activation.largest, np.float32)
        constants[self.grid[1]] = activation.zero_point

    def write(self, stands_for: dict[int, tuple[Step, ...]]) -> None:
        activation = self.activation
        factors = activation.largest / activation.scales
        quantizer = replace(activation.quantizer, inputs=(activation.quantizer.input(0), *self.grid))
        if activation.made is not None:
            before = stands_for.get(id(activation.made), (activation.made,))
            stands_for[id(activation.made)] = (*before[:-1], self._multiplied(before[-1], factors))
            stands_for[id(activation.quantizer)] = (quantizer,)
            self.notes.append(f"{self.name}: a scale a channel became one, by the weights before and behind it")
        else:
            given: Mapping[str, Attribute] = {"factor": factors, "offset": np.zeros(1)}
            scaled = quantizer.stand_in("Affine", quantizer.inputs[:1], (f"{self.name}/scaled",), given)
            stands_for[id(activation.quantizer)] = (scaled, replace(quantizer, inputs=(scaled.output, *self.grid)))
            self.notes.append(f"{self.name}: a scale a channel became one, by a product in floats before it")
        for each in activation.dequantizers:
            stands_for[id(each)] = self._limited(replace(each, inputs=(each.input(0), *self.grid)))
        for each in activation.readers:
            before = stands_for.get(id(each), (each,))
            stands_for[id(each)] = (*before[:-1], self._divided(before[-1], 1 / factors))

    def _multiplied(self, step: Step, factors: Array) -> Step:
        """The step before with its output times the factors. Where channels differ `_limited` has its clamp."""
        attributes = {name: value for name, value in step.attributes.items() if name != "clamp"}
        if self.activation.has_one_clamp:
            largest = self.activation.largest
            attributes["clamp"] = tuple(float(limit) * largest for limit in self.activation.limits[:, 0])
        factor, offset = step.array("factor"), step.array("offset")
        attributes["factor"] = factors * (1.0 if factor is None else factor.astype(np.float64).ravel())
        if offset is not None:
            attributes["offset"] = factors * offset.astype(np.float64).ravel()
        return replace(step, attributes=attributes)

    def _divided(self, step: Step, factors: Array) -> Step:
        """A depthwise convolution that multiplies its input's channels first: its weights do, and its bias does not."""
        weights = self.network.real(step.input(1))
        assert weights is not None
        of_channel = np.repeat(factors, weights.shape[0] // factors.size)
        attributes: dict[str, Attribute] = dict(step.attributes)
        factor, offset = step.array("factor"), step.array("offset")
        old = np.ones(1) if factor is None else factor.astype(np.float64).ravel()
        bias = self.network.real(step.input(2)) if step.has(2) else None
        if bias is not None:
            behind = 0.0 if offset is None else offset.astype(np.float64).ravel()
            attributes["offset"] = bias.astype(np.float64).ravel() * old + behind
        attributes["factor"] = of_channel * old
        return replace(step, inputs=step.inputs[:2], attributes=attributes)

    def _limited(self, step: Step) -> tuple[Step, ...]:
        """A dequantizer, and behind it the limits of the channels where they differ, but for those of the type."""
        if self.activation.has_one_clamp:
            return (step,)
        activation, steps, so_far = self.activation, [], f"{step.output}/wide"
        rank = len(self.network.shape(activation.quantizer.input(0)) or ())
        shape = (1, -1, *[1] * (rank - 2))
        steps.append(replace(step, outputs=(so_far,)))
        held = np.iinfo(activation.zero_point.dtype)
        for op, limits, idle in (("Max", activation.limits[0], held.min), ("Min", activation.limits[1], held.max)):
            stored = limits + int(activation.zero_point)
            if (stored == idle).all():
                continue
            name = f"{step.output}/{op.lower()}"
            self.constants[f"{name}/stored"] = stored.astype(activation.zero_point.dtype).reshape(shape)
            steps.append(step.stand_in("DequantizeLinear", (f"{name}/stored", *self.grid), (f"{name}/limits",), {}))
            steps.append(step.stand_in(op, (so_far, f"{name}/limits"), (name,), {}))
            so_far = name
        return (*steps[:-1], replace(steps[-1], outputs=step.outputs))
