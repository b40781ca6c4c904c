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
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph, Quantization
from mcusim.ops import OPS
from mcusim.zoo.export import with_int8_activations

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


TIES = [float(np.float32(scale)) for scale in (0.03, 0.5, 0.25, 0.1, 0.02, 0.06, 0.005)]
"""Scales whose quotients and products are short decimals: many results lie halfway between two integers."""


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE", "MAXIMUM", "PRELU", "LESS"])
@settings(max_examples=max(EXAMPLES // 4, 1))
@given(
    scales=st.tuples(*[st.sampled_from(TIES)] * 3),
    zero_points=st.tuples(*[st.sampled_from((0, -128, 127, 11, -20))] * 3),
)
def test_every_pair_of_integers_gives_what_tflm_gives(
    op: str, scales: tuple[float, ...], zero_points: tuple[int, ...]
) -> None:
    if op in ("SQUARED_DIFFERENCE", "MAXIMUM"):  # which want one scale
        scales, zero_points = scales[:1] * 3, zero_points[:1] * 3
    made = [Quantization((scale,), (zero,)) for scale, zero in zip(scales, zero_points, strict=True)]
    builder = GraphBuilder(op)
    a, b = (builder.input((1, 256, 256, 1), name=name, quantization=q) for name, q in zip("ab", made, strict=False))
    compares = op == "LESS"
    y = builder.op(op, (a, b), dtype=DType.BOOL if compares else None, quantization=None if compares else made[2])
    x = np.arange(-128, 128, dtype=np.int8)
    left, right = (side.reshape(1, 256, 256, 1) for side in np.meshgrid(x, x))
    if op == "DIV":
        right = np.where(right == zero_points[1], right ^ 1, right)
    assert_equal(Case(builder.build([y]), (left, right)))


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
