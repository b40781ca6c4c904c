"""mcusim's execution against TFLM itself, on random operators and networks: every output, byte for byte.

How many of each: MCUSIM_FUZZ (40 without it). `MCUSIM_FUZZ=2000 scripts/test tests/test_execution_oracle.py -n auto`
digs deep.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import NOT_IN_TFLM, Kernels, run_litert, run_tflm, trace_tflm
from strategies import ONE_OP, Case, inputs_for, networks

from mcusim import zoo
from mcusim.errors import ModelError
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph
from mcusim.networks.export import with_int8_activations
from mcusim.ops import OPS

execution = pytest.importorskip("mcusim.execution", reason="there is no executor yet")

EXAMPLES = int(os.environ.get("MCUSIM_FUZZ", "40"))


def judge(case: Case) -> list[np.ndarray[Any, Any]]:
    """What is right."""
    content = write_tflite(case.graph)
    if any(node.op in NOT_IN_TFLM for node in case.graph.nodes):
        return run_litert(content, case.inputs, kernels=Kernels.OPTIMISED)
    return run_tflm(content, case.inputs, arena_bytes=1 << 20)


def assert_equal(case: Case, schedule: str = "layer") -> None:
    try:
        ours = execution.execute(case.graph, list(case.inputs), schedule=schedule)
    except ModelError as error:
        if any(not OPS[node.op].kernel for node in case.graph.nodes):
            pytest.skip(f"not executed yet: {error.what}")
        raise
    right = judge(case)
    assert len(ours) == len(right)
    for index, (one, other) in enumerate(zip(ours, right, strict=True)):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            where = np.argwhere(one != other)
            first = tuple(where[0].tolist())
            pytest.fail(
                f"output {index}: {len(where)} of {one.size} elements differ, first at {first}: "
                f"{one[first]} instead of {other[first]}"
            )


@pytest.mark.parametrize("op", ONE_OP)
def test_operators_equal_tflm(op: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(case=ONE_OP[op])
    def check(case: Case) -> None:
        assert_equal(case)

    check()


@settings(max_examples=EXAMPLES)
@given(case=networks())
def test_networks_equal_tflm(case: Case) -> None:
    assert_equal(case)


@settings(max_examples=EXAMPLES)
@given(case=networks(), rows=st.integers(1, 3), cols=st.integers(1, 3))
def test_schedules_change_nothing(case: Case, rows: int, cols: int) -> None:
    first = next((node for node in case.graph.nodes if node.op != "PAD"), None)
    if first is None or first.op not in ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return
    output = first.signature.output
    if rows <= output.rows and cols <= output.cols:
        assert_equal(case, f"patch:{rows}x{cols}@1")


@pytest.mark.parametrize("name", ["mcunet-in0", "mcunetv2_large", "smallcifar", "mcunet-256kb-int4", "person-det"])
def test_published_networks_equal_tflm(name: str) -> None:
    graph: Graph = with_seeded_weights(with_int8_activations(zoo.build(name)))
    inputs = inputs_for(graph, 1)
    theirs = trace_tflm(write_tflite(graph), inputs)
    ours = execution.execute(graph, list(inputs))
    for one, tensor in zip(ours, graph.outputs, strict=True):
        np.testing.assert_array_equal(one, theirs[tensor])
