"""How often each loop of mcusim's own C kernels turns for a signature: blocks, remainders, borders, bands, calls.

Counted as the kernels' texts go (`firmware/kernels/`), window by window where a border makes the difference. What a
turn costs was measured (`emulated.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mcusim.firmware.choice import BANDS, COLUMN_PIXELS, choose, column_depth, matrix_of, ring_geometry, segments
from mcusim.graph import Activation, DType, Signature
from mcusim.ops import OPS
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import Work
from mcusim.ops.shared.pooling import pool_windows
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.ops.transpose_conv import scatter_windows
from mcusim.region import Span, Window

__all__ = ["Amounts", "amounts_of"]


class Amounts(NamedTuple):
    """Of each effort, by name: for one place of the output (all its channels), and for one call of the kernel."""

    a_place: tuple[tuple[str, float], ...]
    a_call: tuple[tuple[str, float], ...]


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
    if choice.name == "depthwise_any":
        return _any_depthwise(call, one_place)
    if choice.name in ("depthwise_conv_2d_16", "conv_2d_16"):
        return _tap_by_tap(choice.name, call, one_place)
    if choice.name in ("transpose_conv", "transpose_conv_16"):
        return _scattered(choice.name, call, one_place)
    if choice.name in ("average_pool_2d", "max_pool_2d"):
        return _pool(choice.name, call, one_place)
    if choice.name == "fully_connected":
        return _dense(call, one_place)
    if choice.name == "sum":
        return _plain("sum_16" if call.output.dtype is DType.INT16 else f"sum_{_way(call)}", one_place)
    return _plain(choice.name, one_place)


def _plain(kernel: str, one: Work) -> Amounts:
    """A loop over outputs, and over what each of them reads."""
    a_place = [(f"{kernel}_output", float(one.outputs))]
    if one.macs:
        a_place.append((f"{kernel}_mac", float(one.macs)))
    elif one.inputs > one.outputs:
        a_place.append((f"{kernel}_input", float(one.inputs)))
    return Amounts(tuple(a_place), ((f"{kernel}_call", 1.0),))


def _dense(call: Signature, one: Work) -> Amounts:
    """Four units at a time over words of inputs; what is left of those is put together anew for every four units."""
    units = call.output.channels or 1
    depth, rows = call.input(1).elements // units, one.outputs / units
    fours, rest = -(-units // 4), depth % 4
    a_place = (
        ("fully_connected_place", rows),
        ("fully_connected_four", rows * fours),
        ("fully_connected_mac", rows * fours * 4 * (depth - rest)),
        ("fully_connected_rest", rows * fours * (rest > 0)),
        ("fully_connected_byte", rows * fours * rest),
        ("fully_connected_output", float(one.outputs)),
    )
    return _amounts("fully_connected", a_place)


def _tap_by_tap(kernel: str, call: Signature, one: Work) -> Amounts:
    """int16 maps: one output after the other, every tap asked whether it is inside."""
    rows, cols = conv_windows(call) if kernel == "conv_2d_16" else depthwise_windows(call)
    taps = _mean_taps(rows, call.output.rows, call.input(0).rows) * _mean_taps(
        cols, call.output.cols, call.input(0).cols
    )
    outputs, area = float(one.outputs), rows.kernel * cols.kernel
    a_place = (
        (f"{kernel}_output", outputs),
        (f"{kernel}_tap", outputs * area),
        (f"{kernel}_inside", outputs * taps),
        (f"{kernel}_mac", outputs * taps * one.macs / (outputs * area or 1)),
    )
    return _amounts(kernel, a_place)


def _any_depthwise(call: Signature, one: Work) -> Amounts:
    """Taps inside alone, four channels at a time where each has an input of its own. A column of taps is one run."""
    rows, cols = depthwise_windows(call)
    down = _mean_taps(rows, call.output.rows, call.input(0).rows)
    taps = down * _mean_taps(cols, call.output.cols, call.input(0).cols)
    runs = down if cols.kernel > 1 else 1.0
    batch, channels = call.output.shape[0], call.output.channels
    fours = channels // 4 if channels == call.input(0).channels else 0
    singles = channels - 4 * fours
    a_place = (
        ("depthwise_any_place", float(batch)),
        (f"depthwise_any_{_way(call)}_output", float(one.outputs)),
        ("depthwise_any_fours_run", batch * fours * runs),
        ("depthwise_any_fours_tap", batch * fours * taps),
        ("depthwise_any_single", float(batch * singles)),
        ("depthwise_any_run", batch * singles * runs),
        ("depthwise_any_tap", batch * singles * taps),
    )
    return _amounts("depthwise_any", a_place)


def _amounts(kernel: str, a_place: tuple[tuple[str, float], ...]) -> Amounts:
    return Amounts(tuple([pair for pair in a_place if pair[1]]), ((f"{kernel}_call", 1.0),))


def _scattered(kernel: str, call: Signature, one: Work) -> Amounts:
    """Of every output, the taps that have an input under them."""
    rows, cols = scatter_windows(call)
    source = call.input(2)
    met = _mean_sources(rows, call.output.rows, source.rows)
    inside = met * _mean_sources(cols, call.output.cols, source.cols)
    outputs = float(one.outputs)
    a_place = (
        (f"{kernel}_place", float(call.output.shape[0])),
        (f"{kernel}_output", outputs),
        (f"{kernel}_run", outputs * met),
        (f"{kernel}_inside", outputs * inside),
        (f"{kernel}_mac", outputs * inside * source.channels),
    )
    return _amounts(kernel, a_place)


def _mean_sources(window: Window, outputs: int, size: int) -> float:
    """How many taps of an output have an input under them, in the mean."""
    under = 0
    for place in range(outputs):
        for tap in range(window.kernel):
            source, rest = divmod(place + window.before - tap, window.stride)
            under += rest == 0 and 0 <= source < size
    return under / (outputs or 1)


def _mean_taps(window: Window, outputs: int, size: int) -> float:
    """How many taps of a window lie inside, in the mean."""
    inside = 0
    for place in range(outputs):
        start = place * window.stride - window.before
        first = max(-(start // window.dilation), 0)
        end = min((size - 1 - start) // window.dilation + 1, window.kernel)
        inside += max(end - first, 0)
    return inside / (outputs or 1)


def _pool(kernel: str, call: Signature, one: Work) -> Amounts:
    """Four channels at a time, but for averages of many inputs; then what is left of them."""
    rows, cols = pool_windows(call)
    taps_down = _mean_taps(rows, call.output.rows, call.input(0).rows)
    taps = taps_down * _mean_taps(cols, call.output.cols, call.input(0).cols)
    channels, batch = call.output.channels, call.output.shape[0]
    is_average = kernel == "average_pool_2d"
    fours = channels // 4 if not is_average or rows.kernel * cols.kernel <= 255 else 0
    left = channels - 4 * fours
    singles = left if is_average else min(left, 1)
    a_place = (
        (f"{kernel}_output", float(one.outputs) if is_average else 0.0),
        (f"{kernel}_place", float(batch)),
        (f"{kernel}_fours", float(batch * fours)),
        (f"{kernel}_fours_run", batch * fours * taps_down),
        (f"{kernel}_fours_input", batch * fours * taps),
        (f"{kernel}_single", float(batch * singles)),
        (f"{kernel}_run", batch * singles * taps_down),
        (f"{kernel}_input", batch * singles * taps),
        (f"{kernel}_byte", 0.0 if is_average else batch * left * taps),
    )
    return _amounts(kernel, a_place)


def _convolution(call: Signature, one: Work) -> Amounts:
    """Blocks of four pixels by two channels, whose columns are filled in one of four ways; what is left of a map, one
    to three pixels, and the last of an odd number of channels go a way of their own."""
    out_c, (kernel_h, kernel_w), group_c, rows, cols = matrix_of(call)
    in_c, batch, pixels = call.input(0).channels, call.output.shape[0], call.output.rows * call.output.cols
    groups = in_c // group_c
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
        area = kernel_h * kernel_w
        inside, over = pixels * (1.0 - border), pixels * border * area
        taps = _mean_taps(rows, call.output.rows, call.input(0).rows) * _mean_taps(
            cols, call.output.cols, call.input(0).cols
        )
        of_map += [("conv_any_border_run", pixels * border * runs)]
        of_map += [("conv_any_inside", max(pixels * taps - inside * area, 0.0))]
        of_map += [("conv_any_block", blocks), ("conv_any_column", inside), ("conv_any_run", inside * runs)]
        of_map += [("conv_any_rest", inside * runs * (length % 4)), ("conv_any_tap", over)]
        of_map += [("conv_any_byte", over * group_c if group_c % 4 else 0), *_expanded(length // 4, pixels * runs)]
    share = batch * groups / (pixels or 1)
    return Amounts(tuple([(name, amount * share) for name, amount in of_map if amount]), (("conv_call", 1.0),))


def _way(call: Signature) -> str:
    """How sums are requantised, as far as the signature says: outputs of an activation begin at the zero point."""
    activation = getattr(call.attributes, "fused_activation_function", Activation.NONE)
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
    again = min(kernel - stride, inside)  # lines that every piece fills anew; of a whole layer's they are the first
    moved = (bands - 1) * max(kernel - stride, 0)
    height = min(ring.band, 2)
    macs = loads = weight_loads = blocks = 0
    for of_rows, row_blocks in ((2, rows // 2), (1, rows % 2)) if height == 2 else ((1, rows),):
        for of_cols, col_blocks in ((2, cols // 2), (1, cols % 2)):
            count, words = row_blocks * col_blocks, (kernel + (stride if of_cols == 2 else 0) + 1) // 2
            second = kernel // 2 + 1 if stride == 1 else (kernel + 1) // 2  # words that meet the second column
            products = of_rows * kernel * ((kernel + 1) // 2 + (second if of_cols == 2 else 0))
            macs += count * products
            loads += count * words * -(-(kernel + (of_rows - 1) * stride) // 2)
            weight_loads += 0 if ring.keeps_weights else count * (words * kernel if stride == 1 else products)
            blocks += count
    pairs, edges = _ring_pairs(across, cols, call.input(0).cols)
    whole, few = channels // 4, channels % 4 > 0
    of_map = (
        ("depthwise_mac", channels * macs),
        ("depthwise_load", channels * loads),
        (f"depthwise_s{stride}_read", channels * weight_loads),
        (f"depthwise_{_way(call)}_output", channels * rows * cols),
        ("depthwise_block", channels * blocks),
        (f"depthwise_{'row' if height == 2 else 'line'}_channel", channels * -(-rows // height)),
        ("depthwise_channel", channels * bands),
        ("depthwise_fill", fours * bands),
        ("depthwise_line", fours * (inside - again)),
        ("depthwise_edge", whole * (inside - again) * edges),
        ("depthwise_word", whole * (inside - again) * pairs),
        ("depthwise_padding", fours * (lines - inside) * ring.words),
        ("depthwise_move", fours * moved * ring.words),
        ("depthwise_few", few * (inside - again) * (pairs + edges)),
        ("depthwise_few_byte", channels % 4 * (inside - again) * (2 * pairs + edges)),
    )
    kept = "weight" if ring.stored_weight_words else "held_weight"
    a_call = (
        ("depthwise_line", float(batch * fours * again)),
        ("depthwise_edge", float(batch * whole * again * edges)),
        ("depthwise_word", float(batch * whole * again * pairs)),
        ("depthwise_few", float(batch * few * again * (pairs + edges))),
        ("depthwise_few_byte", float(batch * (channels % 4) * again * (2 * pairs + edges))),
        (f"depthwise_{kept}", float(batch * channels * kernel * kernel)),
        ("depthwise_four", float(batch * fours)),
        ("depthwise_begin", float(batch * ring.rows * max(ring.words - pairs - edges, 0))),
        ("depthwise_call", float(batch)),
    )
    share = batch / (rows * cols)
    return Amounts(
        tuple([(name, amount * share) for name, amount in of_map if amount]),
        tuple([pair for pair in a_call if pair[1]]),
    )


def _ring_pairs(across: Window, cols: int, size: int) -> tuple[int, int]:
    """Pairs of columns in a row of the ring: all inside, and half."""
    reached = across.needs(Span(0, cols))
    before = max(-reached.start, 0)
    inside = max(min(reached.stop, size) - max(reached.start, 0), 0)
    head = before % 2 if inside else 0
    return (inside - head) // 2, head + (inside - head) % 2
