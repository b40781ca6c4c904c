"""What mcusim's own C kernels take: counted in emulation, layer by layer, never yet on a board.

A kernel's instructions are a sum: so many for each multiply-accumulate, for each output, for each element that is laid
out before it is used, for each call. `amounts_of` says how many of each a signature asks for, and
`firmware/data/emulated.json` what each costs. It was fitted to the executed instructions of a pinned compiler
(`scripts/measure_firmware.py`), and to the cycles that the published instruction timings of a Cortex-M4 give for them,
with memory that answers at once.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources
from math import exp, hypot, log
from typing import NamedTuple

import msgspec

from mcusim.boards.board import Board
from mcusim.firmware.choice import choose, column_depth, segments
from mcusim.graph import Signature
from mcusim.ops import OPS
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.pricing.efforts import Cause, EffortModel, Parts, WorkRates
from mcusim.pricing.physics import physics, wait_factor
from mcusim.region import Span, Window

__all__ = [
    "EMULATED_FAMILY",
    "Amounts",
    "Emulation",
    "amounts_of",
    "emulated_model",
    "emulated_prices",
    "emulation",
    "instructions_of",
]

EMULATED_FAMILY = "mcusim"
"""The price family of the runtime whose kernels these are."""

_CAUSES = {
    **dict.fromkeys(("mac", "pair", "block"), Cause.COMPUTE),
    "output": Cause.STORE,
    **dict.fromkeys(("call", "four", "weight"), Cause.OVERHEAD),
}


class Amounts(NamedTuple):
    """Of each effort, by name: for one place of the output (all its channels), and for one call of the kernel."""

    a_place: tuple[tuple[str, float], ...]
    a_call: tuple[tuple[str, float], ...]


class InstructionPrice(msgspec.Struct, frozen=True):
    """Of one unit of an effort."""

    instructions: float
    cycles: float


class Emulation(msgspec.Struct, frozen=True):
    """What was fitted.   prices: by effort.   other: of efforts that no measured network needed, by their last word.

    layer_spread, network_spread: standard deviation of the logarithm of counted over predicted instructions, on
    networks that were left out of the fit.   compiler: of the code that was counted.
    """

    prices: dict[str, InstructionPrice]
    other: dict[str, InstructionPrice]
    layer_spread: float
    network_spread: float
    networks: int
    compiler: str


@cache
def emulation() -> Emulation:
    """The package's fit."""
    content = resources.files("mcusim.firmware").joinpath("data", "emulated.json").read_bytes()
    return msgspec.json.decode(content, type=Emulation)


def cause_of(effort: str) -> Cause:
    """What an effort's cycles are spent on: its name's last word says so."""
    return _CAUSES.get(effort.rpartition("_")[2], Cause.MEMORY)


class EmulatedPrices(NamedTuple):
    """On a board.   cycles: of one unit of each effort, in the order of `effort_names`.   spread: of the logarithm of
    a network's cycles.   evidence: what stands behind them.
    """

    cycles: tuple[float, ...]
    spread: float
    evidence: str


@cache
def effort_names() -> tuple[str, ...]:
    """Those that were counted, then those that stand for what was not."""
    measured = emulation()
    return (*measured.prices, *(f"other_{word}" for word in measured.other))


@cache
def _places() -> dict[str, int]:
    return {name: place for place, name in enumerate(effort_names())}


def _place(effort: str) -> int:
    """Of an effort; what nobody counted is priced as its like."""
    own_place = _places().get(effort)
    return _places()[f"other_{effort.rpartition('_')[2]}"] if own_place is None else own_place


def _price(effort: str) -> InstructionPrice:
    measured = emulation()
    return measured.prices[effort] if effort in measured.prices else measured.other[effort.removeprefix("other_")]


def emulated_prices(board: Board) -> EmulatedPrices:
    """A Cortex-M4's cycles, times the core's own speed and the flash's wait states (assumption A21)."""
    shift, spread = physics().core[board.core]
    factor = exp(shift) * wait_factor(board)
    evidence = f"{EMULATED_FAMILY}'s kernels were counted in emulation ({emulation().compiler}), and no board has "
    evidence += "confirmed their times yet"
    total = hypot(spread, emulation().network_spread, log(wait_factor(board)) / 2)
    return EmulatedPrices(tuple([_price(name).cycles * factor for name in effort_names()]), total, evidence)


@cache
def emulated_model() -> EffortModel:
    """How the work of mcusim's kernels is taken apart."""
    return EffortModel(tuple([cause_of(name) for name in effort_names()]), _parts, _rates)


def _parts(call: Signature, work: Work) -> Parts:
    amounts, one = amounts_of(call), _outputs_of_a_place(call)
    places = work.outputs / one if one else 0.0
    parts = [(_place(name), amount * places) for name, amount in amounts.a_place]
    parts += [(_place(name), amount * work.calls) for name, amount in amounts.a_call]
    return tuple([pair for pair in parts if pair[1]])


