"""An answer does not depend on what was asked before in the same process, whatever is kept between questions."""

from __future__ import annotations

import functools
import gc
import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from conftest import corpus_models
from test_moulds import drawn, with_untouched

from mcusim.errors import McusimError
from mcusim.frontends.tflite import read_tflite
from mcusim.graph import Graph
from mcusim.simulation.simulate import simulate

HOSTILE = Path(__file__).parent / "hostile"
BOARDS = ("stm32f412", "stm32h743")
SEEDS, VARIANTS = 4, 5


def variants(graph: Graph) -> Iterable[Graph]:
    """Networks that are nearly the same: of other names, of other outputs, with tensors to spare."""
    yield graph
    yield with_untouched(graph, 5000)
    yield replace(graph, outputs=(*graph.outputs, graph.nodes[0].outputs[0]))
    yield replace(graph, outputs=graph.outputs[::-1])
    yield replace(graph, nodes=tuple([replace(node, name=f"other {node.name}") for node in graph.nodes]))


def networks() -> list[Graph]:
    """The variants of a few networks, `VARIANTS` of each, then files."""
    graphs = [variant for seed in range(SEEDS) for variant in variants(drawn(seed))]
    for path in (*sorted(HOSTILE.glob("*.tflite")), *(model.path for model in corpus_models())):
        try:
            graphs.append(read_tflite(path))
        except McusimError:
            continue
    return graphs


def forget() -> None:
    """As in a new process: nothing is kept from question to question."""
    for kept in gc.get_objects():
        if isinstance(kept, functools._lru_cache_wrapper) and (kept.__module__ or "").startswith("mcusim"):
            kept.cache_clear()


def answer(graph: Graph, runtime: str, board: str) -> str:
    try:
        return repr(simulate(graph, profile=board, runtime=runtime).to_dict())
    except McusimError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tflm", "tinyengine", "mcusim"])
def test_the_order_of_questions_makes_no_difference(runtime: str) -> None:
    count = len(networks())
    answers: list[list[str]] = []
    for turn in range(VARIANTS):  # each variant is the first of its like once
        groups = [[VARIANTS * seed + (turn + k) % VARIANTS for k in range(VARIANTS)] for seed in range(SEEDS)]
        files = random.Random(turn).sample(range(SEEDS * VARIANTS, count), count - SEEDS * VARIANTS)
        forget()
        graphs = networks()  # what a network knows of itself is forgotten, too
        order = [*chain.from_iterable(groups), *files]
        given = {index: answer(graphs[index], runtime, BOARDS[index % 2]) for index in order}
        answers.append([given[index] for index in range(count)])
    for index, turns in enumerate(zip(*answers, strict=True)):
        assert len(set(turns)) == 1, f"{graphs[index].name} ({index})"
