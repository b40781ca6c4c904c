"""The files of `kernels/` that a network needs, as they are written out.

Most stand there as they are. The fast depthwise kernels are made from one template, a file for each window, stride and
band: loads and products of a block are unrolled for them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise, zip_longest
from typing import NamedTuple

import jinja2

from mcusim.firmware.choice import Ring, ring_geometry

__all__ = ["environment", "kernel_files"]


@cache
def environment() -> jinja2.Environment:
    """How templates are filled in: C is no HTML, and what a template names must be there."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mcusim.firmware", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _kernel_text(file: str, modes: frozenset[str]) -> str:
    folder = files("mcusim.firmware") / "kernels"
    match = re.fullmatch(r"depthwise_(\d+)x\d+_s(\d)_by_(\d)(_narrow)?\.h", file)
    if match is None:
        return (folder / file).read_text(encoding="utf-8")
    kernel, stride, band = int(match[1]), int(match[2]), int(match[3])
    template = environment().from_string((folder / "depthwise.h.j2").read_text(encoding="utf-8"))
    variants = {"RISING_8": "rising", "CAREFUL": "careful"}
    chosen = {variants.get(mode, "signed") for mode in modes}
    # The width in the ring's geometry is only told apart below four columns: narrow pieces have kernels of their own.
    ring = ring_geometry(kernel, stride, 2 if match[4] else 4, band)
    return template.render(
        guard=file.removesuffix(".h").upper(),
        name=file.removesuffix(".h"),
        k=kernel,
        s=stride,
        band=band,
        ring_rows=ring.rows,
        pair_words=ring_geometry(kernel, stride, 2, band).words,
        is_of_piece=ring.is_of_piece,
        row_words=ring.weight_words // kernel,
        pairs=_weight_pairs(kernel, stride),
        locals_of=_locals,
        hoists=ring.keeps_weights,
        at_once=not ring.stored_weight_words,
        packed=_packed,
        is_small=ring.is_small,
        heights=(2, 1) if band > 1 and not ring.is_small else (1,),
        widths=ring.widths,
        fill_groups=[*_groups(kernel), *([range(kernel, ring.rows)] if band == 2 else [])],
        variants=[variant for variant in ("rising", "signed", "careful") if variant in chosen],
        sums=lambda rows, cols: [f"a{y}{z}" for z in range(cols) for y in range(rows)],
        loads=lambda rows, cols: _block(kernel, stride, ring, rows, cols),
    )


def _groups(rows: int) -> list[range]:
    """Rows that are filled together: three, and two where that leaves none alone."""
    first = [0]
    while rows > first[-1]:
        left = rows - first[-1]
        first.append(first[-1] + (2 if left in (2, 4) else 3))
    return [range(start, end) for start, end in pairwise(first)]


def _packed(variant: str, low: int, high: int | None) -> str:
    """Two weights in a register, doubled but for sums that may be large."""
    if variant == "careful":
        return f"mcu_pack_bottoms((uint32_t)w[{low}], {'0' if high is None else f'(uint32_t)w[{high}]'})"
    return f"mcu_pack_twice_above(2u * (uint32_t)w[{low}], {'0' if high is None else f'(uint32_t)w[{high}]'})"


def _weight_pairs(kernel: int, stride: int) -> list[tuple[int, int]]:
    """Weights of a row that lie side by side, in an order that has those which meet one word of inputs together."""
    even = [(i, i + 1) for i in range(0, kernel - 1, 2)]
    if stride == 2:
        # Stride 2 meets the taps in pairs (0,1), (2,3), ...; with stride 1 odd outputs meet (1,2), (3,4), ... as well.
        return even + ([(kernel - 1, kernel)] if kernel % 2 else [])
    odd = [(i, i + 1) for i in range(1, kernel - 1, 2)]  # as they meet odd outputs
    return [even[0], *(pair for both in zip_longest(even[1:], odd) for pair in both if pair is not None)]


def _block(kernel: int, stride: int, ring: Ring, rows: int, cols: int) -> list[str]:
    """The loads and products of a block of outputs.

    Two ring rows of a word are loaded at once; each meets the kernel row that lies on it for either row of outputs.
    Few weights stay in registers. Of many, a word of inputs is taken through all rows before the next: a kernel row
    that met one row of outputs is still there for the other.
    """
    words = (kernel + (cols - 1) * stride + 1) // 2
    needed_rows = kernel + (rows - 1) * stride
    pairs = range(0, needed_rows, 2)
    if rows == 1 and (ring.is_of_piece or ring.is_small) and not ring.keeps_weights:
        return _row_block(kernel, stride, ring, cols)
    if ring.keeps_weights:
        places = [(j, i) for j in pairs for i in range(words)]
    else:
        places = [(j, i) for i in range(words) for j in pairs]
    lines: list[str] = []
    for j, i in places:
        index = i * 4 * ring.rows + j
        is_pair = j + 1 < needed_rows
        lines.append(f"MCU_PAIR(x0, x1, x, {index});" if is_pair else f"x0 = x[{index}];")
        for row in range(j, j + 1 + is_pair):
            lines += _row(kernel, stride, ring, i, row, row - j, rows, cols)
    return lines


