"""Which nodes a runtime never carries out, and what becomes of their neighbours.

A PAD becomes the padding of its readers, a RESHAPE a second name for the same bytes, a QUANTIZE at the border of the
network the caller's work. Each operator says of itself what may be done to it; nothing here names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from mcusim.graph import Graph, Node, Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.ops import OPS, Movement
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["Folding", "fold", "with_padding"]


@dataclass(slots=True)
class Folding:
    """What folding found.

    alias: tensor -> the tensor whose storage holds it.   signatures: node -> what it becomes.
    absorbed: node -> nodes whose work it does too.   free, caller: see `Program`.   skipped: nodes that are no step.
    delivered: the network's outputs.
    """

    delivered: frozenset[int] = frozenset()
    alias: dict[int, int] = field(default_factory=dict)
    signatures: dict[int, Signature] = field(default_factory=dict)
    absorbed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    free: list[int] = field(default_factory=list)
    caller: list[int] = field(default_factory=list)


def fold(graph: Graph, rules: LoweringRules) -> Folding:
    """Everything that `rules` allow to be left out."""
    folding = Folding(frozenset(graph.outputs))
    if rules.caller_converts:
        for index, outer, inner in (*_conversions_in(graph, folding.delivered), *_conversions_out(graph)):
            if index not in folding.skipped and not _is_kept(graph, outer) and not _is_kept(graph, inner):
                folding.alias[outer] = inner
                folding.caller.append(index)
                folding.skipped.add(index)
    for index, node in enumerate(graph.nodes):
        op = OPS.get(node.signature.op)
        # An operator that computes is never left out; what remains moves data, or relabels it.
        if op is None or op.movement is Movement.COMPUTES or index in folding.skipped:
            continue
        if rules.folds_padding and op.padding is not None:
            _fold_padding(graph, index, folding)
        elif rules.relabels_free and op.movement is Movement.RELABELS and not _keeps_an_end(graph, node):
            folding.alias[node.outputs[0]] = node.inputs[0]
            folding.free.append(index)
            folding.skipped.add(index)
    return folding


def _is_kept(graph: Graph, tensor: int) -> bool:
    """Whether it lies outside the arena, as constants and variables do: no other tensor can share its storage."""
    kept = graph.tensors[tensor]
    return kept.type.is_constant or kept.is_variable


def _keeps_an_end(graph: Graph, node: Node) -> bool:
    return _is_kept(graph, node.inputs[0]) or _is_kept(graph, node.outputs[0])


def _fold_padding(graph: Graph, index: int, folding: Folding) -> None:
    """Fold a padding node into all its readers, or leave it alone if one of them cannot take it."""
    node = graph.nodes[index]
    padded = node.outputs[0]
    readers = graph.consumers.get(padded, ())
    if not readers or padded in folding.delivered or _keeps_an_end(graph, node):
        return
    # All or none: if one reader cannot pad for itself, the padded tensor must exist, and then all readers use it.
    folded = []
    for reader in readers:
        signature = with_padding(graph.nodes[reader].signature, node.signature)
        inputs = graph.nodes[reader].inputs
        if signature is None or inputs[0] != padded or inputs.count(padded) > 1:  # as weights it is padded still
            return
        folded.append(signature)
    for reader, signature in zip(readers, folded, strict=True):
        folding.signatures[reader] = signature
        folding.absorbed[reader] = (index,)
    folding.alias[padded] = node.inputs[0]
    folding.skipped.add(index)


@lru_cache(SIGNATURES_KEPT)
def with_padding(reader: Signature, pad: Signature) -> Signature | None:
    """`reader` reading the unpadded tensor and padding it itself; None where it cannot."""
    op, pad_op = OPS.get(reader.op), OPS[pad.op]
    assert pad_op.padding is not None
    pads = pad_op.padding(pad)
    if op is None or op.with_pads is None or pads is None:
        return None
    return op.with_pads(reader, pads, pad.input(0))


def _conversions_in(graph: Graph, delivered: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    """(node, outer tensor, inner tensor) of conversions on the way in, outermost first."""
    for tensor in graph.inputs:
        # Only as long as a single conversion reads the tensor: else a second reader inside needs it as the caller gives
        # it.
        while True:
            readers = graph.consumers.get(tensor, ())
            if len(readers) != 1 or tensor in delivered or not _is_conversion(graph.nodes[readers[0]]):
                break
            inner = graph.nodes[readers[0]].outputs[0]
            if inner in delivered:
                break
            yield readers[0], tensor, inner
            tensor = inner


def _conversions_out(graph: Graph) -> Iterator[tuple[int, int, int]]:
    """(node, outer tensor, inner tensor) of conversions on the way out, outermost first."""
    inputs, outputs = frozenset(graph.inputs), frozenset(graph.outputs)
    for tensor in graph.outputs:
        while True:
            index = graph.producer.get(tensor, -1)
            # The same from the other end: nobody in the network reads the outer tensor, and only the conversion the
            # inner one.
            if index < 0 or tensor in graph.consumers or not _is_conversion(graph.nodes[index]):
                break
            inner = graph.nodes[index].inputs[0]
            if inner in inputs or len(graph.consumers[inner]) != 1:
                break
            yield index, tensor, inner
            tensor = inner
            if tensor in outputs:
                break


def _is_conversion(node: Node) -> bool:
    op = OPS.get(node.signature.op)
    return op is not None and op.is_border_conversion
