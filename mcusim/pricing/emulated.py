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
from mcusim.firmware.choice import BANDS, COLUMN_PIXELS, choose, column_depth, ring_geometry, segments
from mcusim.graph import Activation, DType, Signature
from mcusim.ops import OPS
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import Work, attributes_of
from mcusim.ops.shared.pooling import pool_windows
from mcusim.ops.shared.windows import SIGNATURES_KEPT, WindowAttributes
from mcusim.pricing.cycles import Cause
from mcusim.pricing.efforts import EffortModel, Parts, WorkRates
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
    amounts, per_place = amounts_of(call), _outputs_of_a_place(call)
    places = work.outputs / per_place if per_place else 0.0
    parts = [(_place(name), amount * places) for name, amount in amounts.a_place]
    parts += [(_place(name), amount * work.calls) for name, amount in amounts.a_call]
    return tuple([pair for pair in parts if pair[1]])


def _rates(cycles: tuple[float, ...], call: Signature, work: Work) -> WorkRates:
    amounts, per_place = amounts_of(call), _outputs_of_a_place(call)
    a_place = sum([amount * cycles[_place(name)] for name, amount in amounts.a_place])
    entry = sum([amount * cycles[_place(name)] for name, amount in amounts.a_call])
    return WorkRates(0.0, a_place / per_place if per_place else 0.0, 0.0, entry)


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
    one_place = op.work(call, 1, 1, 0)
    if choice.name == "conv_2d":
        return _convolution(call, one_place)
    if choice.name.startswith("depthwise_") and choice.file.startswith("depthwise_") and choice.name[10].isdigit():
        return _depthwise(call, one_place)
    if choice.name in ("depthwise_any", "depthwise_conv_2d_16", "conv_2d_16"):
        return _tap_by_tap(choice.name, call, one_place)
    if choice.name in ("average_pool_2d", "max_pool_2d"):
        return _pool(choice.name, call, one_place)
    is_wide = choice.name == "sum" and call.output.dtype is DType.INT16
    return _plain("sum_16" if is_wide else choice.name, one_place)


def _plain(kernel: str, one: Work) -> Amounts:
    """A loop over outputs, and over what each of them reads."""
    a_place = [(f"{kernel}_output", float(one.outputs))]
    if one.macs:
        a_place.append((f"{kernel}_mac", float(one.macs)))
    elif one.inputs > one.outputs:
        a_place.append((f"{kernel}_input", float(one.inputs)))
    return Amounts(tuple(a_place), ((f"{kernel}_call", 1.0),))


def _tap_by_tap(kernel: str, call: Signature, one: Work) -> Amounts:
    """One output after the other. `depthwise_any` asks about the border only where a window reaches over it."""
    rows, cols = conv_windows(call) if kernel == "conv_2d_16" else depthwise_windows(call)
    inside = 1.0 - _border_share(call, rows, cols)
    taps = _mean_taps(rows, call.output.rows, call.input(0).rows) * _mean_taps(
        cols, call.output.cols, call.input(0).cols
    )
    outputs, area = float(one.outputs), rows.kernel * cols.kernel
    a_place: tuple[tuple[str, float], ...] = ((f"{kernel}_output", outputs),)
    if kernel == "depthwise_any":
        runs, over = rows.kernel if cols.kernel > 1 else 1, outputs * (1.0 - inside)
        a_place += ((f"{kernel}_mac", outputs * inside * area), (f"{kernel}_run", outputs * inside * runs))
        a_place += ((f"{kernel}_border_run", over * rows.kernel), (f"{kernel}_border_tap", over * area))
        a_place += ((f"{kernel}_border_inside", outputs * max(taps - inside * area, 0.0)),)
    else:
        a_place += ((f"{kernel}_tap", outputs * area), (f"{kernel}_inside", outputs * taps))
        a_place += ((f"{kernel}_mac", outputs * taps * one.macs / (outputs * area or 1)),)
    return Amounts(tuple([pair for pair in a_place if pair[1]]), ((f"{kernel}_call", 1.0),))


def _mean_taps(window: Window, outputs: int, size: int) -> float:
    """How many taps of a window lie inside, in the mean."""
    spans = [window.needs(Span(place, place + 1)) for place in range(outputs)]
    insides = [max(min(span.stop, size) - max(span.start, 0), 0) / window.dilation for span in spans]
    return min(sum(insides) / (outputs or 1), window.kernel)


