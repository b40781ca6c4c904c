"""How often each loop of mcusim's own C kernels turns for a signature: blocks, remainders, borders, bands, calls.

Counted as the kernels' texts go (`firmware/kernels/`), window by window where a border makes the difference. What a
turn costs was measured (`emulated.py`).
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from mcusim.firmware.choice import (
    COLUMN_PIXELS,
    Ring,
    choose,
    column_depth,
    depthwise_kernel,
    matrix_of,
    segments,
)
from mcusim.graph import Activation, DType, Signature
from mcusim.ops import OPS
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import Work
from mcusim.ops.shared.pooling import pool_windows
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.ops.transpose_conv import scatter_windows
from mcusim.region import Span, Window

__all__ = ["Amounts", "amounts_of", "mean_sources", "mean_taps"]

_Efforts = dict[str, float]
"""How much of each effort, by name."""


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
    # `depthwise_3x3_s1` and its like: kernels of one size and stride, by the digit behind the underscore.
    if choice.name.startswith("depthwise_") and choice.file.startswith("depthwise_") and choice.name[10].isdigit():
        return _depthwise(call)
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
    taps = mean_taps(rows, call.output.rows, call.input(0).rows) * mean_taps(cols, call.output.cols, call.input(0).cols)
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
    down = mean_taps(rows, call.output.rows, call.input(0).rows)
    taps = down * mean_taps(cols, call.output.cols, call.input(0).cols)
    # A window of one column has no run: its taps are looked up one by one.
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
    met = mean_sources(rows, call.output.rows, source.rows)
    inside = met * mean_sources(cols, call.output.cols, source.cols)
    outputs = float(one.outputs)
    a_place = (
        (f"{kernel}_place", float(call.output.shape[0])),
        (f"{kernel}_output", outputs),
        (f"{kernel}_run", outputs * met),
        (f"{kernel}_inside", outputs * inside),
        (f"{kernel}_mac", outputs * inside * source.channels),
    )
    return _amounts(kernel, a_place)


def mean_sources(window: Window, outputs: int, size: int) -> float:
    """How many taps of an output have an input under them, in the mean."""
    # Input `source` lies under tap `tap` of output `source * stride + tap - before`.
    inside = _pairs_within(size, window.stride, window.kernel, 1, window.before, outputs)
    return inside / (outputs or 1)


def mean_taps(window: Window, outputs: int, size: int) -> float:
    """How many taps of a window lie inside, in the mean."""
    inside = _pairs_within(outputs, window.stride, window.kernel, window.dilation, window.before, size)
    return inside / (outputs or 1)


def _pairs_within(places: int, stride: int, taps: int, dilation: int, before: int, size: int) -> int:
    """How many pairs (place, tap) have 0 <= place * stride + tap * dilation - before < size.

    A file may say a window of 2^31 taps, so they are not walked one by one.
    """
    if min(places, taps, size) <= 0:
        return 0
    reach = places, stride, taps, dilation
    return _pairs_up_to(before + size - 1, *reach) - _pairs_up_to(before - 1, *reach)


def _pairs_up_to(most: int, places: int, stride: int, taps: int, dilation: int) -> int:
    """How many pairs (place, tap) have place * stride + tap * dilation <= most."""
    if most < 0:
        return 0
    some = min(most // dilation + 1, taps)  # taps that lie under one place at least
    under_all = most - (places - 1) * stride
    whole = min(under_all // dilation + 1, taps) if under_all >= 0 else 0
    # Tap `some - 1` lies under 1 + (most - (some - 1) * dilation) // stride places; each tap before under more.
    left = most - (some - 1) * dilation
    return whole * places + (some - whole) + _floor_sum(some - whole, stride, dilation, left)


def _floor_sum(count: int, divisor: int, step: int, first: int) -> int:
    """The sum of (first + step * i) // divisor for i in 0 .. count - 1, in as many turns as Euclid's algorithm takes.

    The quotients count the points of a grid under a line. Whole multiples of the divisor are taken off, and what is
    left is counted along the other axis, where the line has the inverse slope.
    """
    total = 0
    while count > 0:
        total += count * (count - 1) // 2 * (step // divisor) + count * (first // divisor)
        step, first = step % divisor, first % divisor
        highest = first + step * count
        count, first = divmod(highest, divisor)
        step, divisor = divisor, step
    return total


def _pool(kernel: str, call: Signature, one: Work) -> Amounts:
    """Four channels at a time, but for averages of many inputs; then what is left of them."""
    rows, cols = pool_windows(call)
    taps_down = mean_taps(rows, call.output.rows, call.input(0).rows)
    taps = taps_down * mean_taps(cols, call.output.cols, call.input(0).cols)
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
    # A 1x1 convolution without padding needs no columns: the pixels themselves are the matrix.
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
        taps = mean_taps(rows, call.output.rows, call.input(0).rows) * mean_taps(
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
    inside = _inside(cols, call.output.cols, call.input(0).cols)
    if call.output.cols % COLUMN_PIXELS == 0:
        blocks = float(max(inside.stop // COLUMN_PIXELS + -inside.start // COLUMN_PIXELS, 0))
    else:  # blocks begin in every column of some row
        blocks = max(inside.length - COLUMN_PIXELS + 1, 0) / COLUMN_PIXELS
    whole_rows = _inside(rows, call.output.rows, call.input(0).rows).length
    return blocks * COLUMN_PIXELS / (call.output.cols or 1) * whole_rows / (call.output.rows or 1)


def _inside(window: Window, outputs: int, size: int) -> Span:
    """The outputs whose whole window lies inside."""
    first = -(-window.before // window.stride)
    end = min((size - window.reach + window.before) // window.stride + 1, outputs)
    return Span(max(first, 0), max(end, first, 0))


def _border_share(call: Signature, rows: Window, cols: Window) -> float:
    """The share of outputs whose window reaches over the border."""
    inside = 1.0
    for window, outputs, size in (
        (rows, call.output.rows, call.input(0).rows),
        (cols, call.output.cols, call.input(0).cols),
    ):
        inside *= _inside(window, outputs, size).length / (outputs or 1)
    return 1.0 - inside


def _depthwise(call: Signature) -> Amounts:
    """Four channels at a time over a ring of rows. A kernel for pieces of two rows takes one alone its own way: what
    two take more than one is counted by place, the rest by call."""
    window, _ = depthwise_windows(call)
    rows, cols, batch = call.output.rows or 1, call.output.cols or 1, call.output.shape[0]
    _, ring = depthwise_kernel(window.kernel, window.stride, rows, cols)
    a_row: _Efforts = defaultdict(float)
    a_call: _Efforts = defaultdict(float)
    # Two rows together share loads. So one row costs `alone`, two cost `both`, and `both - alone` is what one more
    # adds: linear in rows, exact at both.
    if ring.is_of_piece:
        alone = _rows_of_piece(call, ring, 1)
        both = _rows_of_piece(call, ring, 2) if ring.band == 2 else {name: 2 * amount for name, amount in alone.items()}
        for name in alone.keys() | both.keys():
            a_row[name] += both.get(name, 0.0) - alone.get(name, 0.0)
            a_call[name] += 2 * alone.get(name, 0.0) - both.get(name, 0.0)
    else:
        _rows_of_map(call, ring, a_row, a_call)
    channels, kernel = call.output.channels, window.kernel
    pairs, edges = _ring_pairs(depthwise_windows(call)[1], cols, call.input(0).cols)
    a_call[f"depthwise_{'weight' if ring.stored_weight_words else 'held_weight'}"] += channels * kernel * kernel
    a_call["depthwise_four"] += -(-channels // 4)
    a_call["depthwise_begin"] += ring.rows * max(ring.words - pairs - edges, 0)
    a_call["depthwise_call"] += 1.0
    return Amounts(
        tuple([(name, amount * batch / cols) for name, amount in a_row.items() if amount]),
        tuple([(name, amount * batch) for name, amount in a_call.items() if amount]),
    )


def _blocks(call: Signature, ring: Ring, height: int, count: float) -> _Efforts:
    """What `count` times `height` rows of outputs take: four columns of a row alone, two of others, then the rest."""
    window, _ = depthwise_windows(call)
    kernel, stride, cols, channels = window.kernel, window.stride, call.output.cols or 1, call.output.channels
    is_by_row = ring.is_small or (height == 1 and ring.is_of_piece)
    widths = ring.widths(height)
    efforts: _Efforts = defaultdict(float)
    tall = -(-(kernel + (height - 1) * stride) // 2)  # loads of a word of inputs: two rows at once
    for width in widths:
        is_met = cols == width if ring.is_small else cols // width if width == widths[0] else cols // width % 2
        blocks = count * is_met
        words = (kernel + (width - 1) * stride + 1) // 2
        # Of each loaded word of two inputs: how many of the block's outputs meet it.
        meets = [len([z for z in range(width) if -1 <= 2 * i - z * stride < kernel]) for i in range(words)]
        macs = height * kernel * sum(meets)
        efforts["depthwise_mac"] += channels * blocks * macs
        if is_by_row and not ring.keeps_weights:
            per_row = ring.weight_words // kernel
            at_once = 2 if 2 * per_row <= 6 else 1
            efforts["depthwise_load"] += channels * blocks * words * -(-kernel // at_once)
            efforts["depthwise_row_read"] += channels * blocks * kernel * per_row
        else:
            efforts["depthwise_load"] += channels * blocks * words * tall
            read = 0 if ring.keeps_weights else words * kernel if stride == 1 else macs
            efforts[f"depthwise_s{stride}_read"] += channels * blocks * read
        efforts["depthwise_block"] += channels * blocks
    efforts[f"depthwise_{_way(call)}_output"] += channels * cols * height * count
    return efforts


def _rows_of_piece(call: Signature, ring: Ring, rows: int) -> _Efforts:
    """What a piece of one row, or two, takes: all of it is laid out at once, row by row."""
    window, across = depthwise_windows(call)
    channels = call.output.channels
    whole, few = channels // 4, channels % 4
    efforts = _blocks(call, ring, rows, 1.0)
    efforts["depthwise_piece_channel"] += channels
    lines = window.kernel + (rows - 1) * window.stride
    pairs, edges = _ring_pairs(across, call.output.cols or 1, call.input(0).cols)
    efforts["depthwise_piece_line"] += whole * lines
    efforts["depthwise_piece_edge"] += whole * lines * edges
    efforts["depthwise_piece_word"] += whole * lines * pairs
    efforts["depthwise_few"] += (few > 0) * lines * (pairs + edges)
    efforts["depthwise_few_byte"] += few * lines * (2 * pairs + edges)
    efforts["depthwise_padding"] += -(-channels // 4) * max(lines - call.input(0).rows, 0) * ring.words
    return efforts


def _rows_of_map(call: Signature, ring: Ring, a_row: _Efforts, a_call: _Efforts) -> None:
    """What a row of a map takes, band after band, and what every piece of one lays out anew."""
    window, across = depthwise_windows(call)
    rows, channels, fours = call.output.rows or 1, call.output.channels, -(-call.output.channels // 4)
    again = window.kernel - window.stride  # lines that a band has from the one before
    bands, lines = -(-rows // ring.band), again + rows * window.stride
    inside = max(min(call.input(0).rows, lines - window.before), 0)
    pairs, edges = _ring_pairs(across, call.output.cols or 1, call.input(0).cols)
    whole, few = channels // 4, channels % 4
    of_map: _Efforts = defaultdict(float)
    for height, count in ((1, rows),) if ring.is_small else ((2, rows // 2), (1, rows % 2)):
        for name, amount in _blocks(call, ring, height, float(count)).items():
            of_map[name] += amount
    of_map["depthwise_row_channel"] += channels * -(-rows // 2)
    of_map["depthwise_channel"] += channels * bands
    of_map["depthwise_fill"] += fours * bands
    of_map["depthwise_pair"] += whole * bands * pairs
    of_map["depthwise_padding"] += fours * (lines - inside) * ring.words
    of_map["depthwise_move"] += fours * (bands - 1) * max(again, 0) * ring.words
    # The first lines of the ring are filled once by a whole layer, and once a piece by a cut one: so per call.
    first = min(max(again, 0), inside)  # of a whole layer's lines they are the first; a piece fills them anew
    for into, filled in ((of_map, inside - first), (a_call, first)):
        into["depthwise_line"] += fours * filled
        into["depthwise_edge"] += whole * filled * edges
        into["depthwise_word"] += whole * filled * pairs
        into["depthwise_few"] += (few > 0) * filled * (pairs + edges)
        into["depthwise_few_byte"] += few * filled * (2 * pairs + edges)
    for name, amount in of_map.items():
        a_row[name] += amount / rows


def _ring_pairs(across: Window, cols: int, size: int) -> tuple[int, int]:
    """Pairs of columns in a row of the ring: all inside, and half."""
    reached = across.needs(Span(0, cols))
    before = max(-reached.start, 0)
    inside = max(min(reached.stop, size) - max(reached.start, 0), 0)
    head = before % 2 if inside else 0
    return (inside - head) // 2, head + (inside - head) % 2
