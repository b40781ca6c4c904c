"""Bytes of code that the C of a network compiles to: a share for each kernel, and some for every call.

Counted in built objects: gcc 12.2, -O2, for a Cortex-M4, code and constants but what the ledger stores. A matrix
product and a loop of a depthwise kernel are built for every way of requantising that layers ask for. Where weights are
known, so are the ways; of an architecture without them nothing is taken to need 64 bits. Other compilers and cores
differ: calibrated.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from mcusim.firmware.choice import choose
from mcusim.firmware.tables import Mode
from mcusim.graph import Activation, Signature
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.windows import WindowAttributes

__all__ = ["code_bytes_of"]

INTERFACE_BYTES = 60
CALL_BYTES = {"conv_2d": 100, "depthwise": 90, "depthwise_any": 90, "fully_connected": 15, "sum": 20}
"""Of a step: where its operands lie, and the call."""
OTHER_CALL_BYTES = 75
LAYER_BYTES = {"conv_2d": 100, "depthwise": 80, "depthwise_any": 80, "fully_connected": 52, "sum": 14}
"""Of the constants that a call is given beside weights and tables."""
OTHER_LAYER_BYTES = 45


class Built(NamedTuple):
    """Bytes of a kernel that one step calls, whose constants the compiler folds in, and of one that several call."""

    once: int
    often: int


KERNEL_BYTES = {
    # Three ways of filling columns, and matrix products of one to three pixels.
    "conv_2d": Built(6950, 10600),
    "conv_2d_16": Built(512, 512),
    "fully_connected": Built(400, 1606),
    "depthwise_any": Built(720, 1000),
    "transpose_conv": Built(528, 700),
    "transpose_conv_16": Built(528, 700),
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
PRODUCT_BYTES = 2540
"""Of a matrix product of four pixels for one way of requantising."""
CAREFUL_BYTES = 184
"""Of 64 bits, which all careful kernels share."""


def code_bytes_of(signatures: Iterable[Signature], modes: Iterable[Mode | None] | None = None) -> dict[str, int]:
    """Bytes by kernel, and of the calls with their layers' constants.

    modes: how each of the signatures requantises; None where that is not known, or nothing is.
    """
    counts: Counter[str] = Counter()
    ways: dict[str, set[Mode]] = defaultdict(set)
    calls = 0
    signatures = [*signatures]
    for signature, mode in zip(signatures, modes if modes is not None else [None] * len(signatures), strict=True):
        choice = choose(signature)
        if choice is not None and choice.name:
            is_depthwise = _FAST_DEPTHWISE.fullmatch(choice.name) is not None
            kind = "depthwise" if is_depthwise else choice.name
            calls += CALL_BYTES.get(kind, OTHER_CALL_BYTES) + LAYER_BYTES.get(kind, OTHER_LAYER_BYTES)
            counts[choice.name] += 1
            if is_depthwise or choice.name == "conv_2d":
                ways[choice.name].add(mode if mode is not None else _usual(signature))
    kernels = {name: _kernel_bytes(name, ways[name], is_often=count > 1) for name, count in counts.items()}
    if any(Mode.CAREFUL in of_kernel for of_kernel in ways.values()):
        kernels["careful"] = CAREFUL_BYTES
    return {"interface": INTERFACE_BYTES, "calls": calls, **kernels}


def _usual(signature: Signature) -> Mode:
    """How sums are requantised, as far as the signature says: outputs of an activation begin at the zero point."""
    activation = attributes_of(signature, WindowAttributes).fused_activation_function
    return Mode.RISING_8 if activation in (Activation.RELU, Activation.RELU6) else Mode.SIGNED_8


_OWN = (Mode.RISING_8, Mode.SIGNED_8)
"""Ways that have a matrix product of their own; all others share one."""
_SIGNED = {Mode.RISING: "signed", Mode.SIGNED_8: "signed", Mode.SIGNED: "signed"}
"""Ways that share a loop of a depthwise kernel."""


def _kernel_bytes(name: str, modes: Collection[Mode], *, is_often: bool) -> int:
    fast = _FAST_DEPTHWISE.fullmatch(name)
    if fast is None:
        built = KERNEL_BYTES.get(name, Built(OTHER_KERNEL_BYTES, OTHER_KERNEL_BYTES))
        products = {mode if mode in _OWN else None for mode in modes}
        return (built.often if is_often else built.once) + PRODUCT_BYTES * len(products)
    kernel, stride, band = map(int, fast.groups())
    counted = DEPTHWISE_BYTES.get((kernel, stride, band))
    # Loops are unrolled over a row of the kernel: between two that were counted, and beyond, it grows evenly.
    once = counted if counted is not None else 420 * kernel + 400 * stride + 350
    loops = {_SIGNED.get(mode, mode) for mode in modes}
    a_loop = 370 * kernel + 130 * stride - 400
    return once + a_loop * (len(loops) - 1) + DEPTHWISE_OFTEN_BYTES * is_often
