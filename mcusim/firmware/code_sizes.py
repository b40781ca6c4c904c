"""Bytes of code that the C of a network compiles to: a share for each kernel, and some for every call.

Counted in built objects: gcc 12.2, -O2, for a Cortex-M4. Kernels were counted in mcunet-in0, mcunet-in2 and the MLPerf
VWW network. 17 networks that were not, of 1.6 to 51 kB, are met within 3.1 %. Which way sums are requantised is known
from the weights only: a layer that asks for 64 bits (`Mode.CAREFUL`) brings code that is not counted here. Three
networks with such layers take 55, 53 and 40 kB, and come out 15, 8 and 13 % too low. Other compilers and cores
differ: calibrated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from mcusim.firmware.choice import choose
from mcusim.graph import Signature

__all__ = ["code_bytes_of"]

INTERFACE_BYTES = 60
CALL_BYTES = {"conv_2d": 100, "depthwise": 100, "fully_connected": 15, "sum": 20}
"""Of a step: where its operands lie, and the call."""
OTHER_CALL_BYTES = 62
LAYER_BYTES = {"conv_2d": 100, "depthwise": 80, "fully_connected": 48, "sum": 24}
"""Of the constants that a call is given beside weights and tables."""
OTHER_LAYER_BYTES = 40


class Built(NamedTuple):
    """Bytes of a kernel that one step calls, whose constants the compiler folds in, and of one that several call."""

    once: int
    often: int


KERNEL_BYTES = {
    # Three ways of filling columns, and a matrix product for both usual ways of requantising.
    "conv_2d": Built(11716, 15950),
    "conv_2d_16": Built(512, 512),
    "fully_connected": Built(450, 1606),
    "depthwise_any": Built(504, 658),
    "average_pool_2d": Built(740, 740),
    "max_pool_2d": Built(382, 382),
    "sum": Built(498, 498),
    "move": Built(178, 178),
    "reduce": Built(280, 612),
    "svdf": Built(702, 702),
}
OTHER_KERNEL_BYTES = 300
DEPTHWISE_BYTES = {
    (3, 1, 2): 2238, (3, 1, 8): 2253, (3, 2, 2): 2374, (3, 2, 8): 2504, (5, 1, 2): 2844, (5, 1, 8): 2974,
    (5, 2, 8): 3165, (7, 1, 2): 3780, (7, 1, 8): 3710, (7, 2, 2): 4100, (7, 2, 8): 4182,
}  # fmt: skip
"""By kernel, stride and rows of outputs at once, called once, for one way of requantising."""
DEPTHWISE_OFTEN_BYTES = 325
"""More where several steps call it."""

_FAST_DEPTHWISE = re.compile(r"depthwise_(\d+)x\d+_s(\d+)_by_(\d+)")


def code_bytes_of(signatures: Iterable[Signature]) -> dict[str, int]:
    """Bytes by kernel, and of the calls with their layers' constants."""
    counts: Counter[str] = Counter()
    calls = 0
    for signature in signatures:
        choice = choose(signature)
        if choice is not None and choice.name:
            kind = "depthwise" if _FAST_DEPTHWISE.fullmatch(choice.name) else choice.name
            calls += CALL_BYTES.get(kind, OTHER_CALL_BYTES) + LAYER_BYTES.get(kind, OTHER_LAYER_BYTES)
            counts[choice.name] += 1
    kernels = {name: _kernel_bytes(name, is_often=count > 1) for name, count in counts.items()}
    return {"interface": INTERFACE_BYTES, "calls": calls, **kernels}


def _kernel_bytes(name: str, *, is_often: bool) -> int:
    fast = _FAST_DEPTHWISE.fullmatch(name)
    if fast is None:
        built = KERNEL_BYTES.get(name, Built(OTHER_KERNEL_BYTES, OTHER_KERNEL_BYTES))
        return built.often if is_often else built.once
    kernel, stride, band = map(int, fast.groups())
    counted = DEPTHWISE_BYTES.get((kernel, stride, band))
    # Loops are unrolled over a row of the kernel: between two that were counted, and beyond, it grows evenly.
    once = counted if counted is not None else 460 * kernel + 600 * stride
    return once + DEPTHWISE_OFTEN_BYTES * is_often
