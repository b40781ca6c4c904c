"""Bytes of code that the C of a network compiles to: a share for each kernel, and some for every call.

Measured with gcc 12.2, -O2, for a Cortex-M4; other compilers and cores differ. Calibrated, A37.
"""

from __future__ import annotations

from collections.abc import Iterable

from mcusim.firmware.choice import choose
from mcusim.graph import Signature

__all__ = ["code_bytes_of"]

INTERFACE_BYTES = 200
CALL_BYTES = 150
"""Of a step: its operands, its layer's constants and the call."""
KERNEL_BYTES = {
    "conv_2d.h": 6000,
    "fully_connected.h": 900,
    "depthwise_any.h": 500,
}
OTHER_KERNEL_BYTES = 600
DEPTHWISE_BYTES = 1500


def code_bytes_of(signatures: Iterable[Signature]) -> dict[str, int]:
    """Bytes by kernel file, and of the calls."""
    files: dict[str, int] = {}
    calls = 0
    for signature in signatures:
        choice = choose(signature)
        if choice is not None and choice.name:
            calls += CALL_BYTES
            fast = choice.file.startswith("depthwise_") and choice.file != "depthwise_any.h"
            files[choice.file] = KERNEL_BYTES.get(choice.file, DEPTHWISE_BYTES if fast else OTHER_KERNEL_BYTES)
    return {"interface": INTERFACE_BYTES, "calls": calls, **files}