def _pool(kernel: str, call: Signature, one: Work) -> Amounts:
    """Channel by channel; averages of few inputs four channels at a time."""
    rows, cols = pool_windows(call)
    taps_down = _mean_taps(rows, call.output.rows, call.input(0).rows)
    taps = taps_down * _mean_taps(cols, call.output.cols, call.input(0).cols)
    channels, batch = call.output.channels, call.output.shape[0]
    fours = channels // 4 if kernel == "average_pool_2d" and rows.kernel * cols.kernel <= 255 else 0
    singles = channels - 4 * fours
    amounts = (
        (f"{kernel}_output", float(one.outputs)),
        (f"{kernel}_place", batch),
        (f"{kernel}_fours_run", batch * fours * taps_down),
        (f"{kernel}_fours_input", batch * fours * taps),
        (f"{kernel}_run", batch * singles * taps_down),
        (f"{kernel}_input", batch * singles * taps),
    )
    return Amounts(tuple([pair for pair in amounts if pair[1]]), ((f"{kernel}_call", 1.0),))


def _convolution(call: Signature, one: Work) -> Amounts:
    """Blocks of four pixels by two channels, whose columns are filled in one of four ways; what is left of a map, one
    to three pixels, and the last of an odd number of channels go a way of their own."""
    out_c, kernel_h, kernel_w, group_c = call.input(1).shape
    in_c, batch, pixels = call.input(0).channels, call.output.shape[0], call.output.rows * call.output.cols
    groups = in_c // group_c
    rows, cols = conv_windows(call)
    runs, length = segments((kernel_h, kernel_w), in_c, group_c, cols.dilation)
    whole, rest = column_depth(runs, length)
    words, group_out = (whole + rest) // 4, out_c // groups
    fours, left = divmod(pixels, COLUMN_PIXELS)
    border = _border_share(call, rows, cols)
    behind = words - (1 if words % 2 else 2)  # the first words stand before the loops
    turns = behind // 8 + behind % 8 // 2 if words % 8 else words // 8 - 1
    pairs, singles = group_out // 2, COLUMN_PIXELS * (group_out % 2)
    few = (-(-group_out // 2) if left else 0) + fours * singles  # pairs of channels of fewer than four pixels
    few_pixels = -(-group_out // 2) * left + fours * singles
    of_map: list[tuple[str, float]] = [
        ("conv_mac", 2 * COLUMN_PIXELS * 4 * words * fours * pairs),
        (f"conv_{_way(call)}_pair", fours * pairs),
        ("conv_turn", fours * pairs * turns),
        ("conv_few_step", 2 * words * few),
        ("conv_few_mac", 4 * words * few_pixels),
        ("conv_few_pair", few),
        ("conv_few_output", 2 * few_pixels),
    ]
    blocks = fours + (left > 0)
    is_padded = rows.before + cols.before > 0 or border > 0
    if kernel_h == kernel_w == groups == 1 and not is_padded and not rest:
        of_map += [("conv_pixels_block", blocks), ("conv_pixels_word", blocks * words)]
    elif in_c % 4 == 0 and groups * rows.dilation * cols.dilation == 1:
        of_map += [("conv_words_block", blocks), ("conv_words_column", pixels), ("conv_words_row", pixels * kernel_h)]
        of_map += [("conv_words_border", pixels * border), *_expanded(length // 4, pixels * kernel_h)]
    elif in_c == kernel_h == kernel_w == 3 and groups * rows.dilation * cols.dilation == 1:
        beside = pixels * _side_by_side(call, rows, cols)
        of_map += [("conv_27_block", blocks), ("conv_27_beside", beside), ("conv_27_border", pixels * border)]
        of_map += [("conv_27_column", pixels * (1.0 - border) - beside)]
    else:
        inside, over = pixels * (1.0 - border), pixels * border * kernel_h * kernel_w
        of_map += [("conv_any_block", blocks), ("conv_any_column", inside), ("conv_any_run", inside * runs)]
        of_map += [("conv_any_rest", inside * runs * (length % 4)), ("conv_any_tap", over)]
        of_map += [("conv_any_byte", over * group_c if group_c % 4 else 0), *_expanded(length // 4, pixels * runs)]
    share = batch * groups / (pixels or 1)
    return Amounts(tuple([(name, amount * share) for name, amount in of_map if amount]), (("conv_call", 1.0),))


def _way(call: Signature) -> str:
    """How sums are requantised, as far as the signature says: outputs of an activation begin at the zero point."""
    activation = attributes_of(call, WindowAttributes).fused_activation_function
    return "rising" if activation in (Activation.RELU, Activation.RELU6) else "signed"


def _expanded(words: int, times: float) -> list[tuple[str, float]]:
    """What is laid out as int16: twelve words at a time, four, and one by one."""
    twelves, left = divmod(words, 12)
    counts = ("conv_twelve", twelves), ("conv_fourfold", left // 4), ("conv_word", left % 4)
    return [(name, count * times) for name, count in counts]


def _side_by_side(call: Signature, rows: Window, cols: Window) -> float:
    """The share of outputs whose windows lie inside with those of three neighbours, four to a block."""
    inside = [_is_inside(cols, col, call.input(0).cols) for col in range(call.output.cols)]
    if len(inside) % COLUMN_PIXELS == 0:
        blocks = float(sum(all(inside[at : at + COLUMN_PIXELS]) for at in range(0, len(inside), COLUMN_PIXELS)))
    else:  # blocks begin in every column of some row
        blocks = max(sum(inside) - COLUMN_PIXELS + 1, 0) / COLUMN_PIXELS
    whole_rows = sum(_is_inside(rows, row, call.input(0).rows) for row in range(call.output.rows))
    return blocks * COLUMN_PIXELS / (len(inside) or 1) * whole_rows / (call.output.rows or 1)


def _is_inside(window: Window, place: int, size: int) -> bool:
    span = window.needs(Span(place, place + 1))
    return span.start >= 0 and span.stop <= size


def _border_share(call: Signature, rows: Window, cols: Window) -> float:
    """The share of outputs whose window reaches over the border."""
    inside = 1.0
    for window, outputs, size in (
        (rows, call.output.rows, call.input(0).rows),
        (cols, call.output.cols, call.input(0).cols),
    ):
        inside *= sum(_is_inside(window, place, size) for place in range(outputs)) / (outputs or 1)
    return 1.0 - inside


def _depthwise(call: Signature, one: Work) -> Amounts:
    """Four channels at a time over a ring of rows, two rows and two columns of outputs at once."""
    window, across = depthwise_windows(call)
    kernel, stride, channels, batch = window.kernel, window.stride, call.output.channels, call.output.shape[0]
    fours, rows, cols = -(-channels // 4), call.output.rows or 1, call.output.cols or 1
    ring = ring_geometry(kernel, stride, cols, next((band for band in BANDS if rows <= band), BANDS[-1]))
    bands, lines = -(-rows // ring.band), kernel - stride + rows * stride
    inside = max(min(call.input(0).rows, lines - window.before), 0)
    moved = (bands - 1) * max(kernel - stride, 0)
    macs = loads = weight_loads = blocks = 0
    for of_rows, row_blocks in ((2, rows // 2), (1, rows % 2)):
        for of_cols, col_blocks in ((2, cols // 2), (1, cols % 2)):
            count, words = row_blocks * col_blocks, (kernel + (stride if of_cols == 2 else 0) + 1) // 2
            second = kernel // 2 + 1 if stride == 1 else (kernel + 1) // 2  # words that meet the second column
            products = of_rows * kernel * ((kernel + 1) // 2 + (second if of_cols == 2 else 0))
            macs += count * products
            loads += count * words * -(-(kernel + (of_rows - 1) * stride) // 2)
            weight_loads += 0 if ring.keeps_weights else count * (words * kernel if stride == 1 else products)
            blocks += count
    of_map = (
        ("depthwise_mac", channels * macs),
        ("depthwise_load", channels * loads),
        (f"depthwise_s{stride}_read", channels * weight_loads),
        (f"depthwise_{_way(call)}_output", channels * rows * cols),
        ("depthwise_block", channels * blocks),
        ("depthwise_row", channels * -(-rows // 2)),
        ("depthwise_channel", channels * bands),
        ("depthwise_fill", fours * bands),
        ("depthwise_line", fours * inside),
        ("depthwise_word", fours * inside * ring.words),
        ("depthwise_padding", fours * (lines - inside) * ring.words),
        ("depthwise_move", fours * moved * ring.words),
        ("depthwise_few", inside * ring.words if channels % 4 or across.before > 1 else 0),
    )
    a_call = (
        ("depthwise_weight", float(batch * channels * kernel * kernel)),
        ("depthwise_four", float(batch * fours)),
        ("depthwise_call", 1.0),
    )
    share = batch / (rows * cols)
    return Amounts(tuple([(name, amount * share) for name, amount in of_map if amount]), a_call)
