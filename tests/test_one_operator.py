"""Networks of one operator over types, shapes and options: what the TFLM wheel runs mcusim answers, bit by bit.

The networks are packed without mcusim, and judged by the wheel. A sample of them runs here, the same one each time:
MCUSIM_FUZZ=100000 runs all (6 minutes). What the wheel refuses is the business of the runtimes' tables.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from one_operator import Network
from operator_catalogue import OPERATORS, about
from oracles import Refused, run_litert, run_tflm

from mcusim import execute
from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.memory.planning import plan_memory
from mcusim.runtimes.tflm import TFLM_WHEEL

Array = np.ndarray[Any, Any]

SAMPLE = int(os.environ.get("MCUSIM_FUZZ", "12"))
"""So many networks of each operator."""
FLOAT_SUMS = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Layers of float networks that mcusim does not execute."""
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})


def sampled(name: str) -> list[Network]:
    networks = [network for network in about(name) if is_defined(name, network.label)]
    return random.Random(name).sample(networks, min(SAMPLE, len(networks)))


def is_defined(name: str, label: str) -> bool:
    dtype = label.split()[0]
    if name in FLOAT_SUMS and dtype == "float32":
        return False
    if name in LAYERS and dtype == "float32":  # of a bias of integers it takes the bytes for floats
        return "bias int" not in label and (name != "DEPTHWISE_CONV_2D" or "bias  " not in label)
    if name.startswith("LOGICAL_"):
        return dtype == "bool"
    if name == "GREATER":
        return dtype != "int16"
    if name == "SPACE_TO_BATCH_ND":
        return "((0, 0), (0, 0))" in label
    if name == "DEPTHWISE_CONV_2D":
        return "bias  " not in label
    if name == "TFLite_Detection_PostProcess":  # several classes a box are written past the end of the outputs
        return "False 2" not in label
    # What is not full yet, or outside of the band, is memory that nothing has set.
    return label not in ("int16 2 15", "int16 2 1 2", "int16 3 2 3") and (name != "SignalFramer" or "True" in label)


@pytest.mark.parametrize("name", OPERATORS)
def test_what_tflm_runs_mcusim_answers_bit_by_bit(name: str) -> None:
    answered = 0
    for network in sampled(name):
        content, feeds = network.content(), network.feeds(seed=1)
        try:
            right = run_tflm(content, feeds, arena_bytes=1 << 20)
        except Refused:
            continue
        answered += 1
        assert_same(execute(parse_tflite(content, name=name, where=name), feeds), right, f"{name}, {network.label}")
    if not answered:
        pytest.skip("the wheel runs none of the sample")


def assert_same(ours: Sequence[Array], right: Sequence[Array], label: str) -> None:
    assert len(ours) == len(right), label
    for one, other in zip(ours, right, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), label
        differing = int((one != other).sum()) - int(((one != one) & (other != other)).sum())
        assert not differing, f"{label}: {differing} of {one.size} elements differ"


@pytest.mark.parametrize("name", OPERATORS)
def test_memory_equals_that_of_tflm(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The head with its scratch, and the tail with what kernels keep."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="the wheel is not installed")
    planned = 0
    for network in sampled(name)[:6]:
        content = network.content()
        capfd.readouterr()
        try:
            runtime.Interpreter.from_bytes(content, arena_size=1 << 20).print_allocations()
        except RuntimeError:
            continue
        planned += 1
        printed = "".join(capfd.readouterr())
        right = tuple(int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
        plan = plan_memory(parse_tflite(content, name=name, where=name), TFLM_WHEEL)
        assert (plan.arena_bytes, plan.persistent.size_bytes) == right, f"{name}, {network.label}"
    if not planned:
        pytest.skip("the wheel plans none of the sample")


LITERT_ONLY = ("ONE_HOT", "REDUCE_ANY", "SPACE_TO_BATCH_ND")


@pytest.mark.parametrize("name", LITERT_ONLY)
def test_what_only_litert_runs_is_answered_too(name: str) -> None:
    for network in list(about(name))[:: 3 if SAMPLE < 100 else 1]:
        content, feeds = network.content(), network.feeds(seed=1)
        try:
            right = run_litert(content, feeds)
        except Refused:
            continue
        try:
            ours = execute(parse_tflite(content, name=name, where=name), feeds)
        except ModelError:
            continue
        assert_same(ours, right, f"{name}, {network.label}")
