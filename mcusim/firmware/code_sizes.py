"""Bytes of code that the C of a network compiles to: a share for each kernel, and some for every call.

Counted in built images: gcc 12.2, -O2, for a Cortex-M4, 28 networks (`scripts/measure_firmware.py` builds them so).
Networks with convolutions are met within 6 %, most within 2 %. Other compilers and cores differ: calibrated, A37.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcusim.firmware.choice import choose
from mcusim.graph import Signature

__all__ = ["code_bytes_of"]

INTERFACE_BYTES = 96
CALL_BYTES = 62
"""Of a step: where its operands lie, and the call."""
LAYER_BYTES = {"conv_2d": 100, "depthwise": 80}
"""Of the constants that a call is given beside weights and tables."""
OTHER_LAYER_BYTES = 40
KERNEL_BYTES = {
    "conv_2d": 13798,  # a matrix product for each way of requantising, and three ways of filling columns
    "conv_2d_16": 512,
    "fully_connected": 440,
    "depthwise_any": 658,
    "average_pool_2d": 740,
    "max_pool_2d": 382,
    "sum": 498,
    "move": 178,
    "reduce": 612,
    "svdf": 702,
}
OTHER_KERNEL_BYTES = 300
DEPTHWISE_BYTES = {
    (3, 1, 2): 2886, (3, 1, 8): 3160, (3, 2, 2): 2969, (3, 2, 8): 3388, (5, 1, 2): 3944, (5, 1, 8): 4308,
    (5, 2, 8): 4398, (7, 1, 2): 5699, (7, 1, 8): 6012, (7, 2, 2): 6210, (7, 2, 8): 6726,
}  # fmt: skip
"""By kernel, stride and rows of outputs at once."""

_FAST_DEPTHWISE = re.compile(r"depthwise_(\d+)x\d+_s(\d+)_by_(\d+)")


def code_bytes_of(signatures: Iterable[Signature]) -> dict[str, int]:
    """Bytes by kernel, and of the calls with their layers' constants."""
    kernels: dict[str, int] = {}
    calls = 0
    for signature in signatures:
        choice = choose(signature)
        if choice is not None and choice.name:
            kind = "depthwise" if choice.name.startswith("depthwise") else choice.name
            calls += CALL_BYTES + LAYER_BYTES.get(kind, OTHER_LAYER_BYTES)
            kernels[choice.name] = _kernel_bytes(choice.name)
    return {"interface": INTERFACE_BYTES, "calls": calls, **kernels}


def _kernel_bytes(name: str) -> int:
    fast = _FAST_DEPTHWISE.fullmatch(name)
    if fast is None:
        return KERNEL_BYTES.get(name, OTHER_KERNEL_BYTES)
    kernel, stride, band = map(int, fast.groups())
    counted = DEPTHWISE_BYTES.get((kernel, stride, band))
    # Loops are unrolled over a row of the kernel: between two that were counted, and beyond, it grows evenly.
    return counted if counted is not None else 880 * kernel + 500 * stride