def _row_block(kernel: int, stride: int, ring: Ring, cols: int) -> list[str]:
    """The loads and products of a block of one row of outputs: kernel row by kernel row, whose weights are loaded once
    for all columns; two of them at once where registers hold the weights of both."""
    per_row = ring.weight_words // kernel
    order = _weight_pairs(kernel, stride)
    # Weights of two kernel rows at once where six registers hold them: the rest are sums, inputs and addresses.
    height = 2 if 2 * per_row <= 6 else 1
    words = (kernel + (cols - 1) * stride + 1) // 2
    products = [_product(kernel, stride, i, z) for i in range(words) for z in range(cols)]
    met = {order.index(product.pair) for product in products if product is not None}
    lines: list[str] = []
    for first in range(0, kernel, height):
        held = min(height, kernel - first)
        lines += _weight_loads([k for k in range(held * per_row) if k % per_row in met], first * per_row)
        for i in range(words):
            index = i * 4 * ring.rows + first
            lines.append(f"MCU_PAIR(x0, x1, x, {index});" if held == 2 else f"x0 = x[{index}];")
            asked = [_product(kernel, stride, i, z) for z in range(cols)]
            for half in range(held):
                for z, product in enumerate(asked):
                    if product is not None:
                        weight = f"k{half * per_row + order.index(product.pair)}"
                        lines.append(f"a0{z} = mcu_{product.function}(x{half}, {weight}, a0{z});")
    return lines


def _weight_loads(needed: Sequence[int], first: int) -> list[str]:
    """Loads of weights `needed` of those from word `first` on, each into a register of its number: pairs where they are
    neighbours."""
    lines, left = [], [*needed]
    while left:
        k = left.pop(0)
        is_pair = left[:1] == [k + 1]
        lines.append(f"MCU_PAIR(k{k}, k{left.pop(0)}, w, {first + k});" if is_pair else f"k{k} = w[{first + k}];")
    return lines


def _locals(lines: Sequence[str]) -> str:
    """The registers that a block's lines name, as they are declared."""
    names = sorted({name for line in lines for name in re.findall(r"\b(?:x[01]|k\d+)\b", line)})
    return ", ".join(names)


def _row(kernel: int, stride: int, ring: Ring, word: int, row: int, half: int, rows: int, cols: int) -> list[str]:
    """The products of one row of a word with the kernel rows that lie on it."""
    per_row = ring.weight_words // kernel
    order = _weight_pairs(kernel, stride)
    asked = [_product(kernel, stride, word, z) for z in range(cols)]
    used = sorted({order.index(product.pair) for product in asked if product is not None})
    is_carried = not ring.keeps_weights and stride == 1

    def weight(ky: int, pair: tuple[int, int]) -> str:
        place = order.index(pair)
        if is_carried:
            return f"k{used.index(place)}{ky % 2}"
        index = ky * per_row + place
        return f"w{index}" if ring.keeps_weights else f"w[{index}]"

    lines = []
    # With stride 1 a kernel row meets two rows of outputs in turn: its weights stay in registers for the second.
    if is_carried and row < kernel:
        first = row * per_row + used[0]
        names = [f"k{slot}{row % 2}" for slot in range(len(used))]
        if len(used) == 2 and used[1] == used[0] + 1:
            lines.append(f"MCU_PAIR({names[0]}, {names[1]}, w, {first});")
        else:
            lines += [f"{name} = w[{row * per_row + place}];" for name, place in zip(names, used, strict=True)]
    for y in range(rows):
        ky = row - y * stride
        if 0 <= ky < kernel:
            for z, product in enumerate(asked):
                if product is not None:
                    w = weight(ky, product.pair)
                    lines.append(f"a{y}{z} = mcu_{product.function}(x{half}, {w}, a{y}{z});")
    return lines


class _Product(NamedTuple):
    """How a word of inputs meets weights.   pair: which weights of a row.   function: the instruction."""

    function: str
    pair: tuple[int, int]


def _product(kernel: int, stride: int, word: int, column: int) -> _Product | None:
    """How word `word` of the inputs, columns (2 word, 2 word + 1), meets the kernel of output column 0 or 1."""
    first = 2 * word - column * stride  # tap that the lower half meets
    low, high = 0 <= first < kernel, 0 <= first + 1 < kernel
    if low and high:
        return _Product("smlad", (first, first + 1))
    if low:  # the last tap alone
        return _Product("smlabb", (first, first + 1)) if stride == 2 else _Product("smlabt", (first - 1, first))
    return _Product("smlatb", (0, 1)) if high else None  # the first tap alone


def kernel_files(modes: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The kernel files that these need, by name, each after those that it includes.

    modes: by file, the ways of requantising that its steps ask for (`tables.Mode`).
    """
    text_of: dict[str, str] = {}

    def visit(file: str) -> None:
        if file in text_of:
            return
        text = _kernel_text(file, frozenset(modes.get(file, ())))
        # Depth first, so that what is included stands before what includes it.
        for included in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE):
            visit(included)
        text_of[file] = text

    for file in modes:
        visit(file)
    return text_of
