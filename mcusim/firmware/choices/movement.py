"""Kernels of the operators that only move elements."""

from __future__ import annotations

from mcusim.firmware.choices.kinds import KernelChoice, Stored
from mcusim.graph import Signature

__all__ = ["copy", "move", "nothing", "picks", "shape"]


def move(signature: Signature) -> KernelChoice | None:
    kinds = {kind.dtype.bits for kind in signature.outputs}
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


def shape(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h", (), (Stored("shape", 4, signature.output.elements),))
