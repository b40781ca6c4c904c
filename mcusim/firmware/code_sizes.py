"""Bytes of code that the C of a network compiles to: its kernels, each as it was compiled, and some for every call.

Counted in built objects (`scripts/measure_code.py`): gcc 12.2, -O2, for a Cortex-M4, code and constants but what the
ledger stores. A kernel is one function whoever calls it. A matrix product and a loop of a depthwise kernel are built
for every way of requantising that layers ask for. Where weights are known, so are the ways; of an architecture without
them nothing is taken to need 64 bits. Other compilers and cores differ: calibrated.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache
from importlib import resources

import msgspec

from mcusim.firmware.choice import choose
from mcusim.firmware.tables import Mode
from mcusim.graph import Activation, DType, Signature
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.windows import WindowAttributes

__all__ = ["code_bytes_of", "code_sizes"]

INTERFACE_BYTES = 60
CALL_BYTES = {"conv_2d": 100, "depthwise": 90, "depthwise_any": 90, "fully_connected": 15, "sum": 20}
"""Of a step: where its operands lie, and the call."""
OTHER_CALL_BYTES = 75
LAYER_BYTES = {"conv_2d": 100, "depthwise": 80, "depthwise_any": 80, "fully_connected": 52, "sum": 14}
"""Of the constants that a call is given beside weights and tables."""
OTHER_LAYER_BYTES = 45


INLINED_BYTES = {"move": 300, "lookup": 20, "copy": 0, "convert": 40}
"""Of kernels that are no function of their own, or not only one."""
OTHER_KERNEL_BYTES = 200
_FUNCTIONS = {"sum": "sum_fast", "reduce": "reduce_pixels", "svdf_8": "svdf"}
"""Of kernels, where the function that does most of their work has another name."""
_CALLS_CAREFULLY = ("fully_connected", "depthwise_any", "transpose_conv")
"""Kernels that ask of every output whether it needs 64 bits."""
_FAST_DEPTHWISE = re.compile(r"depthwise_\d+x\d+_s\d+_by_\d+(_narrow)?")


class CodeSizes(msgspec.Struct, frozen=True):
    """Bytes as compiled.   shared: what kernels have in common.   conv_2d: by the ways of requantising that are built,
    a bit each.   depthwise: of each fast kernel, its `own` and the loop of each way.   functions: by name.
    """

    compiler: str
    shared: dict[str, int]
    conv_2d: dict[str, int]
    depthwise: dict[str, dict[str, int]]
    functions: dict[str, int]


@cache
def code_sizes() -> CodeSizes:
    """The package's table."""
    content = resources.files("mcusim.firmware").joinpath("data", "code_sizes.json").read_bytes()
    return msgspec.json.decode(content, type=CodeSizes)


def code_bytes_of(signatures: Iterable[Signature], modes: Iterable[Collection[Mode]] | None = None) -> dict[str, int]:
    """Bytes by kernel, and of the calls with their layers' constants.

    modes: the ways in which each of the signatures requantises; none where that is not known, or nothing is.
    """
    names: dict[str, None] = {}
    ways: dict[str, set[Mode]] = defaultdict(set)
    calls = 0
    signatures = [*signatures]
    for signature, known in zip(signatures, modes if modes is not None else [()] * len(signatures), strict=True):
        choice = choose(signature)
        if choice is not None and choice.name:
            is_depthwise = _FAST_DEPTHWISE.fullmatch(choice.name) is not None
            kind = "depthwise" if is_depthwise else choice.name
            calls += CALL_BYTES.get(kind, OTHER_CALL_BYTES) + LAYER_BYTES.get(kind, OTHER_LAYER_BYTES)
            is_wide = choice.name == "sum" and signature.output.dtype is DType.INT16
            names["sum_16" if is_wide else choice.name] = None
            if is_depthwise or choice.name == "conv_2d":
                # Without weights nobody knows whether a channel needs 64 bits: the usual way is assumed.
                ways[choice.name].update(known or (_usual(signature),))
    kernels = {name: _kernel_bytes(name, ways[name]) for name in names}
    if any(_FAST_DEPTHWISE.fullmatch(name) for name in names):
        kernels["ring"] = code_sizes().shared["ring"]
    # Kernels of either list call the 64-bit routine, which is linked once.
    if any(Mode.CAREFUL in of_kernel for of_kernel in ways.values()) or not names.keys().isdisjoint(_CALLS_CAREFULLY):
        kernels["careful"] = code_sizes().shared["careful"]
    return {"interface": INTERFACE_BYTES, "calls": calls, **kernels}


def _usual(signature: Signature) -> Mode:
    """How sums are requantised, as far as the signature says: outputs of an activation begin at the zero point."""
    activation = attributes_of(signature, WindowAttributes).fused_activation_function
    return Mode.RISING_8 if activation in (Activation.RELU, Activation.RELU6) else Mode.SIGNED_8


_LOOPS = {Mode.RISING_8: "rising", Mode.CAREFUL: "careful"}
"""Loops of a depthwise kernel; all other ways share one."""


def _kernel_bytes(name: str, modes: Collection[Mode]) -> int:
    built = code_sizes()
    if _FAST_DEPTHWISE.fullmatch(name):
        loops = {_LOOPS.get(mode, "signed") for mode in modes}
        return built.depthwise[name]["own"] + sum(built.depthwise[name][loop] for loop in loops)
    if name == "conv_2d":
        return built.conv_2d[str(sum(1 << place for place, mode in enumerate(Mode) if mode in modes))]
    function = _FUNCTIONS.get(name, name)
    return built.functions.get(function, INLINED_BYTES.get(name, OTHER_KERNEL_BYTES))
