"""What is mutated: networks of one operator each, drawn as the tests draw them, small whole ones, and real files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from drafts import MAKERS, Draft
from operator_catalogue import OPERATORS, about
from strategies import network
from tflite_maker import INT8, Maker, make_options, schema

from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph

__all__ = ["HOSTILE", "Seed", "Seeds", "chain", "fan_out"]

T = TypeVar("T")
HOSTILE = Path(__file__).resolve().parents[1] / "hostile"
"""What was found, kept: generated networks of our own."""
MOST_BYTES = 400_000
"""Larger real files take too long for what they show."""


class Seed(NamedTuple):
    """A file to mutate.   name: says where it comes from."""

    name: str
    content: bytes


class RandomDraft(Draft):
    """A Draft that numpy chooses for, quicker than hypothesis."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.seed = int(rng.integers(2**32))
        self.builder = GraphBuilder("case")

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def flag(self) -> bool:
        return bool(self.rng.random() < 0.5)

    def subset(self, options: Sequence[T]) -> list[T]:
        count = self.number(1, max(len(options) - 1, 1))
        return [options[index] for index in self.rng.permutation(len(options))[:count]]

    def permuted(self, options: Sequence[T]) -> list[T]:
        return [options[index] for index in self.rng.permutation(len(options))]


class Seeds:
    """A source of seeds.   corpus: a folder of .tflite files, or None.   only: of these operators, a pattern."""

    def __init__(self, corpus: Path | None, only: str = "") -> None:
        self._only = [name for name in sorted({*MAKERS, *OPERATORS}) if re.search(only, name)] if only else []
        if only and not self._only:
            raise SystemExit(f"no operator is like '{only}'")
        self._own = sorted(MAKERS)
        self._real = [path for path in _files(corpus) if path.stat().st_size <= MOST_BYTES] if corpus else []
        self._kept = list(_files(HOSTILE)) if HOSTILE.is_dir() else []

    def draw(self, rng: np.random.Generator) -> Seed:
        """Mostly an operator of its own; else a whole network, state, a real file, or what was found before."""
        if self._only:
            name = self._only[int(rng.integers(len(self._only)))]
            if name in MAKERS and (name not in OPERATORS or rng.random() < 0.5):
                return Seed(name, write_tflite(MAKERS[name](RandomDraft(rng)).graph))
            return _listed(name, rng)
        kind = rng.random()
        if kind < 0.06 and self._real:
            return _read(self._real[int(rng.integers(len(self._real)))])
        if kind < 0.10 and self._kept:
            return _read(self._kept[int(rng.integers(len(self._kept)))])
        if kind < 0.14:
            return Seed("state", stateful(rng))
        if kind < 0.34:
            return Seed("network", write_tflite(network(RandomDraft(rng)).graph))
        if kind < 0.60:
            names = sorted(OPERATORS)
            return _listed(names[int(rng.integers(len(names)))], rng)
        op = self._own[int(rng.integers(len(self._own)))]
        return Seed(op, write_tflite(MAKERS[op](RandomDraft(rng)).graph))


def _listed(name: str, rng: np.random.Generator) -> Seed:
    """A network of one operator, of any type that it may have, packed without mcusim."""
    networks = _about(name)
    return Seed(name, networks[int(rng.integers(len(networks)))].content())


@cache
def _about(name: str) -> list[Any]:
    return list(about(name))


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.tflite"))


@cache
def _read(path: Path) -> Seed:
    return Seed(path.stem, path.read_bytes())


def stateful(rng: np.random.Generator) -> bytes:
    """A variable that is initialised, read, added to and assigned again."""
    made, size = Maker(), int(rng.integers(1, 5))
    handle = made.tensor((), schema.TensorType.RESOURCE, scales=())
    x, old, new = (made.tensor((1, size), INT8, scales=(0.5,)) for _ in range(3))
    first, value = made.tensor((), schema.TensorType.RESOURCE, scales=()), made.tensor((1, size), INT8, [3] * size)
    named = {"container": "", "sharedName": "state"}
    made.operator("VAR_HANDLE", [], [handle], make_options("VarHandleOptions", **named))
    made.operator("READ_VARIABLE", [handle], [old], make_options("ReadVariableOptions"))
    made.operator("ADD", [x, old], [new], make_options("AddOptions"))
    made.operator("ASSIGN_VARIABLE", [handle, new], [], make_options("AssignVariableOptions"))
    if rng.random() < 0.7:
        _initialised(made, (first, value), named)
    made.graph.inputs, made.graph.outputs = [x], [new]
    return made.pack()


def _initialised(made: Maker, tensors: tuple[int, int], named: dict[str, Any]) -> None:
    """CALL_ONCE of a subgraph that assigns the second of these tensors to the first's variable."""
    once = made.operator("CALL_ONCE", [], [], make_options("CallOnceOptions", initSubgraphIndex=1))
    made.graph.operators.insert(0, made.graph.operators.pop())
    assert once is made.graph.operators[0]
    part = schema.SubGraphT()
    part.tensors = [made.graph.tensors[index] for index in tensors]
    part.inputs, part.outputs, part.operators, part.name = [], [], [], "init"
    main, made.graph = made.graph, part
    made.operator("VAR_HANDLE", [], [0], make_options("VarHandleOptions", **named))
    made.operator("ASSIGN_VARIABLE", [0, 1], [], make_options("AssignVariableOptions"))
    made.graph = main
    made.model.subgraphs = [main, part]


# ---------------------------------------------------------------------------------------------------------------------
# Large ones, for what work grows with


def chain(nodes: int) -> Graph:
    """So many operators, one after the other."""
    builder = GraphBuilder(f"chain of {nodes}")
    x = builder.input((1, 4, 4, 4))
    for index in range(nodes):
        x = builder.op("RELU", (x,)) if index % 2 else builder.conv_2d(x, 4, 1)
    return builder.build([x])


def fan_out(nodes: int) -> Graph:
    """One tensor with so many readers, which are all summed up."""
    builder = GraphBuilder(f"fan-out of {nodes}")
    x = builder.input((1, 4, 4, 4))
    total = builder.op("RELU", (x,))
    source = total
    for _ in range(nodes // 2):
        total = builder.op("ADD", (total, builder.op("RELU", (source,))))
    return builder.build([total])
