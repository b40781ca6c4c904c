"""Any network -> a .tflite file that LiteRT and TFLM run: published ones get seeded weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import save_tflite
from mcusim.graph import Graph, retyped, tensor_type
from mcusim.ops import OPS
from mcusim.zoo.loading import load

__all__ = ["Exported", "export_model", "with_int8_activations"]


WORTH_TELLING = 0.01
"""Share of a file that is not written again, from which on that is said."""


class Exported(NamedTuple):
    """What was written. drawn: tensors whose weights or biases were drawn.   notes: what a user should know."""

    path: Path
    size_bytes: int
    graph: Graph
    drawn: int
    notes: tuple[str, ...]


def export_model(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    path: str | PathLike[str],
    seed: int = 0,
    *,
    metadata: Mapping[str, bytes] | None = None,
) -> Exported:
    """Write a network as a .tflite file, which then holds all of it or is as it was.

    model: a Graph, or anything that `mcusim.load` takes.
    seed: of the weights and biases that are drawn where the network has none. The same seed gives the same bytes.
    metadata: further entries by name, such as a memory plan.
    Raises ModelError for what cannot be drawn or written, OutputError where the file cannot be.
    """
    graph = model if isinstance(model, Graph) else load(model)
    missing = [tensor for tensor in graph.tensors if tensor.is_constant and tensor.constant is None]
    is_packed = any(tensor.dtype.is_packed for tensor in graph.tensors if not tensor.is_constant)
    drawn = with_int8_activations(graph) if is_packed and missing else graph
    written = with_seeded_weights(drawn, seed) if missing else graph
    notes = list(graph.source.notes)
    if missing:
        notes.append(
            f"{len(missing)} tensors of weights were drawn with seed {seed}: speed and memory are those of the trained "
            "network, what it answers is not"
        )
    if is_packed:
        types = (
            "they are written as int8, the weights with their own types" if missing else "only mcusim runs this file"
        )
        notes.append(f"no TFLite runtime computes on int4 and int2 activations: {types}")
    size_bytes = save_tflite(written, Path(path), metadata=metadata)
    before_bytes = graph.source.file_bytes
    if before_bytes is not None and size_bytes < (1 - WORTH_TELLING) * before_bytes:
        notes.append(
            f"{before_bytes - size_bytes:,} bytes less than the file that was read: operators, weights and "
            "quantisation are all there; signatures, ranges of tensors, descriptions and other metadata, which no "
            "interpreter needs, are not"
        )
    return Exported(Path(path), size_bytes, written, len(missing), tuple(notes))


def with_int8_activations(graph: Graph) -> Graph:
    """`graph` with int8 in the place of int4 and int2 activations, on which no TFLite runtime computes.

    Weights keep their types. For a network whose activations have no quantisation yet.
    """
    learned = {
        node.inputs[position]
        for node in graph.nodes
        for position in (OPS[node.op].parameters if node.op in OPS else ())
        if position < len(node.inputs)
    }
    tensors = tuple(
        replace(t, type=tensor_type(t.shape, t.dtype.unpacked, t.is_constant, t.type.values))
        if t.dtype.is_packed and index not in learned
        else t
        for index, t in enumerate(graph.tensors)
    )
    return replace(graph, tensors=tensors, nodes=tuple(retyped(node, tensors) for node in graph.nodes))
