"""The smallest network with the same fault: whatever can be left out is left out, as long as the fault stays.

Every try runs in a process of its own, so that crashes can be made small too.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fuzzing.answers import answer
from fuzzing.mutations import packed, settled, unpacked

__all__ = ["fault_of", "minimised"]

SEEDS = 3
"""A fault that shows by chance only is given so many chances."""


def minimised(content: bytes) -> tuple[str, bytes]:
    """The kind of the file's first fault, and the smallest file that has it. ("", content) if it has none."""
    kind = fault_of(content)
    if not kind:
        return "", content
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(content):
            if len(candidate) < len(content) and fault_of(candidate, kind) == kind:
                content, smaller = candidate, True
                break
    return kind, content


def fault_of(content: bytes, wanted: str = "") -> str:
    """The kind of its first fault, or of the wanted one if it is among them; "" if there is none."""
    for seed in range(SEEDS):
        kinds = _kinds(content, seed)
        if kinds and (not wanted or wanted in kinds):
            return wanted or kinds[0]
    return ""


def _kinds(content: bytes, seed: int) -> list[str]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        stages: list[str] = []
        signal.alarm(30)
        outcome = answer(content, np.random.default_rng(seed), enter=stages.append, use_judge=True)
        os.write(writer, pickle.dumps([kind for kind, _ in outcome.faults])[: 1 << 16])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        written = stream.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return [f"died of {signal.Signals(os.WTERMSIG(status)).name}"]
    kinds: list[str] = pickle.loads(written) if written else []
    return kinds


def _candidates(content: bytes) -> Iterator[bytes]:
    """Files with a little less in them."""
    changes: list[Callable[[Any], bool]] = [_without_names]
    model = unpacked(content)
    graph = model.subgraphs[0]
    changes += [_without_operator(k) for k in range(len(graph.operators) - 1, -1, -1)]
    changes += [_without_tensor(k) for k in range(len(graph.tensors) - 1, -1, -1)]
    changes += [_smaller(k, axis) for k, t in enumerate(graph.tensors) for axis in range(len(_shape(t)))]
    for change in changes:
        made = unpacked(content)
        if change(made):
            yield from (settled(made), packed(made))


def _shape(tensor: Any) -> list[int]:
    return [] if tensor.shape is None else [int(size) for size in tensor.shape]


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


def _without_names(model: Any) -> bool:
    model.description, model.metadata, model.signatureDefs = None, None, None
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = f"t{number}"
    used = {tensor.buffer for part in model.subgraphs for tensor in part.tensors}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    return True


def _without_operator(index: int) -> Callable[[Any], bool]:
    def change(model: Any) -> bool:
        graph = model.subgraphs[0]
        if len(graph.operators) < 2:
            return False
        gone = graph.operators.pop(index)
        written = {i for operator in graph.operators for i in _indices(operator.outputs)}
        read = {i for operator in graph.operators for i in _indices(operator.inputs)}
        graph.outputs = [i for i in _indices(graph.outputs) if i in written] or _indices(graph.operators[-1].outputs)
        graph.inputs = [*_indices(graph.inputs), *(i for i in _indices(gone.outputs) if i in read)]
        return True

    return change


def _without_tensor(index: int) -> Callable[[Any], bool]:
    """If nothing uses it."""

    def moved(vector: Any) -> list[int]:
        return [i - (i > index) for i in _indices(vector)]

    def change(model: Any) -> bool:
        graph = model.subgraphs[0]
        uses = [graph.outputs, *(o.inputs for o in graph.operators), *(o.outputs for o in graph.operators)]
        if any(index in _indices(vector) for vector in uses):
            return False
        del graph.tensors[index]
        graph.inputs = [i - (i > index) for i in _indices(graph.inputs) if i != index]
        graph.outputs = moved(graph.outputs)
        for operator in graph.operators:
            operator.inputs, operator.outputs = moved(operator.inputs), moved(operator.outputs)
        return True

    return change


def _smaller(index: int, axis: int) -> Callable[[Any], bool]:
    """An axis halved, of this tensor and of all that have the same size there."""

    def change(model: Any) -> bool:
        tensor = model.subgraphs[0].tensors[index]
        shape = _shape(tensor)
        if shape[axis] < 2:
            return False
        shape[axis] //= 2
        tensor.shape = shape
        held = model.buffers[tensor.buffer].data if tensor.buffer else None
        if held is not None and len(held):
            model.buffers[tensor.buffer].data = np.asarray(held)[: len(held) // 2]
        return True

    return change
