"""Values that outlive an inference: which there are, and what they hold before the first one."""

from __future__ import annotations

import pytest

from mcusim import GraphBuilder
from mcusim.errors import ModelError
from mcusim.graph import DType, Quantization
from mcusim.lowering.lower import lower
from mcusim.lowering.preparing import check_elements
from mcusim.lowering.variables import Stored, changed_variables, states, stored_variables
from mcusim.program import BufferKind
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER


@pytest.mark.parametrize(
    ("dtype", "zero_point", "fill"),
    [
        (DType.INT8, -1, 0xFF),
        (DType.INT8, -128, 0x80),
        (DType.INT8, 7, 7),
        (DType.INT8, 0, 0),
        (DType.INT8, None, 0),
        (DType.INT16, 0, 0),
        (DType.FLOAT32, None, 0),
    ],
)
def test_a_state_begins_as_its_zero_point(dtype: DType, zero_point: int | None, fill: int) -> None:
    builder = GraphBuilder("state")
    quantization = None if zero_point is None else Quantization((0.5,), (zero_point,))
    x = builder.input((1, 4))
    state = builder.variable((1, 12), dtype, "memory", quantization)
    graph = builder.build([builder.unary("RELU", x)])
    assert states(graph) == (Stored("memory", 12 * dtype.bits // 8, fill, (state,)),)
    assert stored_variables(graph) == states(graph)


def test_a_variable_lives_from_start_to_end() -> None:
    builder = GraphBuilder("state")
    x = builder.input((1, 4))
    builder.variable((1, 12), DType.INT8, "memory")
    graph = builder.build([builder.unary("RELU", builder.unary("LOGISTIC", x))])
    program = lower(graph, LAYER, RUNTIMES["mcusim"].rules)
    [variable] = program.variables
    kept = program.buffers[variable.buffer]
    assert (kept.first, kept.end, kept.size_bytes) == (0, program.length, 12)
    assert kept.kind in (BufferKind.VARIABLE, BufferKind.PERSISTENT)


def test_only_what_keeps_state_changes_it() -> None:
    builder = GraphBuilder("state")
    state = builder.variable((1, 4), DType.INT8, "memory")
    graph = builder.build([builder.add(builder.input((1, 4)), state)])
    [node] = graph.nodes
    assert changed_variables(node.signature, node.inputs, {}) == ()
    assert changed_variables(node.signature, node.inputs, {state: 5}) == (5,)


@pytest.mark.parametrize("dtype", list(DType))
def test_elements_of_whole_bits_can_be_computed_with(dtype: DType) -> None:
    refused = dtype in (DType.BFLOAT16, DType.FLOAT16) or not dtype.bits
    if refused:
        with pytest.raises(ModelError, match="cannot be computed with"):
            check_elements(dtype, "here")
    else:
        check_elements(dtype, "here")
