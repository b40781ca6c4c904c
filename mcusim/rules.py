"""What a runtime does with a graph before it runs it: the rules that lowering follows, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mcusim.graph import Signature

__all__ = ["InputPlace", "LoweringRules", "Scratch"]


class InputPlace(StrEnum):
    """Where the network's input lies while it is read."""

    ARENA = "arena"
    EXTERNAL = "external"


Scratch = tuple[tuple[str, int], ...]
"""Named working buffers of one step: (name, size in bytes)."""


def _no_scratch(signature: Signature) -> Scratch:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoweringRules:
    """What a runtime does with a graph before it runs it.

    folds_padding: a PAD becomes the padding of the window operators that read it.
    relabels_free: a RESHAPE costs nothing and shares its input's storage.
    caller_converts: QUANTIZE, DEQUANTIZE and TRANSPOSE at the network's border are the caller's work, outside.
    in_place: operators computed on top of their input when nobody else needs it.
    planned_scratch: working buffers of a step that the planner places among the activations.
    held_scratch: working buffers held beside the arena throughout, each as large as the neediest step asks.
    alignment: of every buffer's offset; sizes are rounded up to it too.
    input_place: where the input lies unless the user says otherwise.
    """

    folds_padding: bool = False
    relabels_free: bool = False
    caller_converts: bool = False
    in_place: frozenset[str] = frozenset()
    planned_scratch: Callable[[Signature], Scratch] = _no_scratch
    held_scratch: Callable[[Signature], Scratch] = _no_scratch
    alignment: int = 16
    input_place: InputPlace = InputPlace.ARENA
