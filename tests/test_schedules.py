"""Whatever the schedule, the outputs: every network in drawn pieces, executed inside the arena that they claim."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from conftest import CorpusModel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_schedules import cuttable_runs, networks, schedules

import mcusim
from mcusim import zoo
from mcusim.execution import prepared
from mcusim.execution.arena import Arena
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import Graph
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import Schedule

Array = np.ndarray[Any, Any]

ZOO_DRAWS, CORPUS_DRAWS, SMALL_DRAWS = 8, 4, 320
LEAST_DRAWS = 500
"""In any continuous integration, corpus or not."""
SIDE = 64
"""Rows of a published network's input here: its maps are small, its layers are all there."""
UNIFORM, CLIPPED = RUNTIMES["tinyengine"], RUNTIMES["tflm"]


def drawn_input(graph: Graph) -> list[Array]:
    rng = np.random.default_rng(5)
    arrays = []
    for index in graph.inputs:
        kind = graph.tensors[index].type
        if kind.dtype.is_float:
            arrays.append(rng.uniform(-1, 1, kind.shape).astype(kind.dtype.value))
        else:
            most = 2 ** (kind.dtype.bits - 1)  # numpy keeps elements of fewer than 8 bits in a byte each
            stored = kind.dtype.value if kind.dtype.bits >= 8 else "int8"
            lowest = 0 if kind.dtype.value.startswith("u") else -most
            arrays.append(rng.integers(lowest, lowest + 2 * most, kind.shape, dtype=stored))
    return arrays


def assert_same(
    graph: Graph, schedule: Schedule, runtime: Runtime, given_: list[Array], expected: list[Array], check: bool = False
) -> None:
    """The scheduled outputs are those of layer by layer, made in an arena of exactly the bytes that a report claims."""
    outputs = mcusim.execute(graph, given_, schedule=schedule, runtime=runtime, check=check)
    for output, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, wanted, err_msg=f"{runtime.name} {schedule}")
    if not any(
        graph.tensors[t].dtype.is_float for t in graph.inputs
    ):  # which a report refuses, or leaves to the caller
        sram = mcusim.simulate(graph, profile="stm32h743", runtime=runtime, schedule=schedule).sram
        ready = prepared(graph, schedule=schedule, runtime=runtime)
        kept_bytes = ready.placement.kept_bytes  # states that the runtime counts nowhere
        assert Arena(ready).storage.nbytes == sram.arena_bytes + sram.scratch_bytes + kept_bytes


def draws_made(graph: Graph, most: int) -> int:
    """How many drawn schedules of a network gave its outputs."""
    if not (cuttable_runs(graph, UNIFORM) and cuttable_runs(graph, CLIPPED)):
        return 0
    given_ = drawn_input(graph)
    expected = mcusim.execute(graph, given_)
    made = 0

    @settings(max_examples=most)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        nonlocal made
        runtime = data.draw(st.sampled_from([UNIFORM, CLIPPED]))
        assert_same(graph, data.draw(schedules(graph, runtime)), runtime, given_, expected)
        made += 1

    run()
    return made


@cache
def published_network(name: str) -> Graph:
    """With a small input, where the network allows another than its own."""
    description = zoo.network_description(name)
    rows, cols, channels = description["input"]
    if name != "person-det" and rows > SIDE:  # its upsampled maps go with one size of input only
        description = {**description, "input": [SIDE, SIDE * cols // rows, channels]}
    return with_seeded_weights(mcusim.load(description))


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, id=f"{name}-{ZOO_DRAWS}") for name in zoo.names()])
def test_published_networks(name):
    assert draws_made(published_network(name), ZOO_DRAWS) >= ZOO_DRAWS


def test_networks_of_the_corpus(corpus_model: CorpusModel):
    graph = mcusim.load(corpus_model.path)
    made = draws_made(graph, CORPUS_DRAWS)
    if not made:
        assert not any("CONV" in node.op for node in graph.nodes)
        pytest.skip("nothing in it can be cut")
    assert made >= CORPUS_DRAWS or float(corpus_model.row["macs_M"] or 0) < 1  # a small one may have fewer schedules


@pytest.mark.slow
def test_small_networks_of_every_kind():
    """Under a canary that finds whoever touches what is not its own."""
    made = 0

    @settings(max_examples=SMALL_DRAWS)
    @given(graph=networks(), data=st.data())
    def run(graph: Graph, data: st.DataObject) -> None:
        nonlocal made
        runtime = data.draw(st.sampled_from([UNIFORM, CLIPPED]))
        seeded = with_seeded_weights(graph)
        given_ = drawn_input(seeded)
        schedule = data.draw(schedules(seeded, runtime))
        assert_same(seeded, schedule, runtime, given_, mcusim.execute(seeded, given_), check=True)
        made += 1

    run()
    assert made >= SMALL_DRAWS


def test_there_are_draws_enough():
    assert ZOO_DRAWS * len(zoo.names()) + SMALL_DRAWS >= LEAST_DRAWS


@pytest.mark.parametrize("runtime", ["tinyengine", "mcusim"])
def test_images_of_a_batch_are_not_computed_on_top_of_each_other(runtime: str) -> None:
    """Pieces hold them row by row: shorter rows, written in place, would reach into the next image's."""
    builder = GraphBuilder("batch")
    x = builder.depthwise_conv_2d(builder.input((3, 12, 12, 3)), 1)
    x = builder.depthwise_conv_2d(x, 1, stride=2)
    graph = with_seeded_weights(builder.build([builder.conv_2d(builder.depthwise_conv_2d(x, 1), 4, 1)]))
    given = np.random.default_rng(3).integers(-128, 128, (3, 12, 12, 3), np.int8)
    right = mcusim.execute(graph, given)
    for schedule in ("patch:1x1@3", "patch:2x2@3", "stream:2@3", "patch:3x1@4"):
        outputs = mcusim.execute(graph, given, runtime=runtime, schedule=schedule)
        np.testing.assert_array_equal(outputs[0], right[0], err_msg=schedule)
