"""The integers of a Program's steps, apart from whoever computes with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from mcusim import zoo
from mcusim.errors import ModelError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType, Quantization
from mcusim.lowering.lower import lower
from mcusim.lowering.preparing import prepared_integers
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER, parse_schedule

SMALL = "mbv2-w0.35-r144"


def arrays(value: object) -> Iterator[np.ndarray]:
    """Every array that a prepared value holds; what is made at first use has its place in `__dict__` and counts too."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from arrays(item)
    elif is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)} | getattr(value, "__dict__", {})
        for item in held.values():
            yield from arrays(item)


@pytest.mark.parametrize("spec", ["layer", "patch:2x2@5", "stream:2@5"])
@pytest.mark.parametrize("runtime", ["tinyengine", "tflm"])
def test_nothing_is_laid_out_for_a_kernel(runtime, spec):
    """Integers of one byte a weight; floats only where a factor a channel is one."""
    graph = with_seeded_weights(zoo.build(SMALL), 0)
    program = lower(graph, parse_schedule(spec), RUNTIMES[runtime].rules)
    integers = prepared_integers(program)
    assert len(integers) == program.length
    for step, prepared in zip(program.body(), integers, strict=True):
        weights = [t.elements for t in step.signature.inputs if t is not None and t.is_constant and len(t.shape) > 1]
        for array in arrays(prepared):
            assert array.nbytes <= max([*weights, 8 * step.signature.output.channels, 2048])


def test_no_kernel_is_loaded_for_them():
    code = (
        "import sys\n"
        "from mcusim import zoo\n"
        "from mcusim.frontends.synthesis import with_seeded_weights\n"
        "from mcusim.lowering.lower import lower\n"
        "from mcusim.lowering.preparing import prepared_integers\n"
        "from mcusim.runtimes import RUNTIMES\n"
        "from mcusim.schedule import LAYER\n"
        f"graph = with_seeded_weights(zoo.build('{SMALL}'), 0)\n"
        "assert any(prepared_integers(lower(graph, LAYER, RUNTIMES['tflm'].rules)))\n"
        "print([m for m in sys.modules if m.split('.')[0] == 'numba' or m.startswith('mcusim.ops.kernels')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_node_that_cannot_be_computed_is_named():
    builder = GraphBuilder("half")
    x = builder.input((1, 4, 4, 2), DType.FLOAT16)
    graph = builder.build([builder.op("RELU", (x,), name="bent")])
    with pytest.raises(ModelError, match=r"network 'half', node 0 \(RELU, 'bent'\): elements of float16"):
        prepared_integers(lower(graph, LAYER, RUNTIMES["tflm"].rules))


def test_int16_with_a_zero_point_is_refused_where_it_is_read_and_taken_where_it_is_made():
    """A QUANTIZE to int16 may have any zero point; an operator that computes on such tensors looks at none."""

    def prepared(op: str, source: DType) -> tuple[object, ...]:
        builder = GraphBuilder("int16")
        x = builder.input((1, 4), source, quantization=Quantization((0.5,), (3,)))
        outputs = [builder.op(op, (x,), name="it", dtype=DType.INT16, quantization=Quantization((0.5,), (5,)))]
        return prepared_integers(lower(builder.build(outputs), LAYER, RUNTIMES["tflm"].rules))

    assert len(prepared("QUANTIZE", DType.INT8)) == 1
    with pytest.raises(ModelError, match="has the zero point 3, and int16 has none"):
        prepared("LOGISTIC", DType.INT16)
