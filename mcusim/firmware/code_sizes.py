"""Bytes of code that the C of a network compiles to: a share for each kernel, and some for every call.

Counted in built objects: gcc 12.2, -O2, for a Cortex-M4, code and constants but what the ledger stores. Of 40 networks
of 1.6 to 54 kB, 34 are met within 3 %. Which way sums are requantised is known from the weights only: a layer that asks
for 64 bits (`Mode.CAREFUL`) brings code that is not counted here, and the three networks with such layers come out 12
to 18 % too low. The others are 5 to 12 % off: two of 2 kB, and one of 55 one-dimensional layers. Other compilers and
cores differ: calibrated.
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
CALL_BYTES = {"conv_2d": 100, "depthwise": 90, "fully_connected": 15, "sum": 20}
"""Of a step: where its operands lie, and the call."""
OTHER_CALL_BYTES = 75
LAYER_BYTES = {"conv_2d": 100, "depthwise": 80, "fully_connected": 52, "sum": 14}
"""Of the constants that a call is given beside weights and tables."""
OTHER_LAYER_BYTES = 45


class Built(NamedTuple):
    """Bytes of a kernel that one step calls, whose constants the compiler folds in, and of one that several call."""

    once: int
    often: int


KERNEL_BYTES = {
    # Three ways of filling columns, and a matrix product for both usual ways of requantising.
    "conv_2d": Built(12920, 17200),
    "conv_2d_16": Built(512, 512),
    "fully_connected": Built(400, 1606),
    "depthwise_any": Built(530, 658),
    "average_pool_2d": Built(740, 740),
    "max_pool_2d": Built(382, 382),
    "sum": Built(498, 498),
    "move": Built(60, 300),
    "reduce": Built(200, 612),
    "svdf": Built(700, 700),
    "softmax": Built(470, 470),
    "lookup": Built(20, 20),
    "copy": Built(0, 0),
    "convert": Built(40, 40),
}
OTHER_KERNEL_BYTES = 200
DEPTHWISE_BYTES = {
    (3, 1, 2): 2070, (3, 1, 8): 2036, (3, 2, 2): 2102, (3, 2, 8): 2180, (5, 1, 2): 2790, (5, 1, 8): 2816,
    (5, 2, 8): 2964, (7, 1, 2): 3630, (7, 1, 8): 3646, (7, 2, 2): 3802, (7, 2, 8): 3930,
}  # fmt: skip
"""By kernel, stride and rows of outputs at once, called once, for one way of requantising."""
DEPTHWISE_OFTEN_BYTES = 110
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
    once = counted if counted is not None else 420 * kernel + 400 * stride + 350
    return once + DEPTHWISE_OFTEN_BYTES * is_often
