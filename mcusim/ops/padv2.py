"""PADV2: a constant, input 2, put around a tensor."""

from mcusim.ops.registry import register
from mcusim.ops.shared.padding import pad

__all__ = ["PADV2"]

PADV2 = register(pad("PADV2", "a given constant put around a tensor", options="PadV2Options", most_inputs=3))
