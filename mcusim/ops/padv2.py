"""PADV2: a constant, input 2, put around a tensor."""

from dataclasses import replace

from mcusim.ops.registry import register
from mcusim.ops.shared.padding import pad
from mcusim.ops.shared.versions import INT8_AND_INT16, wide

__all__ = ["PADV2"]

PADV2 = register(
    replace(
        pad("PADV2", "a given constant put around a tensor", options="PadV2Options", most_inputs=3),
        version=wide(INT8_AND_INT16, 4),
    )
)
