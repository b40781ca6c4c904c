"""Positions, axes, sizes and shapes of other integer types, stored or computed: TFLM's bytes, or a refusal.

TFLM often takes an operand for another's type without asking. Each integer operand of each operator is tried in several
types, in all combinations, stored and computed at run time; the wheel is asked in a process of its own, which may die.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from one_operator import Network, Operand, Operator
from operator_lines import networks, parse, retyped

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from tflm_judge import Question, judge

from mcusim import execute
from mcusim.errors import McusimError
from mcusim.frontends.tflite import parse_tflite

Array = np.ndarray[Any, Any]

TYPES = ("int32", "int64", "int16", "uint32")
MOST_VARIED = 3
SAMPLE = 40
"""So many combinations of each network."""
MORE = (
    "TRANSPOSE int8[2,3,2] int32[3]=1,0,2 > int8[3,2,2] | TransposeOptions",
    "SLICE int8[4,5,6] int32[3]=1,2,3 int32[3]=2,3,3 > int8[2,3,3] | SliceOptions",
    "BATCH_TO_SPACE_ND int8[4,2,2,1] int32[2]=2,2 int32[2,2]=1,1,0,1 > int8[1,2,3,1] | BatchToSpaceNDOptions",
    "SPLIT int32[1]=-1 int8[1,4,4,6] > int8[1,4,4,3] int8[1,4,4,3] | SplitOptions numSplits=2",
    "SPLIT_V int8[1,4,4,6] int32[2]=2,4 int32[1]=-1 > int8[1,4,4,2] int8[1,4,4,4] | SplitVOptions numSplits=2",
    "DYNAMIC_UPDATE_SLICE int8[4,3] int8[2,2] int32[2]=2,1 > int8[4,3] | DynamicUpdateSliceOptions",
)
"""Networks whose positions are not zeros, so that halves of them are other positions."""


def bases() -> dict[str, tuple[Network, ...]]:
    """Operator -> networks of it with integer operands that are no activations."""
    listed = dict(networks())
    for line in MORE:
        name = line.split()[0]
        listed[name] = (*listed.get(name, ()), parse(line))
    return {name: each for name, each in listed.items() if any(positions(network) for network in each)}


def positions(network: Network) -> list[int]:
    """Tensors that one operator reads as positions, sizes, shapes or sums."""
    if network.bodies or len(network.operators) != 1:
        return []
    read = dict.fromkeys(index for index in network.operators[0].inputs if index >= 0)
    tensors = network.tensors
    plain = [i for i in read if tensors[i].dtype in ("int32", "int64") and not tensors[i].is_variable]
    return plain[:MOST_VARIED]


def varied(network: Network) -> Iterator[tuple[str, Network, list[Array]]]:
    """What is different, the network, and its inputs."""
    places = positions(network)
    choices = list(product(product(TYPES, ("stored", "fed", "computed")), repeat=len(places)))
    for chosen in random.Random(network.label).sample(choices, min(SAMPLE, len(choices))):
        tensors, operator, copies = list(network.tensors), network.operators[0], []
        numbers: dict[int, Array] = {}
        for index, (dtype, origin) in zip(places, chosen, strict=True):
            drawn = tensors[index].drawn(np.random.default_rng(1))
            stored = tensors[index] if tensors[index].elements is not None else replace(tensors[index], elements=drawn)
            tensors[index] = retyped(stored, dtype)
            elements = tensors[index].elements
            assert elements is not None
            if origin == "fed":
                tensors[index] = replace(tensors[index], elements=None)
                numbers[index] = elements
            elif origin == "computed":
                copies.append(copied(tensors, index))
                written = copies[-1].outputs[0]
                inputs = tuple(written if each == index else each for each in operator.inputs)
                operator = replace(operator, inputs=inputs)
        variant = replace(
            network, tensors=tuple(tensors), operators=(*copies, operator), outputs=network.outputs or operator.outputs
        )
        random_numbers = np.random.default_rng(1)
        feeds = [numbers[i] if i in numbers else tensors[i].drawn(random_numbers) for i in variant.fed()]
        yield ", ".join(f"{dtype} {origin}" for dtype, origin in chosen), variant, feeds


def copied(tensors: list[Operand], index: int) -> Operator:
    """A RESHAPE of a constant, which gives its elements at run time."""
    tensors.append(replace(tensors[index], elements=None))
    shape = list(tensors[index].shape)
    return Operator("RESHAPE", (index,), (len(tensors) - 1,), "ReshapeOptions", {"newShape": shape})


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(bases()))
def test_operands_of_any_type_are_read_as_tflm_reads_them_or_refused(name: str) -> None:
    tried = [case for network in bases()[name] for case in varied(network)]
    questions = [Question(network.content(), feeds) for _, network, feeds in tried]
    results = len(tried[0][1].outputs)
    for (label, _, _), question, answer in zip(tried, questions, judge(questions, results), strict=True):
        if not (answer.runs and answer.is_fed):
            continue
        with contextlib.suppress(McusimError):
            ours = execute(parse_tflite(question.content, name=name, where=name), question.inputs)
            for one, other in zip(ours, answer.outputs, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{name}: {label}")