def _rates(cycles: tuple[float, ...], call: Signature, work: Work) -> WorkRates:
    amounts, one = amounts_of(call), _outputs_of_a_place(call)
    a_place = sum([amount * cycles[_place(name)] for name, amount in amounts.a_place])
    entry = sum([amount * cycles[_place(name)] for name, amount in amounts.a_call])
    return WorkRates(0.0, a_place / one if one else 0.0, 0.0, entry)


def instructions_of(call: Signature, work: Work) -> float:
    """Executed instructions of some work of a node, on a Cortex-M4."""
    names = effort_names()
    return sum([amount * _price(names[place]).instructions for place, amount in _parts(call, work)])


@lru_cache(SIGNATURES_KEPT)
def _outputs_of_a_place(call: Signature) -> int:
    op = OPS.get(call.op)
    return op.work(call, 1, 1, 0).outputs if op is not None and call.outputs else 0


# ---------------------------------------------------------------------------------------------------------------------
# What a signature asks for


@lru_cache(SIGNATURES_KEPT)
def amounts_of(call: Signature) -> Amounts:
    """How much of each effort a node takes, by the kernel that serves it. Nothing where there is none."""
    choice, op = choose(call), OPS.get(call.op)
    if choice is None or op is None or not choice.name or not call.outputs:
        return Amounts((), ())
    one = op.work(call, 1, 1, 0)
    if choice.name == "conv_2d":
        return _convolution(call, one)
    if choice.name.startswith("depthwise_") and choice.file.startswith("depthwise_") and choice.name[10].isdigit():
        return _depthwise(call, one)
    return _plain(choice.name, one)


def _plain(kernel: str, one: Work) -> Amounts:
    """A loop over outputs, and over what each of them reads."""
    a_place = [(f"{kernel}_output", float(one.outputs))]
    if one.macs:
        a_place.append((f"{kernel}_mac", float(one.macs)))
    elif one.inputs > one.outputs:
        a_place.append((f"{kernel}_input", float(one.inputs)))
    return Amounts(tuple(a_place), ((f"{kernel}_call", 1.0),))


def _convolution(call: Signature, one: Work) -> Amounts:
    out_c, kernel_h, kernel_w, group_c = call.input(1).shape
    in_c, batch = call.input(0).channels, call.output.shape[0]
    groups = in_c // group_c
    rows, cols = conv_windows(call)
    runs, length = segments((kernel_h, kernel_w), in_c, group_c, cols.dilation)
    words, rest = column_depth(runs, length)
    per_group = -(-(out_c // groups) // 2) * 2
    border = batch * groups * _border_share(call, rows, cols)
    columns = batch * groups
    a_place = (
        ("conv_mac", float(batch * groups * per_group * (words + rest))),
        ("conv_output", float(one.outputs)),
        ("conv_pair", columns * per_group / 2),
        ("conv_word", columns * words / 4),
        ("conv_rest", columns * float(runs if length % 4 else 0)),
        ("conv_run", columns * float(runs)),
        ("conv_column", float(columns)),
        ("conv_border_tap", border * kernel_h * kernel_w),
        ("conv_border_byte", border * kernel_h * kernel_w * group_c if group_c % 4 else 0.0),
    )
    return Amounts(
        tuple([pair for pair in a_place if pair[1]]), (("conv_call", 1.0), ("conv_group_call", float(groups)))
    )


def _border_share(call: Signature, rows: Window, cols: Window) -> float:
    """The share of outputs whose window reaches over the border."""
    inside = 1.0
    for window, outputs, size in (
        (rows, call.output.rows, call.input(0).rows),
        (cols, call.output.cols, call.input(0).cols),
    ):
        spans = [window.needs(Span(place, place + 1)) for place in range(outputs)]
        inside *= sum(span.start >= 0 and span.stop <= size for span in spans) / (outputs or 1)
    return 1.0 - inside


def _depthwise(call: Signature, one: Work) -> Amounts:
    """Four channels at a time over a ring of rows, two rows and two columns of outputs at once."""
    rows, _ = depthwise_windows(call)
    kernel, stride, channels = rows.kernel, rows.stride, call.output.channels
    name = f"depthwise_s{stride}"
    fours = -(-channels // 4) * call.output.shape[0]
    out_rows, out_cols = call.output.rows or 1, call.output.cols or 1
    pairs = ((out_cols + 1) // 2 - 1) * stride + (kernel + stride + 1) // 2  # of inputs, in a row of the ring
    even = (-(-out_rows // 2) * 2 / out_rows) * (-(-out_cols // 2) * 2 / out_cols)
    a_place = (
        (f"{name}_mac", one.outputs * even * kernel * float((kernel + 1) // 2)),
        (f"{name}_output", float(one.outputs)),
        (f"{name}_block", one.outputs * even / 4),
        (f"{name}_word", fours * 4 * stride * pairs / out_cols),
        (f"{name}_row", fours / out_cols),
    )
    a_call = (
        (f"{name}_weight", float(channels * kernel * kernel)),
        (f"{name}_four", float(fours)),
        ("depthwise_call", 1.0),
    )
    return Amounts(a_place, a_call)
