"""Two runs side by side: the first layer that differs, and how the error grows; and what quantising cost each layer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcusim.arithmetic.quant import dtype_range
from mcusim.errors import InputError
from mcusim.execution.floating import dequantize, float_run
from mcusim.execution.preparation import Array
from mcusim.execution.sessions import Trace
from mcusim.graph import DType, Graph, Quantization

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Comparison",
    "Layer",
    "LayerDifference",
    "LayerNoise",
    "Recording",
    "compare",
    "first_difference",
    "quantization_noise",
    "recorded",
    "restored",
    "stored_inputs",
]

NAME_LENGTH = 100
"""Names in saved traces are cut."""


class Layer(NamedTuple):
    """One output tensor of a run.   op: "" where only the array was saved."""

    name: str
    op: str
    array: Array


class Recording(NamedTuple):
    """The layers of one run, in order.   label: tells it from the other."""

    label: str
    layers: tuple[Layer, ...]


class LayerDifference(NamedTuple):
    """One layer in both runs.

    differing: how many elements.   max_abs, mean_abs: of the stored numbers' differences, over all elements.
    first: index of the first element that differs, and its values; None where all are equal.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    elements: int
    differing: int
    max_abs: float
    mean_abs: float
    first: tuple[int, ...] | None
    values: tuple[float, float] | None


class Comparison(NamedTuple):
    """Two runs: the layers in both, and how many of each have no partner in the other."""

    layers: tuple[LayerDifference, ...]
    unpaired_a: int
    unpaired_b: int

    @property
    def is_same(self) -> bool:
        """Whether every layer of both runs was compared, and none differs."""
        return not (self.unpaired_a or self.unpaired_b or any(layer.differing for layer in self.layers))

    def to_frame(self) -> pd.DataFrame:
        """One row a layer of both runs."""
        import pandas as pd

        return pd.DataFrame(self.layers, columns=list(LayerDifference._fields))

    def __repr__(self) -> str:
        parted = first_difference(self.layers)
        where = "all equal" if parted is None else f"the first that differs is {parted.name[:60]!r}"
        alone = f", {self.unpaired_a + self.unpaired_b} without a partner" * bool(self.unpaired_a or self.unpaired_b)
        return f"<Comparison of {len(self.layers)} layers: {where}{alone}>"


class LayerNoise(NamedTuple):
    """What quantising cost one layer, all layers before it included.

    sqnr_db: signal to quantisation noise, in decibels; None where there is no signal, infinite where no noise.
    saturated: share of elements whose real value the stored range cuts off.
    dead_channels: channels that never changed in this run.   is_restarted: the yardstick began anew here.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    sqnr_db: float | None
    saturated: float
    dead_channels: int
    channels: int
    is_restarted: bool


def recorded(graph: Graph, traced: Trace, label: str) -> Recording:
    """The outputs of every node of a traced run."""
    layers = [
        Layer(graph.tensors[tensor].name, node.op, traced.tensors[tensor])
        for node in graph.nodes
        for tensor in node.outputs
        if tensor in traced.tensors
    ]
    return Recording(label, tuple(layers))


def restored(arrays: Mapping[str, Array], label: str, besides: Collection[str] = ()) -> Recording:
    """A trace that `mcusim exec --trace` saved: keys are `index:name`.   besides: keys that are no layers."""
    layers = [Layer(_name(key), "", array) for key, array in arrays.items() if key not in besides]
    return Recording(label, tuple(layers))


def _name(key: str) -> str:
    number, colon, name = key.partition(":")
    return name if colon and number.isdigit() else key


def stored_inputs(graph: Graph, arrays: Mapping[str, Array], where: str) -> dict[str, str]:
    """Key in a saved trace of each of the network's inputs, by name. Raises InputError where one is missing."""
    names = [_name(key) for key in arrays]
    key_of = {}
    for index in graph.inputs:
        name = graph.tensors[index].name
        key = f"{index}:{name[:NAME_LENGTH]}"
        if key not in arrays:
            if names.count(name[:NAME_LENGTH]) != 1:
                fix = "add --input FILE with what the trace was made on"
                raise InputError(f"the trace holds no input '{name:.60}' of '{graph.name}'", where=where, fix=fix)
            key = list(arrays)[names.index(name[:NAME_LENGTH])]
        key_of[name] = key
    return key_of


