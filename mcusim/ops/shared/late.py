"""Operators whose weights, or places, the network computes: what others prepare once is prepared anew in each call.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError, ModelError
from mcusim.graph import Signature, signature, tensor_type
from mcusim.ops.registry import OPS, Call, Piece, Run

__all__ = ["Late", "late_run", "prepare_late"]

Array = NDArray[Any]

_COUNTS = (np.dtype(np.int32), np.dtype(np.int64))
"""Element types of axes, places and sizes."""
_REFUSED = "quantise the network to int8, or make the input a constant"


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """A node and those of its inputs, by index, that a call computes and `prepare` takes for constants."""

    call: Call
    prepare: Callable[[Call], object]
    indices: tuple[int, ...]

    def prepared(self, inputs: Sequence[Array], *, is_trial: bool = False) -> object:
        """What `prepare` makes of the elements of this call. Raises InputError where they do not go.

        is_trial: the elements are made up, and say nothing of the output's shape.
        """
        tensors, kinds = list(self.call.inputs), list(self.call.signature.inputs)
        for index in self.indices:
            elements = np.ascontiguousarray(inputs[index])
            tensor, kind = self.call.input(index), self.call.signature.input(index)
            values = tuple(elements.ravel().tolist()) if elements.dtype in _COUNTS else None
            known_kind = tensor_type(kind.shape, kind.dtype, True, values)
            kinds[index], tensors[index] = known_kind, replace(tensor, type=known_kind, constant=elements)
        before = self.call.signature
        known = signature(before.op, before.attributes, tuple(kinds), before.outputs)
        try:
            if not is_trial:
                _check_shape(known)
            call = replace(self.call, signature=known, inputs=tuple(tensors), computed=self.indices)
            return self.prepare(call)
        except ModelError as error:
            fix = "give the network inputs of which it computes others"
            raise InputError(error.what, where=self.call.where, fix=fix) from error


def _check_shape(known: Signature) -> None:
    """Raise ModelError where an output's shape, now that its operands are known, is not the one that is stored."""
    shapes, stored = OPS[known.op].infer(known.attributes, known.inputs), tuple(t.shape for t in known.outputs)
    if shapes != stored:
        fix = "give the network inputs of which it computes others"
        raise ModelError(f"it gives {shapes[0]}, and there is room for {stored[0]}", where=f"op {known.op}", fix=fix)


def prepare_late(call: Call, prepare: Callable[[Call], object], indices: tuple[int, ...]) -> Late:
    """A node that is prepared in each call. Raises ModelError at once for what no call could run."""
    late = Late(call, prepare, indices)
    try:
        zeros = [np.zeros(0) if t is None else np.zeros(t.shape, t.dtype.unpacked.value) for t in call.inputs]
        late.prepared(zeros, is_trial=True)
    except InputError as error:
        raise ModelError(error.what, where=error.where, fix=_REFUSED) from error
    return late


def late_run(run: Run) -> Run:
    """The kernel `run` of a node that was prepared by `prepare_late`."""

    def prepared_run(late: Late, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
        run(late.prepared(inputs), inputs, outputs, piece)

    return prepared_run
