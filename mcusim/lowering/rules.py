"""What a runtime does with a graph before it runs it: the rules that lowering follows, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mcusim.graph import Signature, TensorType
from mcusim.schedule import Schedule

__all__ = ["UNPACKED_WEIGHTS", "InputPlace", "LoweringRules", "Scratch"]

UNPACKED_WEIGHTS = "weights unpacked to int8"
"""The role of scratch that holds a layer's weights of fewer bits as its kernel reads them."""


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
    overwrites: on top of which inputs its kernels can compute a signature, of those that the operator allows; None for
        all of them. Of a cut stage it is asked about one piece.
    planned_scratch: working buffers of a step that the planner places among the activations.
    held_scratch: working buffers held beside the arena throughout, each as large as the neediest step asks.
    plans_untouched: tensors that no operator touches take space too: those of subgraphs that nothing enters, and inputs
        that nothing reads.
    unpacks: elements of int4 and int2 take a byte each in the arena.
    alignment: of every buffer's offset; sizes are rounded up to it too.
    uniform_patches: every patch of a stage is as large as one in the middle, padded with zeros at the border; else
        patches are clipped there.
    copies_input_patch: a stage of patches that reads an external input copies each patch into the arena first.
    plans_variables: what outlives an inference lies in the arena; else among the runtime's own persistent bytes.
    pointer_bytes: that the address of each external input takes, kept in the arena from start to end; 0 if it is not.
    input_place: where the input lies unless the user says otherwise.   patch_input_place: the same where the
        first stage is cut, if that differs.
    """

    folds_padding: bool = False
    relabels_free: bool = False
    caller_converts: bool = False
    in_place: frozenset[str] = frozenset()
    overwrites: Callable[[Signature], tuple[int, ...]] | None = None
    planned_scratch: Callable[[Signature], Scratch] = _no_scratch
    held_scratch: Callable[[Signature], Scratch] = _no_scratch
    plans_untouched: bool = False
    unpacks: bool = False
    alignment: int = 16
    uniform_patches: bool = False
    copies_input_patch: bool = False
    plans_variables: bool = False
    pointer_bytes: int = 0
    input_place: InputPlace = InputPlace.ARENA
    patch_input_place: InputPlace | None = None

    def stored_bytes(self, kind: TensorType) -> int:
        """Bytes of a whole tensor in the arena, before alignment."""
        return kind.elements if self.unpacks and kind.dtype.is_packed else kind.size_bytes

    def aligned(self, size_bytes: int) -> int:
        """A size, rounded up to the alignment."""
        return -(-size_bytes // self.alignment) * self.alignment

    def default_input_place(self, schedule: Schedule) -> InputPlace:
        """Where the input lies under `schedule` unless the user says otherwise."""
        is_cut = bool(schedule.stages) and schedule.stages[0].is_cut
        return self.patch_input_place if is_cut and self.patch_input_place is not None else self.input_place
