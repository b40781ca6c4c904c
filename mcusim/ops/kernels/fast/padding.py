"""PAD, PADV2: the border filled, the rest moved.

+-----------------+
|       top       |      At most four fills and one move. In a piece only the sides that it touches are there: the
+---+---------+---+      others are empty views, for which no command is made.
| l | source  | r |
+---+---------+---+
|     bottom      |
+-----------------+
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mcusim.ops.kernels import padding
from mcusim.ops.kernels.fast.command import Array, Command, Declined, Shared
from mcusim.ops.kernels.fast.moving import encode_fill, encode_moves
from mcusim.ops.registry import Piece
from mcusim.ops.shared.padding import Frame

__all__ = ["encode"]


def encode(
    prepared: Frame, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output = inputs[0], outputs[0]
    if prepared.value is None:
        raise Declined("its value comes at run time")
    value = np.array(padding.value_of(prepared, inputs), output.dtype).tobytes()
    if len(set(value)) != 1:
        raise Declined("its value is no repeated byte")
    write, read = padding.inside(prepared, source, output, piece)
    target = output[write]
    fills = [command for part in _around(output, write) if part.size for command in encode_fill(part, value[0])]
    return fills + encode_moves([(target, source[read])], source)


def _around(output: Array, inner: tuple[slice, ...]) -> Iterator[Array]:
    """The parts of an array that are not in `inner`: above, below, left and right of it; all, for other borders."""
    sizes = output.shape
    is_frame = output.ndim == 4 and all(inner[k] == slice(0, sizes[k]) for k in (0, 3))
    if not is_frame or output[inner].size == 0:
        yield output
        return
    _, rows, cols, _ = inner
    yield output[:, : rows.start]
    yield output[:, rows.stop :]
    yield output[:, rows, : cols.start]
    yield output[:, rows, cols.stop :]
