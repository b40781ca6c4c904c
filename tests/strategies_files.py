"""Network files and what goes into them, drawn: one operator or several, types, ranks, options, batches, operands.

    @given(case=drawn_files()) ... case.content, case.inputs_of(graph)

Constants may become inputs, or results of an operator, as begins, sizes, axes, shapes and weights of some files are.
Mostly they are fed what the constant held, so that the network stays a sensible one. A file may still be nonsense.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from drafts import MAKERS, ONE_OP, Draft
from fuzzing.answers import inputs_of
from fuzzing.mutations import packed, settled, unpacked
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_operator import Network
from operator_catalogue import OPERATORS, about
from operator_lines import networks as lines
from operator_variants import mixtures
from strategies import network
from strategies_schedules import networks as convolutional

from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.frontends.vendored import tflite_schema
from mcusim.graph import Graph

__all__ = ["DrawnFile", "drawn_files"]

Array = NDArray[Any]
schema: Any = tflite_schema  # generated, untyped

MOST_BATCHES = 3
_UNPACKABLE = (TypeError, ValueError, OverflowError, IndexError, AttributeError)
"""What the object API raises for numbers that a field cannot hold."""


@dataclass(frozen=True)
class DrawnFile:
    """A .tflite file.   name: where it comes from.   held: number of an input -> bytes of the constant that it was."""

    name: str
    content: bytes
    held: dict[int, bytes]
    seed: int

    def inputs_of(self, graph: Graph) -> list[Array]:
        """Random inputs, but what the constants held where one became an input."""
        arrays = inputs_of(graph, np.random.default_rng(self.seed))
        for number, stored in self.held.items():
            if number < len(arrays) and len(stored) == arrays[number].nbytes:
                arrays[number] = np.frombuffer(stored, arrays[number].dtype).reshape(arrays[number].shape)
        return arrays

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints; the file itself is written to the folder MCUSIM_KEEP."""
        kept = os.environ.get("MCUSIM_KEEP")
        if kept:
            name = f"{hashlib.sha256(self.content).hexdigest()[:12]}.tflite"
            (Path(kept) / name).write_bytes(self.content)
            printer.text(f"{name}: ")
        printer.text(f"{self.name}, seed {self.seed}, inputs {sorted(self.held)} were constants")


@st.composite
def drawn_files(draw: st.DrawFn) -> DrawnFile:
    """One operator as tests draw it or as the catalogue lists it, with up to three changes, or a small network."""
    name, content = draw(st.one_of(_operators(), _listed(), _several()))
    batches = draw(st.sampled_from((1, 1, 1, 2, MOST_BATCHES)))
    computes_operands = draw(st.integers(0, 2)) == 0
    seed = draw(st.integers(0, 2**32 - 1))
    held: dict[int, bytes] = {}
    if batches > 1 or computes_operands:
        model = unpacked(content)
        try:
            if batches > 1:
                _take_batches(model, batches)
                model = unpacked(settled(model))
            if computes_operands:
                held = _at_run_time(model, draw)
            content = packed(model)
        except _UNPACKABLE:
            held = {}
    return DrawnFile(name, content, held, seed)


# ---------------------------------------------------------------------------------------------------------------------
# Where files come from


@st.composite
def _operators(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(ONE_OP)))
    return name, write_tflite(MAKERS[name](Draft(draw)).graph)


@st.composite
def _listed(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(_bases())))
    networks = _bases()[name]
    base = networks[draw(st.integers(0, len(networks) - 1))]
    if draw(st.booleans()):
        return name, base.content()
    [(_, kinds, changed)] = mixtures({name: [base]}, 1, draw(st.integers(0, 2**32 - 1)))
    try:
        return f"{name} ({kinds})", changed.content()
    except _UNPACKABLE:
        return name, base.content()


@st.composite
def _several(draw: st.DrawFn) -> tuple[str, bytes]:
    if draw(st.booleans()):
        return "network", write_tflite(network(Draft(draw)).graph)
    return "convolutions", write_tflite(with_seeded_weights(draw(convolutional())))


@cache
def _bases() -> dict[str, Sequence[Network]]:
    """Operator -> networks of it."""
    by_operator: dict[str, list[Network]] = {op: list(networks) for op, networks in lines().items()}
    for name in OPERATORS:
        by_operator.setdefault(name, []).extend(about(name))
    return dict(by_operator)


# ---------------------------------------------------------------------------------------------------------------------
# What is done to them


def _take_batches(model: Any, batches: int) -> None:
    """So many times the batches, of every input of values."""
    graph = model.subgraphs[0]
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if len(tensor.shape if tensor.shape is not None else ()) > 1:
            tensor.shape = [int(tensor.shape[0]) * batches, *map(int, tensor.shape[1:])]


def _at_run_time(model: Any, draw: st.DrawFn) -> dict[int, bytes]:
    """Make some constants inputs, or copies of inputs; return what those held that are fed it."""
    graph = model.subgraphs[0]
    constants = [
        index
        for index, tensor in enumerate(graph.tensors)
        if tensor.buffer
        and len(model.buffers[tensor.buffer].data if model.buffers[tensor.buffer].data is not None else ())
    ]
    if not constants:
        return {}
    held: dict[int, bytes] = {}
    graph.inputs = [int(index) for index in graph.inputs]
    for index in draw(st.lists(st.sampled_from(constants), min_size=1, max_size=2, unique=True)):
        tensor = graph.tensors[index]
        stored = bytes(model.buffers[tensor.buffer].data)
        tensor.buffer = 0
        given = index
        if draw(st.booleans()):
            given = len(graph.tensors)
            graph.tensors.append(copy.deepcopy(tensor))
            graph.operators.insert(0, _copies(model, given, index, tensor.shape))
        if draw(st.integers(0, 4)):
            held[len(graph.inputs)] = stored
        graph.inputs.append(given)
    return held


def _copies(model: Any, source: int, output: int, shape: Any) -> Any:
    """A RESHAPE that changes nothing: what it gives is computed."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    model.operatorCodes.append(code)
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, [source], [output]
    made.builtinOptionsType, made.builtinOptions = schema.BuiltinOptions.ReshapeOptions, schema.ReshapeOptionsT()
    made.builtinOptions.newShape = [int(size) for size in (shape if shape is not None else ())]
    return made
