"""Of every operator and element types that the executor runs in whole numbers: whether there is C.

The table is made from the catalogue of one-operator networks, so an operator that is added without C is noticed here.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from operator_catalogue import OPERATORS, about

from mcusim.errors import McusimError, ModelError
from mcusim.execution import execute
from mcusim.firmware.emit import sources
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import Graph, Signature
from mcusim.schedule import LAYER
from mcusim.simulation.emission import network_of

OTHERS = ("float32", "float16", "uint8")
"""Networks of these are not what C is for; each is refused by name."""
RELATIONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
WITHOUT_C = {
    **{op: {"int64,int32= > int32", "int64,int32= > int64"} for op in ("ARG_MAX", "ARG_MIN")},
    "CAST": {
        *(f"{kind} > uint32" for kind in ("bool", "int8", "int16", "int32", "int64", "uint32")),
        *(f"uint32 > {kind}" for kind in ("bool", "int8", "int16", "int32", "int64")),
    },
    **{op: {"int64,int64 > bool"} for op in RELATIONS},
    **{op: {"int64,int64 > int64"} for op in ("MAXIMUM", "MINIMUM")},
    # Weights that the network computes, with a bias of other types than the operator's own.
    "CONV_2D": {"int8,int8,int64= > int8"},
    "DEPTHWISE_CONV_2D": {"int8,int8,int64= > int8", "int16,int8,int32= > int16"},
    "FULLY_CONNECTED": {f"int16,int8,{bias} > int16" for bias in ("-", "int32=", "int64=")},
    "TRANSPOSE_CONV": {
        "int32=,int8,int8,int16= > int8",
        "int32=,int8,int8,int64= > int8",
        "int32=,int8,int16,int32= > int16",
    },
}
"""Element types that the executor runs and that have no C, by operator: `=` marks constants, `-` what is absent."""


def types_of(call: Signature) -> str:
    inputs = ["-" if kind is None else kind.dtype.value + "=" * kind.is_constant for kind in call.inputs]
    return f"{','.join(inputs)} > {','.join(kind.dtype.value for kind in call.outputs)}"


def is_emitted(graph: Graph) -> bool:
    """Whether there is C of it. A refusal names the operator."""
    refusal = ""
    try:
        sources(network_of(graph, LAYER, "net")[0])
    except ModelError as error:
        refusal = error.what
    assert not refusal or graph.nodes[-1].op in refusal, refusal
    return not refusal


@pytest.mark.slow
def test_whole_numbers_have_c_but_for_what_is_listed() -> None:
    refused: dict[str, set[str]] = {}
    answered: Counter[bool] = Counter()
    for op in OPERATORS:
        seen: set[str] = set()
        for listed in about(op):
            try:
                graph = parse_tflite(listed.content(), name=op, where=op)
            except McusimError:
                continue
            types = types_of(graph.nodes[-1].signature) if graph.nodes else ""
            if not types or types in seen or any(kind in types for kind in OTHERS):
                continue
            try:
                execute(graph, [*map(np.asarray, listed.feeds(seed=1))])
            except McusimError:
                continue
            seen.add(types)
            has_c = is_emitted(graph)
            answered[has_c] += 1
            if not has_c:
                refused.setdefault(op, set()).add(types)
    assert refused == WITHOUT_C
    assert answered[True] >= 355
