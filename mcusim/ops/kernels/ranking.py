"""ARG_MAX, ARG_MIN: index of the extreme element along an axis, the first of equals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.shared.ranking import Extreme

__all__ = ["run"]


def run(prepared: Extreme, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    place = np.argmax if prepared.is_largest else np.argmin
    outputs[0][...] = place(inputs[0], prepared.axis)
