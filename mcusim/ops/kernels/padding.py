"""PAD, PADV2: a constant put around a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece
from mcusim.ops.shared.padding import Frame

__all__ = ["inside", "run", "value_of"]


def value_of(prepared: Frame, inputs: Sequence[Array]) -> Any:
    """What is put around the input."""
    return inputs[2].reshape(-1)[0] if prepared.value is None else prepared.value


def inside(prepared: Frame, source: Array, output: Array, piece: Piece) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Which part of the output shows the input, and which part of that."""
    read, write = [], []
    shift = shift_of(source, piece.origins[0])
    for (first, length), before, base, size in zip(
        output_spans(output, piece), prepared.before, shift, source.shape, strict=True
    ):
        # Output place p shows place p - before of the input, of which the array holds [base, base + size).
        low = max(first, before + base)
        high = max(min(first + length, before + base + size), low)
        read.append(slice(low - before - base, high - before - base))
        write.append(slice(low - first, high - first))
    return tuple(write), tuple(read)


def run(prepared: Frame, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    source, output = inputs[0], outputs[0]
    output[...] = value_of(prepared, inputs)
    write, read = inside(prepared, source, output, piece)
    output[write] = source[read]
