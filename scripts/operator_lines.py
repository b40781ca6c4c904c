"""Networks of one operator, written as one line of text.

    CONV_2D int8[1,8,8,3] int8[4,3,3,3]=@0.02 int32[4]= > int8[1,8,8,4] | Conv2DOptions padding=0 strideW=1 strideH=1

Operands of the operator, `>`, its results, `|`, the name of its options table and its fields (of a custom operator:
`custom` and the fields of its map). An operand is

    int8[1,8,8,3]       a type and a shape; the network reads it, or the operator writes it
    int8[4,3,3,3]=      a constant with made-up elements        int32[2]=1,2        with these
    int8[4]@0.02,3      a scale and a zero point                int8[4,3]@0.1/0.2   a scale a channel, along axis 0
    int8[4]@0.1/0.2:1   along axis 1                            int8[4]@            no quantisation at all
    int8[4]!            a variable                              -                   absent

`networks()` reads `operator_networks.txt`. What a network reads is fed small positive numbers, so that no operator
divides by zero or looks outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from one_operator import PACKED, STORED, Network, Operand, joined

__all__ = ["flexible", "networks", "packed", "parse", "retyped", "stored"]

_OPERAND = re.compile(
    r"(?P<dtype>\w+)\[(?P<shape>[\d,-]*)\](?P<variable>!)?(?P<constant>=(?P<elements>[-\w.,]*))?"
    r"(?P<quantised>@(?P<scales>[\d.e/-]*)(,(?P<zero>-?\d+))?(:(?P<axis>\d))?)?$"
)
_SCALES = {"int16": 0.001}
_PACKED_BITS = {"int4": 4, "uint4": 4, "int2": 2}
_NUMPY = {"bfloat16": "uint16"}
_WITHOUT_ELEMENTS = frozenset({"string", "resource", "variant"})


@cache
def networks() -> Mapping[str, tuple[Network, ...]]:
    """Operator -> networks of it that TFLM runs."""
    networks: dict[str, list[Network]] = {}
    for line in Path(__file__).with_name("operator_networks.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            networks.setdefault(line.split()[0], []).append(parse(line))
    return {name: tuple(each) for name, each in networks.items()}


def parse(line: str) -> Network:
    """The network that a line of text describes. Raises ValueError where it is malformed."""
    operator, _, table_and_fields = line.partition("|")
    operands, _, results = operator.partition(">")
    name, *reads = operands.split()
    table, *fields = table_and_fields.split() or [""]
    options = {field.partition("=")[0]: _value(field.partition("=")[2]) for field in fields}
    inputs = [None if text == "-" else _operand(text) for text in reads]
    outputs = [_operand(text) for text in results.split()]
    if not name.startswith("CUSTOM:"):
        return joined(line, name, inputs, outputs, table, **options)
    stored_options = flexible(options) if table else b""
    custom = name.removeprefix("CUSTOM:")
    return joined(line, "CUSTOM", inputs, outputs, custom=custom, custom_options=stored_options)


def _operand(text: str) -> Operand:
    match = _OPERAND.match(text)
    if match is None:
        raise ValueError(f"no operand: {text}")
    dtype = match["dtype"]
    shape = tuple(int(size) for size in match["shape"].split(",") if size)
    elements = None
    if match["constant"] is not None:
        elements = stored(dtype, shape, [float(number) for number in match["elements"].split(",") if number])
    scales: tuple[float, ...] = (_SCALES.get(dtype, 0.05) if dtype in (*STORED, *PACKED) else 0.0,)
    if match["quantised"] is not None:
        scales = tuple(float(scale) for scale in match["scales"].split("/") if scale) or (0.0,)
    return Operand(
        shape,
        dtype,
        elements,
        scales if len(scales) > 1 else scales[0],
        int(match["zero"] or 0),
        int(match["axis"] or 0),
        low=1,
        high=3,
        is_variable=match["variable"] is not None,
    )


def stored(dtype: str, shape: Sequence[int], numbers: Sequence[float] = ()) -> NDArray[Any]:
    """Elements as a file keeps them; made up where none are given."""
    count = math.prod(max(size, 0) for size in shape)
    chosen = numbers or [(7 * index) % 5 + 1 for index in range(count)]
    if np.iscomplexobj(chosen) and not dtype.startswith("complex"):
        chosen = np.real(chosen).tolist()
    if dtype in _WITHOUT_ELEMENTS:
        return np.zeros(0, np.uint8)
    if dtype in _PACKED_BITS:
        return packed(chosen, _PACKED_BITS[dtype])
    with np.errstate(all="ignore"):  # numbers of another type may be beyond this one
        array: NDArray[Any] = np.asarray(chosen).astype(_NUMPY.get(dtype, dtype))
    return array.reshape(shape) if array.size == count else array


def packed(elements: Sequence[float], bits: int) -> NDArray[Any]:
    """Several elements a byte, the first in its lowest bits."""
    each_byte, mask = 8 // bits, (1 << bits) - 1
    numbers = [int(element) & mask for element in elements]
    numbers += [0] * (-len(numbers) % each_byte)
    parts = np.asarray(numbers, np.uint8).reshape(-1, each_byte)
    joined_parts: NDArray[Any] = np.bitwise_or.reduce(parts << (bits * np.arange(each_byte, dtype=np.uint8)), axis=1)
    return joined_parts


def retyped(operand: Operand, dtype: str) -> Operand:
    """The same with another element type, quantised as usual for that."""
    elements = operand.elements
    if elements is not None:
        numbers = [] if operand.dtype in _PACKED_BITS else elements.ravel().tolist()
        elements = stored(dtype, operand.shape, numbers)
    scale = operand.scale or _SCALES.get(dtype, 0.05) if dtype in (*STORED, *PACKED) else 0.0
    return replace(operand, dtype=dtype, elements=elements, scale=scale, zero_point=0)


def flexible(options: dict[str, Any]) -> bytes:
    """Options of a custom operator: a map of numbers and vectors of numbers."""
    from flatbuffers import flexbuffers

    builder: Any = flexbuffers.Builder()
    with builder.Map():
        for name, value in options.items():
            builder.Key(name)
            builder.Add(value)
    return bytes(builder.Finish())


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("("):
        return [int(number) for number in text.strip("()").split(",") if number]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