def compare(a: Recording, b: Recording) -> Comparison:
    """Layers with the same name in both; where hardly any has, layers at the same position.

    Raises InputError where the two have no layers in common.
    """
    pairs = _pairs(a, b)
    if not pairs:
        raise InputError(
            "the two runs have no layers of the same name, nor of the same shapes in the same order",
            where=f"{a.label} and {b.label}",
            fix="compare two runs of one network, or two networks of one architecture",
        )
    layers = tuple([_difference(x, y) for x, y in pairs])
    return Comparison(layers, len(a.layers) - len(pairs), len(b.layers) - len(pairs))


def _pairs(a: Recording, b: Recording) -> list[tuple[Layer, Layer]]:
    named: dict[tuple[str, tuple[int, ...]], list[Layer]] = {}
    # Reversed, so that `pop` takes the first of several layers of one name.
    for layer in reversed(b.layers):
        named.setdefault((layer.name[:NAME_LENGTH], layer.array.shape), []).append(layer)
    pairs = []
    for x in a.layers:
        partners = named.get((x.name[:NAME_LENGTH], x.array.shape))
        if partners:
            pairs.append((x, partners.pop()))
    # At least half found their namesake: the two are builds of one network.
    if 2 * len(pairs) >= min(len(a.layers), len(b.layers)):
        return pairs
    by_place = list(zip(a.layers, b.layers, strict=False))
    if len(a.layers) == len(b.layers) and all(x.array.shape == y.array.shape for x, y in by_place):
        return by_place
    return pairs


def _difference(x: Layer, y: Layer) -> LayerDifference:
    gap = np.abs(x.array.astype(np.float64) - y.array.astype(np.float64))
    differing = int(np.count_nonzero(gap))
    first, values = None, None
    if differing:
        first = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap.ravel() > 0)), gap.shape))
        values = float(x.array[first]), float(y.array[first])
    largest, mean = (float(gap.max()), float(gap.mean())) if gap.size else (0.0, 0.0)
    return LayerDifference(x.name, x.op or y.op, x.array.shape, gap.size, differing, largest, mean, first, values)


def quantization_noise(graph: Graph, traced: Trace) -> tuple[LayerNoise, ...]:
    """Each quantised layer against a float32 run of the dequantised network on the same input."""
    real = float_run(graph, traced.tensors)
    noises = []
    for node in graph.nodes:
        for tensor in node.outputs:
            kind = graph.tensors[tensor]
            if kind.quantization is None or kind.dtype is DType.INT32 or tensor not in traced.tensors:
                continue
            stored, wanted = traced.tensors[tensor], real.tensors[tensor].astype(np.float64)
            given = dequantize(kind, stored).astype(np.float64)
            channels = stored.reshape(-1, stored.shape[-1] if stored.ndim else 1)
            noises.append(
                LayerNoise(
                    kind.name,
                    node.op,
                    kind.shape,
                    _sqnr_db(wanted, given),
                    _saturated(wanted, kind.dtype, kind.quantization),
                    # A channel whose elements are all equal carries nothing; with one element a channel that says
                    # nothing.
                    int(np.count_nonzero((channels == channels[:1]).all(0))) if len(channels) > 1 else 0,
                    channels.shape[1],
                    node.name in real.restarted,
                )
            )
    return tuple(noises)


def _sqnr_db(wanted: Array, given: Array) -> float | None:
    signal, noise = float((wanted**2).sum()), float(((wanted - given) ** 2).sum())
    if signal == 0:
        return None
    return math.inf if noise == 0 else 10 * math.log10(signal / noise)


def _saturated(wanted: Array, dtype: DType, quantization: Quantization) -> float:
    if not dtype.is_integer or not wanted.size:
        return 0.0
    lowest, highest = dtype_range(dtype)
    place = wanted / quantization.scales[0] + quantization.zero_points[0]
    # Half a step beyond the last value still rounds to it.
    return float(((place > highest + 0.5) | (place < lowest - 0.5)).mean())


def first_difference(layers: Sequence[LayerDifference]) -> LayerDifference | None:
    """The first layer that differs."""
    return next((layer for layer in layers if layer.differing), None)
