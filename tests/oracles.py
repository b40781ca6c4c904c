"""The judges of mcusim's execution: TensorFlow Lite Micro itself, and LiteRT. Neither shares any code with mcusim.

`run_tflm` counts. `run_litert` with reference kernels agrees with it on most operators, but not on FULLY_CONNECTED
(rounds once), int16 SOFTMAX (1 LSB), SUM (another meaning altogether), int16 layers with an int32 bias (it reads
int64), and RELU6 whose output is not quantised as its input (TFLM only clamps). LiteRT's own kernels take what the
other two lack (`NOT_IN_TFLM`), and round differently in all that computes.
Tests that ask for a judge which is not installed are skipped: `scripts/setup` with the extra `oracles` installs both.

Every call makes a fresh interpreter, so variables begin as the file says. A network that a judge does not take raises
`Refused`; the judge's own words go to standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

__all__ = ["NOT_IN_TFLM", "Kernels", "Refused", "run_litert", "run_tflm", "trace_litert", "trace_tflm"]

Array = NDArray[Any]

NOT_IN_TFLM = frozenset({"TILE"})
"""Operators that the TFLM wheel does not register: LiteRT's own kernels judge them, exact for what moves bytes."""

ARENA_BYTES = 48 << 20
"""Enough for every tensor of a 224x224 network at once, which `trace_tflm` needs."""


class Refused(Exception):
    """The judge does not take this network."""


def run_tflm(content: bytes, inputs: Sequence[Array], *, arena_bytes: int = ARENA_BYTES) -> list[Array]:
    """What TFLM's reference kernels answer. inputs: in the file's order, of its shapes and types."""
    interpreter = _tflm(content, inputs, arena_bytes, preserve=False)
    count = _subgraph(content).OutputsLength()
    return [np.array(interpreter.get_output(index)) for index in range(count)]


def trace_tflm(content: bytes, inputs: Sequence[Array], *, arena_bytes: int = ARENA_BYTES) -> Mapping[int, Array]:
    """What TFLM computes for each tensor that an operator of the main graph writes, by index.

    RESHAPE and its like are left out where TFLM gives them no storage of their own; variables and resources too.
    """
    interpreter = _tflm(content, inputs, arena_bytes, preserve=True)
    subgraph = _subgraph(content)
    traced = {}
    for operator in map(subgraph.Operators, range(subgraph.OperatorsLength())):
        for tensor in operator.OutputsAsNumpy().tolist() if operator.OutputsLength() else ():
            held = interpreter.GetTensor(tensor, 0)
            elements = held["tensor_data"] if isinstance(held, dict) else held
            traced[tensor] = np.array(elements).reshape(_shape(subgraph.Tensors(tensor)))
    return traced


def _tflm(content: bytes, inputs: Sequence[Array], arena_bytes: int, *, preserve: bool) -> Any:
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="the tflite-micro wheel is not installed (extra `oracles`)"
    )
    kinds = runtime.InterpreterConfig
    try:
        interpreter = runtime.Interpreter.from_bytes(
            content,
            arena_size=arena_bytes,
            intrepreter_config=kinds.kPreserveAllTensors if preserve else kinds.kAllocationRecording,
        )
        for index, elements in enumerate(inputs):
            interpreter.set_input(np.ascontiguousarray(elements), index)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise Refused(f"TFLM: {error}") from error
    return interpreter


class Kernels(StrEnum):
    """Whose kernels LiteRT uses, one thread."""

    REFERENCE = "BUILTIN_REF"
    OPTIMISED = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    XNNPACK = "AUTO"


def run_litert(content: bytes, inputs: Sequence[Array], *, kernels: Kernels = Kernels.REFERENCE) -> list[Array]:
    """What LiteRT answers."""
    interpreter = _litert(content, inputs, kernels, preserve=False)
    return [np.array(interpreter.get_tensor(each["index"])) for each in interpreter.get_output_details()]


def trace_litert(content: bytes, inputs: Sequence[Array]) -> Mapping[int, Array]:
    """What LiteRT's reference kernels compute for each tensor of the main graph that has elements, by index."""
    interpreter = _litert(content, inputs, Kernels.REFERENCE, preserve=True)
    traced = {}
    for each in interpreter.get_tensor_details():
        try:
            traced[each["index"]] = np.array(interpreter.get_tensor(each["index"]))
        except ValueError:  # without storage: resources, optional ones
            continue
    return traced


def _litert(content: bytes, inputs: Sequence[Array], kernels: Kernels, *, preserve: bool) -> Any:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed (extra `oracles`)")
    try:
        interpreter = litert.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType[kernels],
            experimental_preserve_all_tensors=preserve,
        )
        interpreter.allocate_tensors()
        for each, elements in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(each["index"], elements)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise Refused(f"LiteRT: {error}") from error
    return interpreter


def _subgraph(content: bytes) -> Any:
    """Read by the generated schema: a judge must not depend on the reader under test."""
    from mcusim.frontends.vendored import tflite_schema

    schema: Any = tflite_schema
    return schema.Model.GetRootAs(content, 0).Subgraphs(0)


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else ()
