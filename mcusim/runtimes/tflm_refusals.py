"""Why TFLM cannot run a node, in words; `tflm_conditions.py` has what each kernel asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from mcusim.graph import DType, Graph, Signature, TensorType
from mcusim.ops import OPS, Movement
from mcusim.ops.shared.foreign import foreign_operator
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.runtimes.cmsis_nn_conditions import CMSIS_NN_CONDITIONS
from mcusim.runtimes.conditions import Conditions, Refusal, numbers_of
from mcusim.runtimes.tflm_conditions import TFLM_CONDITIONS

__all__ = ["CMSIS_NN_REFUSALS", "REFERENCE_REFUSALS", "Refuser"]


Table = Mapping[str, Conditions]
"""Operator -> what its kernel asks."""


class Refuser:
    """Says what a build of TFLM refuses. table: the conditions of its kernels."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.refusal = lru_cache(SIGNATURES_KEPT)(self._refusal)
        self._setting_up: Refuser | None = None

    def of_set_up(self, graph: Graph, nodes: Iterable[int]) -> Iterator[Refusal]:
        """Of nodes that are set up and never run, those that keep a network from being set up."""
        if self._setting_up is None:
            self._setting_up = Refuser({op: conditions.at_set_up() for op, conditions in self.table.items()})
        idle = frozenset(nodes)
        for index in sorted(idle):
            why = self._setting_up.refusal(graph.nodes[index].signature)
            if why:
                yield Refusal(index, why)
        yield from [refusal for refusal in self._setting_up.of_numbers(graph) if refusal.node in idle]

    def _refusal(self, signature: Signature) -> str:
        """Why it cannot run a node whatever its numbers are; "" if it can."""
        op = signature.op
        conditions = self.table.get(op)
        if conditions is None:
            foreign = foreign_operator(op)
            name = op.removeprefix("CUSTOM:")
            return f"{name} is {foreign.reason}" if foreign else f"TFLM has no kernel for {name}"
        reason = conditions.broken_types(signature)
        if reason:
            return _packed_refusal(signature) or _old_refusal(signature) or f"{_kernel(op)}: {reason}"
        reason = conditions.broken_shapes(signature)
        return f"{_kernel(op)}: {reason}" if reason else ""

    def of_numbers(self, graph: Graph) -> Iterator[Refusal]:
        """Nodes whose signatures it takes, and whose scales, zero points or intermediate tensors it does not."""
        yield from _of_intermediates(graph)
        for index, numbers in numbers_of(graph):
            op = numbers.signature.op
            conditions = self.table.get(op)
            if conditions is None or not conditions.numbers or self.refusal(numbers.signature):
                continue
            reason = conditions.broken_numbers(numbers)
            if reason:
                yield Refusal(index, f"{_kernel(op)}: {reason}")


REFERENCE_REFUSALS = Refuser(TFLM_CONDITIONS)
CMSIS_NN_REFUSALS = Refuser(CMSIS_NN_CONDITIONS)


def _of_intermediates(graph: Graph) -> Iterator[Refusal]:
    """Nodes with intermediate tensors that have elements: TFLM gives those no memory (micro_allocation_info.cc)."""
    for index, node in enumerate(graph.nodes):
        for tensor in [graph.tensors[place] for place in node.intermediates]:
            if 0 not in tensor.shape:
                what = f"intermediate tensor '{tensor.name}' has elements, and must have a dimension of 0"
                yield Refusal(index, f"{_kernel(node.op)}: {what}")
                break


def _kernel(op: str) -> str:
    return f"TFLM's {op.removeprefix('CUSTOM:')}"


def _packed_refusal(signature: Signature) -> str:
    """Of int4 and int2, TFLM takes int4 weights only, where it computes."""
    for kind in _operands(signature):
        if kind.dtype.is_packed and not (kind.is_constant and kind.dtype is DType.INT4):
            what = "weights" if kind.is_constant else "activations"
            return f"TFLM has no kernels for {kind.dtype} {what}; it unpacks int4 weights, and computes on int8"
    return ""


def _old_refusal(signature: Signature) -> str:
    known = OPS.get(signature.op)
    computes = known is not None and known.movement is Movement.COMPUTES
    if computes and any(kind.dtype is DType.UINT8 for kind in _operands(signature)):
        return "uint8, TensorFlow Lite's older quantisation, is not supported by TFLM; quantise to int8"
    return ""


def _operands(signature: Signature) -> list[TensorType]:
    return [kind for kind in (*signature.inputs, *signature.outputs) if kind is not None]
