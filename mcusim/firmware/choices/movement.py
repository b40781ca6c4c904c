"""Kernels of the operators that only move elements."""

from __future__ import annotations

from mcusim.firmware.choices.kinds import KernelChoice, Stored
from mcusim.graph import DType, Signature

__all__ = [
    "broadcast_args",
    "copy",
    "embedding",
    "gather",
    "gather_nd",
    "latest",
    "move",
    "nothing",
    "one_hot",
    "picks",
    "select",
    "shape",
    "update_slice",
]


def move(signature: Signature) -> KernelChoice | None:
    kinds = {kind.dtype.bits for kind in signature.outputs}
    # Elements that share bytes cannot be copied one by one.
    return KernelChoice("move", "move.h") if all(bits >= 8 and bits % 8 == 0 for bits in kinds) else None


def picks(signature: Signature) -> KernelChoice | None:
    choice = move(signature)
    if choice is None:
        return None
    places = sum(signature.output.shape) + 1  # of each axis, and of those that are not there
    return choice._replace(name="pick", stored=(Stored("places", 2, places),))


def copy(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h", (), (), (0,))


def nothing(signature: Signature) -> KernelChoice | None:
    return KernelChoice("", "base.h")


def latest(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h") if signature.output.dtype is DType.INT8 else None


def shape(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h", (), (Stored("shape", 4, signature.output.elements),))


def broadcast_args(signature: Signature) -> KernelChoice | None:
    return KernelChoice("broadcast_args", "broadcast_args.h") if signature.output.dtype in _PLACES else None


_PLACES = (DType.INT32, DType.INT64)


def gather(signature: Signature) -> KernelChoice | None:
    positions = signature.input(1)
    if positions.dtype not in (DType.INT16, *_PLACES) or signature.output.dtype.is_packed:
        return None
    return KernelChoice("gather", "gather.h")


def embedding(signature: Signature) -> KernelChoice | None:
    """Rows of a table, as GATHER has them; none where they become real numbers."""
    is_copied = signature.input(1).dtype is signature.output.dtype and not signature.output.dtype.is_packed
    return KernelChoice("gather", "gather.h") if is_copied else None


def gather_nd(signature: Signature) -> KernelChoice | None:
    known = move(signature) is not None and signature.input(1).dtype in _PLACES
    return KernelChoice("gather_nd", "gather_nd.h") if known else None


def one_hot(signature: Signature) -> KernelChoice | None:
    known = move(signature) is not None and signature.input(0).dtype in _PLACES
    return KernelChoice("one_hot", "one_hot.h") if known else None


def update_slice(signature: Signature) -> KernelChoice | None:
    known = move(signature) is not None and signature.input(2).dtype in _PLACES
    return KernelChoice("update_slice", "update_slice.h") if known else None


def select(signature: Signature) -> KernelChoice | None:
    return KernelChoice("select", "select.h") if move(signature) is not None else None
