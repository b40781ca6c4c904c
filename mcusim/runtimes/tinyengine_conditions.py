"""What TinyEngine's code generator asks of a network before it names a function.

Where the generator stops with an exception (an assertion, a shape that it cannot unpack, an operator that it does not
know), the line says what it asks. Where it goes on and computes something else (a batch, 16 bits, a lone mean), so
does the line: code for another network is none.
Source: mit-han-lab/tinyengine 0363956, code_generator/TfliteConvertor.py, converters/tflite_parser/*.py, constant.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from mcusim.graph import Graph, Node, Padding, Signature
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.pooling import Pool2DAttributes
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.runtimes.condition_rules import constant, rank
from mcusim.runtimes.conditions import OUT, Conditions, NumberRule, Numbers, Refusal, numbers_of

__all__ = ["TINYENGINE_CONDITIONS", "generator_refusals", "shape_refusal"]

_TYPES = "int8|int4|int2"
"""int8, and what kernels that were never released would take."""

SQUEEZE_AND_EXCITE = ("ADD", "MUL", "MUL")
"""Three nodes in a row that become one product of a map and a value a channel: the only place of a MUL."""


def one_image(signature: Signature) -> str:
    """The generator drops the first dimension of a map."""
    shape = signature.input(0).shape
    if len(shape) == 4 and shape[0] > 1:
        return f"input 0 is a batch of {shape[0]}, and the generated code computes one image"
    return ""


def _one_axis(signature: Signature) -> str:
    axes = signature.input(1).values or ()
    if len(axes) == 1:
        return ""
    return "it reduces several axes at once, and the generator joins two means of one axis each: a lone one is lost"


def _valid(signature: Signature) -> str:
    if attributes_of(signature, Pool2DAttributes).padding is Padding.VALID:
        return ""
    return "padding SAME is not handled, also where it pads nothing: use VALID"


def _flat(signature: Signature) -> str:
    source, weights = signature.input(0).shape, signature.input(1).shape
    if source and source[-1] == weights[-1]:
        return ""
    return f"input 0 ends in {source[-1] if source else 1}, and input 1 takes {weights[-1]}: the channels have to match"


def _whole_factor(signature: Signature) -> str:
    (_, rows, cols, _), (_, out_rows, out_cols, _) = signature.input(0).shape, signature.output.shape
    if out_rows % rows or out_cols % cols or out_rows // rows != out_cols // cols:
        return "rows and columns have to grow by one whole factor"
    return ""


def _a_scale_a_channel(place: int) -> NumberRule:
    """The generator takes the length of the scales, which a single one does not have."""

    def rule(numbers: Numbers) -> str:
        weights = numbers.operand(place)
        if weights is None or weights.quantization is None or weights.quantization.is_per_channel:
            return ""
        return f"input {place} has one scale, and must have one a channel (and more than one channel)"

    return rule


_MAP = (rank(0, 4, 4), rank(OUT, 4, 4), one_image)
_CONVOLUTION = Conditions.of(
    f"{_TYPES} {_TYPES} int32? > {_TYPES}", shapes=(*_MAP, constant(1)), numbers=(_a_scale_a_channel(1),)
)

TINYENGINE_CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        "CONV_2D": _CONVOLUTION,
        "DEPTHWISE_CONV_2D": _CONVOLUTION,
        "FULLY_CONNECTED": Conditions.of(f"{_TYPES} {_TYPES} int32 > {_TYPES}", shapes=(constant(1), _flat)),
        "ADD": Conditions.of(f"{_TYPES} {_TYPES} > {_TYPES}", shapes=(one_image,)),
        "MUL": Conditions.of(f"{_TYPES} {_TYPES} > {_TYPES}", shapes=(one_image,)),
        "AVERAGE_POOL_2D": Conditions.of(f"{_TYPES} > =0", shapes=(*_MAP, _valid)),
        "MAX_POOL_2D": Conditions.of(f"{_TYPES} > =0", shapes=_MAP),
        "MEAN": Conditions.of(f"{_TYPES} int32 > {_TYPES}", shapes=(_one_axis,)),
        "TRANSPOSE": Conditions.of(f"{_TYPES} int32 > =0"),
        "RESIZE_NEAREST_NEIGHBOR": Conditions.of(f"{_TYPES} int32 > =0", shapes=(*_MAP, _whole_factor)),
    }
)


@lru_cache(SIGNATURES_KEPT)
def shape_refusal(signature: Signature) -> str:
    """Why the generator does not take a node whatever its scales are; "" if it does, or does not know the operator."""
    conditions = TINYENGINE_CONDITIONS.get(signature.op)
    reason = conditions.broken_shapes(signature) if conditions else ""
    return f"TinyEngine's generator, {signature.op}: {reason}" if reason else ""


def generator_refusals(graph: Graph) -> Iterator[Refusal]:
    """Nodes of a file whose scales the generator does not take, or that stand where it does not handle them."""
    for index, numbers in numbers_of(graph):
        conditions = TINYENGINE_CONDITIONS.get(numbers.signature.op)
        if conditions is None or not conditions.numbers or shape_refusal(numbers.signature):
            continue
        reason = conditions.broken_numbers(numbers)
        if reason:
            yield Refusal(index, f"TinyEngine's generator, {numbers.signature.op}: {reason}")
    if graph.source.file_bytes is not None:
        yield from _out_of_place(graph.nodes)


def _out_of_place(nodes: tuple[Node, ...]) -> Iterator[Refusal]:
    """Sums that broadcast, and products, that are no part of squeeze and excite."""
    joined: set[int] = set()
    for index in range(len(nodes) - 4):  # the generator does not look at the last ones
        three = range(index, index + 3)
        if index not in joined and tuple(nodes[place].op for place in three) == SQUEEZE_AND_EXCITE:
            joined.update(three)
    for index, node in enumerate(nodes):
        check = _ALONE.get(node.op)
        reason = check(node.signature) if check and index not in joined else ""
        if reason:
            yield Refusal(index, f"TinyEngine's generator, {node.op}: {reason}")


def _alone_add(signature: Signature) -> str:
    shapes = [kind.shape for kind in (*signature.inputs, *signature.outputs) if kind is not None]
    if len(set(shapes)) == 1:
        return ""
    return "its operands have several shapes, and it does not broadcast: give both inputs the shape of the output"


def _alone_mul(signature: Signature) -> str:
    return "a product is handled as the end of squeeze and excite only (ADD, MUL, MUL in a row)"


_ALONE: Mapping[str, Callable[[Signature], str]] = MappingProxyType({"ADD": _alone_add, "MUL": _alone_mul})
