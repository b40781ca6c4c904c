"""What a choice says, and what all choosers ask of a signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mcusim.graph import DType, Signature

__all__ = [
    "STORED_INTEGERS",
    "Chooser",
    "KernelChoice",
    "Stored",
    "binary",
    "dtypes",
    "is_16",
    "on_equal_inputs",
    "plain_or",
    "same",
]


class Stored(NamedTuple):
    """One constant array of a step.   element_bytes: of one of its `elements`."""

    name: str
    element_bytes: int
    elements: int

    @property
    def size_bytes(self) -> int:
        return self.element_bytes * self.elements


class KernelChoice(NamedTuple):
    """What serves a signature.

    name: of the C function.   file: of `kernels/`, which names the files that it needs itself.
    scratch: (role, bytes) of its working memory.   stored: its constant arrays.
    overwrites: inputs on top of which it may compute its output.
    """

    name: str
    file: str
    scratch: tuple[tuple[str, int], ...] = ()
    stored: tuple[Stored, ...] = ()
    overwrites: tuple[int, ...] = ()

    @property
    def stored_bytes(self) -> int:
        return sum(array.size_bytes for array in self.stored)


Chooser = Callable[[Signature], KernelChoice | None]


def same(signature: Signature, *dtypes: DType) -> bool:
    kinds = {k.dtype for k in (*signature.inputs, *signature.outputs) if k is not None}
    return len(kinds) == 1 and next(iter(kinds)) in dtypes


def on_equal_inputs(signature: Signature) -> tuple[int, ...]:
    """Inputs of the output's own shape: element by element, each is read before it is replaced."""
    output = signature.output
    return tuple(
        index
        for index, kind in enumerate(signature.inputs[:2])
        if kind is not None and kind == output and not kind.is_constant
    )


def binary(name: str, *dtypes: DType) -> Chooser:
    def chooser(signature: Signature) -> KernelChoice | None:
        if not same(signature, *dtypes):
            return None
        return KernelChoice(name, f"{name}.h", (), (), on_equal_inputs(signature))

    return chooser


def plain_or(chooser: Chooser) -> Chooser:
    """int32 is taken as it is; of all else `chooser` decides."""
    plain = binary("plain", DType.INT32)
    return lambda signature: plain(signature) or chooser(signature)


STORED_INTEGERS = (DType.INT8, DType.INT16)


def dtypes(signature: Signature) -> tuple[DType, DType, DType]:
    """Of activations, weights and output; int4 weights are stored as the int8 that holds them."""
    return signature.input(0).dtype, signature.input(1).dtype.unpacked, signature.output.dtype


def is_16(signature: Signature) -> bool:
    return dtypes(signature) == (DType.INT16, DType.INT8, DType.INT16)
