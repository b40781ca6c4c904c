"""How far a quantised network's answers are from those of the float network it was made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import dtype_range
from mcusim.execution import execute
from mcusim.graph import Graph, Tensor

__all__ = ["Agreement", "StepsApart", "agreement", "real_input", "steps_apart", "stored_input"]

Array = NDArray[Any]


class Agreement(NamedTuple):
    """One output against the floats.

    sqnr_db: signal to quantisation noise; infinite where nothing differs, None where the floats are all zero.
    same_largest: share of samples whose largest element is the same one; None for outputs of one element or a map.
    """

    name: str
    sqnr_db: float | None
    same_largest: float | None
    samples: int


class StepsApart(NamedTuple):
    """One quantised output against another runtime's. largest: in steps of the output's scale."""

    name: str
    elements: int
    equal: float
    largest: int


def steps_apart(graph: Graph, given: Sequence[Sequence[Array]], wanted: Sequence[Sequence[Array]]) -> list[StepsApart]:
    """Each output of `graph`, on stored inputs, against what another runtime answers in real numbers or integers."""
    answers = [execute(graph, sample) for sample in given]
    differences = []
    for i, index in enumerate(graph.outputs):
        tensor = graph.tensors[index]
        gaps = [
            np.abs(_stored(tensor, _laid_like(tensor, theirs[i])).astype(np.float64) - mine[i])
            for mine, theirs in zip(answers, wanted, strict=True)
        ]
        gap = np.concatenate([each.ravel() for each in gaps])
        differences.append(
            StepsApart(tensor.name, gap.size, float((gap == 0).mean()), int(np.ceil(gap.max(initial=0))))
        )
    return differences


def agreement(graph: Graph, inputs: Sequence[Sequence[Array]], wanted: Sequence[Sequence[Array]]) -> list[Agreement]:
    """Each output of `graph` against float answers.

    inputs: a sample's inputs, as the float network takes them.   wanted: its answers, likewise.
    """
    answers = []
    for sample in inputs:
        given = [stored_input(graph, index, array) for index, array in zip(graph.inputs, sample, strict=True)]
        answers.append(execute(graph, given))
    return [
        _of_output(graph.tensors[index], [each[i] for each in answers], [each[i] for each in wanted])
        for i, index in enumerate(graph.outputs)
    ]


def stored_input(graph: Graph, index: int, array: Array) -> Array:
    """An input of the float network as the quantised one takes it: its layout, on its grid."""
    tensor = graph.tensors[index]
    moved = array if array.shape == tensor.shape and not _is_turned(graph, tensor) else np.moveaxis(array, 1, -1)
    return _stored(tensor, moved.reshape(tensor.shape))


def real_input(graph: Graph, index: int, stored: Array) -> Array:
    """The inverse of `stored_input`: real numbers in the network's own layout."""
    tensor = graph.tensors[index]
    real = _real(tensor, stored).astype(np.float32) if tensor.quantization else stored
    return np.ascontiguousarray(np.moveaxis(real, -1, 1) if _is_turned(graph, tensor) else real)


def _stored(tensor: Tensor, real: Array) -> Array:
    """Real numbers on a tensor's grid."""
    if tensor.quantization is None or not tensor.dtype.is_integer:
        return np.ascontiguousarray(real.astype(tensor.dtype.value))
    lowest, highest = dtype_range(tensor.dtype)
    steps = np.rint(real / np.float32(tensor.quantization.scales[0])) + tensor.quantization.zero_points[0]
    return np.ascontiguousarray(np.clip(steps, lowest, highest).astype(tensor.dtype.value))


def _is_turned(graph: Graph, tensor: Tensor) -> bool:
    return any(f"'{tensor.name}'" in note and "channels last" in note for note in graph.source.notes)


def _real(tensor: Tensor, stored: Array) -> Array:
    if tensor.quantization is None:
        return stored.astype(np.float64)
    scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    return np.asarray((stored.astype(np.float64) - zero_point) * scale)


def _of_output(tensor: Tensor, stored: Sequence[Array], wanted: Sequence[Array]) -> Agreement:
    pairs = [(_real(tensor, a), _laid_like(tensor, w).astype(np.float64)) for a, w in zip(stored, wanted, strict=True)]
    signal = sum(float((w**2).sum()) for _, w in pairs)
    noise = sum(float(((a - w) ** 2).sum()) for a, w in pairs)
    sqnr = None if signal == 0 else math.inf if noise == 0 else 10 * math.log10(signal / noise)
    is_vector = math.prod(tensor.shape) == tensor.shape[-1] > 1 if tensor.shape else False
    same = float(np.mean([a.argmax() == w.argmax() for a, w in pairs])) if is_vector else None
    return Agreement(tensor.name, sqnr, same, len(pairs))


def _laid_like(tensor: Tensor, wanted: Array) -> Array:
    if wanted.shape == tensor.shape:
        return wanted
    return np.moveaxis(wanted, 1, -1).reshape(tensor.shape)
