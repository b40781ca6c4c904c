"""PAD: zeros (the zero point, for integers) put around a tensor, or input 2 where there is one, as PADV2 has it."""

from dataclasses import replace
from functools import lru_cache

from mcusim.graph import Signature
from mcusim.ops.registry import Drawing, Pads, register
from mcusim.ops.shared.padding import border_of, pad
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import INT8_AND_INT16, wide
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["PAD"]


@lru_cache(SIGNATURES_KEPT)
def _padding(signature: Signature) -> Pads | None:
    """The rows and columns of zero points that this adds to a feature map.

    None where it pads other axes too, or with a value of its own.
    """
    if len(signature.output.shape) != 4 or signature.has(2):
        return None
    batch, (top, bottom), (left, right), channels = border_of(signature)
    return Pads(top, bottom, left, right) if batch == channels == (0, 0) else None


PAD = register(
    replace(
        pad("PAD", "zeros put around a tensor", options="PadOptions", most_inputs=3),
        padding=_padding,
        version=wide(INT8_AND_INT16, 4),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)
