"""What a user says about bits: `w4a8`, or the document that `mcusim bits --json` writes, perhaps changed by hand."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from mcusim.errors import InputError
from mcusim.files import content_of, parse_json, reason_of
from mcusim.graph import Graph
from mcusim.precision.allocation import BitAllocation, uniform_allocation, with_bits
from mcusim.precision.tensors import DTYPES

__all__ = ["AUTO", "Widths", "chosen_bits", "parse_widths", "read_allocation"]

AUTO = "auto"
_WIDTHS = re.compile(r"w(\d+)a(\d+)")
_FIX = "use wNaM with N and M of 8, 4 and 2, such as w4a8, a file of `mcusim bits --json`, or, of a board, auto"


class Widths(NamedTuple):
    """Bits of all weights and of all activations."""

    weights: int
    activations: int


class _Tensor(msgspec.Struct, frozen=True):
    index: int
    bits: int
    name: str | None = None


class _Document(msgspec.Struct, frozen=True):
    tensors: list[_Tensor]


def chosen_bits(graph: Graph, text: str, where: str = "--bits") -> Graph:
    """`graph` with the bits that `text` asks for: `w4a8`, or the path of a document.

    Raises InputError for what is neither, ModelError where the network does not have such tensors.
    """
    if text.strip().lower().endswith(".json"):
        return with_bits(graph, read_allocation(text.strip(), graph))
    widths = parse_widths(text, where)
    return with_bits(graph, uniform_allocation(graph, weight_bits=widths.weights, activation_bits=widths.activations))


def parse_widths(text: str, where: str = "--bits") -> Widths:
    """`w4a8`: weights of 4 and activations of 8 bits. Raises InputError."""
    match = _WIDTHS.fullmatch(text.strip().lower())
    widths = Widths(int(match[1]), int(match[2])) if match else None
    if widths is None or not set(widths) <= set(DTYPES):
        raise InputError(f"'{text}' is no choice of bits", where=where, fix=_FIX)
    return widths


def read_allocation(path: str, graph: Graph) -> BitAllocation:
    """The allocation that a document holds, for `graph`. Raises InputError where it is none, or another network's."""
    try:
        document = parse_json(content_of(path), _Document)
    except OSError as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=path, fix="check the path") from None
    except ValueError as error:  # malformed, or not of this shape
        raise InputError(f"it is no document of bits: {error}", where=path, fix=_FIX) from None
    activations: dict[int, int] = {}
    weights: dict[int, int] = {}
    for index, bits, name in ((tensor.index, tensor.bits, tensor.name) for tensor in document.tensors):
        described = graph.tensors[index] if 0 <= index < len(graph.tensors) else None
        if described is None or (name is not None and described.name != name):
            here = f"'{described.name}'" if described else "none"
            what = f"tensor {index} is '{name}' there, and {here} in network '{graph.name}'"
            fix = "give the network that it was written for, or write it again with `mcusim bits`"
            raise InputError(what, where=path, fix=fix)
        (weights if described.is_constant else activations)[index] = bits
    return BitAllocation(activations, weights)
