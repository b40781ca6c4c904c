"""The files of `kernels/` that a network needs, as they are written out.

Most stand there as they are. The fast depthwise kernels are made from one template, a file for each window, stride and
band: loads and products of a block are unrolled for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files

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
    match = re.fullmatch(r"depthwise_(\d+)x\d+_s(\d)_by_(\d)\.h", file)
    if match is None:
        return (folder / file).read_text(encoding="utf-8")
    kernel, stride, band = int(match[1]), int(match[2]), int(match[3])
    template = environment().from_string((folder / "depthwise.h.j2").read_text(encoding="utf-8"))
    variants = {"RISING_8": "rising", "CAREFUL": "careful"}
    chosen = {variants.get(mode, "signed") for mode in modes}
    ring = ring_geometry(kernel, stride, 2, band)
    return template.render(
        guard=file.removesuffix(".h").upper(),
        name=file.removesuffix(".h"),
        k=kernel,
        s=stride,
        band=band,
        ring_rows=ring.rows,
        pair_words=ring.words,
        row_words=ring.weight_words // kernel,
        pairs=_weight_pairs(kernel, stride),
        hoists=ring.weight_words <= 6,
        variants=[variant for variant in ("rising", "signed", "careful") if variant in chosen],
        loads=lambda rows, cols: _block(kernel, stride, ring, rows, cols),
    )


def _weight_pairs(kernel: int, stride: int) -> list[tuple[int, int]]:
    """Weights of a row that lie side by side: as they meet even outputs, then (stride 1) odd ones."""
    even = [(i, i + 1) for i in range(0, kernel - 1, 2)]
    if stride == 2:
        return even + ([(kernel - 1, kernel)] if kernel % 2 else [])
    return even + [(i, i + 1) for i in range(1, kernel - 1, 2)]


def _block(kernel: int, stride: int, ring: Ring, rows: int, cols: int) -> list[str]:
    """The loads and products of a block of outputs.

    Two ring rows of a word are loaded at once; each meets the kernel row that lies on it for either row of outputs.
    """
    hoists = ring.weight_words <= 6
    per_row = ring.weight_words // kernel
    needed_rows = kernel + (rows - 1) * stride
    words = (kernel + (stride if cols == 2 else 0) + 1) // 2

    def weight(ky: int, pair: tuple[int, int]) -> str:
        index = ky * per_row + _weight_pairs(kernel, stride).index(pair)
        return f"w{index}" if hoists else f"w[{index}]"

    lines = []
    for j in range(0, needed_rows, 2):
        for i in range(words):
            index = i * 4 * ring.rows + j
            if j + 1 < needed_rows:
                lines.append(f"MCU_PAIR(x0, x1, x, {index});")
            else:
                lines.append(f"x0 = x[{index}];")
            for offset in range(2 if j + 1 < needed_rows else 1):
                for y in range(rows):
                    ky = j + offset - y * stride
                    if 0 <= ky < kernel:
                        for z in range(cols):
                            product = _product(kernel, stride, i, z, partial(weight, ky))
                            if product is not None:
                                function, w = product
                                lines.append(f"a{y}{z} = mcu_{function}(x{offset}, {w}, a{y}{z});")
    return lines


def _product(
    kernel: int, stride: int, word: int, column: int, weight: Callable[[tuple[int, int]], str]
) -> tuple[str, str] | None:
    """How word `word` of the inputs, columns (2 word, 2 word + 1), meets the kernel of output column 0 or 1."""
    first = 2 * word - column * stride  # tap that the lower half meets
    low, high = 0 <= first < kernel, 0 <= first + 1 < kernel
    if low and high:
        return "smlad", weight((first, first + 1))
    if low:  # the last tap alone
        if stride == 2:
            return "smlabb", weight((first, first + 1))
        return "smlabt", weight((first - 1, first))
    if high:  # the first tap alone
        return "smlatb", weight((0, 1))
    return None


def kernel_files(names: Sequence[str], modes: frozenset[str]) -> dict[str, str]:
    """The kernel files that these need, by name, each after those that it includes."""
    found: dict[str, str] = {}

    def visit(file: str) -> None:
        if file in found:
            return
        text = _kernel_text(file, modes)
        for included in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE):
            visit(included)
        found[file] = text

    for name in names:
        visit(name)
    return found
