"""CONCATENATION, PACK: tensors side by side along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcusim.arithmetic.quant import round_half_away
from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece
from mcusim.ops.shared.joining import Join, Regrade

__all__ = ["moves", "run"]


def moves(
    prepared: Join, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> Iterator[tuple[Array, Array, Regrade | None]]:
    """(target, source, how its values change): what is copied."""
    output = outputs[0]
    spans = output_spans(output, piece)
    first, length = spans[prepared.axis]
    for position, (start, regrade) in enumerate(zip(prepared.starts, prepared.regrades, strict=True)):
        source, origin = inputs[position], piece.origins[position]
        if prepared.stacks:
            source, shift = np.expand_dims(source, prepared.axis), [0] * output.ndim
        else:
            shift = shift_of(source, origin)
        # This input holds places [low, high) of the axis of the output.
        low = start + shift[prepared.axis]
        high = low + source.shape[prepared.axis]
        low_shown, high_shown = max(low, first), min(high, first + length)
        if low_shown >= high_shown:
            continue
        read = [slice(a - b, a - b + size) for (a, size), b in zip(spans, shift, strict=True)]
        read[prepared.axis] = slice(low_shown - low, high_shown - low)
        write = [slice(None)] * output.ndim
        write[prepared.axis] = slice(low_shown - first, high_shown - first)
        yield output[tuple(write)], source[tuple(read)], regrade


def run(prepared: Join, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    for target, source, regrade in moves(prepared, inputs, outputs, piece):
        target[...] = _regraded(source, regrade)


def _regraded(source: Array, regrade: Regrade | None) -> Array:
    if regrade is None:
        return source
    real = source.astype(np.float32) * np.float32(regrade.factor) + np.float32(regrade.bias)
    return np.asarray(np.clip(round_half_away(real) + regrade.zero_point, 0, 255).astype(np.uint8))
