"""The best schedule without its front: equal to the front's own, where layers fit and where they do not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mcusim import searching, zoo
from mcusim.boards import load_board
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph, Padding
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.pricing.prices import coefficients
from mcusim.question.question import Question
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER
from mcusim.searching import best_of, fewest_bytes, front_of
from mcusim.searching.uncut import layers_are_cheapest

BOARD = "stm32h743"


def drawn(seed: int) -> Graph:
    """A small network; some have layers that leave out rows of what they read."""
    draw = random.Random(seed)
    builder = GraphBuilder(f"drawn {seed}")
    x = builder.input((1, draw.choice((16, 20)), 16, 3))
    for _ in range(3):
        kernel = draw.choice((1, 2, 3))
        padding = draw.choice((Padding.SAME, Padding.VALID))
        x = builder.conv_2d(x, draw.choice((4, 8, 16)), kernel, draw.choice((1, 1, 2)), padding)
    return builder.build([builder.conv_2d(x, 4, 1)])


def is_told(graph: Graph, runtime: str, *, moves_input: bool = True) -> bool:
    rules = RUNTIMES[runtime].rules
    prices = coefficients(RUNTIMES[runtime], load_board(BOARD))
    return layers_are_cheapest(lower(graph, LAYER, rules), rules, prices, moves_input=moves_input)


@pytest.mark.slow
@pytest.mark.parametrize("uncompiled", [0, 1 << 20])
@pytest.mark.parametrize("place", [None, InputPlace.ARENA])
@pytest.mark.parametrize("runtime", ["tinyengine", "mcusim"])
def test_best_equals_that_of_the_front(runtime, place, uncompiled, monkeypatch):
    monkeypatch.setattr(searching, "_UNCOMPILED", uncompiled)
    shortcuts = cut = nothing = 0
    for seed in range(16):
        graph = drawn(seed)
        asked = Question(model=graph, profile=BOARD, runtime=runtime, input_place=place)
        layer_bytes = front_of(asked).layer.peak_bytes
        for budget in (layer_bytes, layer_bytes - 1, layer_bytes // 3):
            question = replace(asked, sram_budget_bytes=budget)
            kinds = RUNTIMES[runtime].cut_stages
            front = front_of(question, kinds=kinds)
            best, nearest = best_of(question, kinds=kinds)
            assert best == front.best, (seed, budget)
            assert nearest == (front.best or front.nearest), (seed, budget)
            assert fewest_bytes(question, kinds=kinds) == min([point.peak_bytes for point in front.points])
            if budget == layer_bytes and is_told(graph, runtime, moves_input=place is None):
                assert front.points[0].schedule == LAYER
                shortcuts += 1
            cut += best is not None and not best.schedule.is_layer
            nothing += best is None
    assert min(cut, nothing) > 3, (cut, nothing)
    assert shortcuts > 3 or (runtime == "mcusim" and place is None)


def test_runtimes_without_stages_have_the_layers_only():
    graph = drawn(0)
    for budget in (1 << 10, 1 << 18):
        question = Question(model=graph, profile=BOARD, runtime="tflm", sram_budget_bytes=budget)
        front = front_of(question, kinds=())
        assert best_of(question, kinds=()) == (front.best, front.nearest)


def test_windows_that_skip_rows_are_not_told():
    builder = GraphBuilder("skips")
    x = builder.conv_2d(builder.conv_2d(builder.input((1, 16, 16, 3)), 8, 3, 1), 8, 1, 2)
    assert not is_told(builder.build([x]), "tinyengine")


@pytest.mark.parametrize("name", ["mcunet-in2", "mcunet-vww0", "person-det", "mbv2-w0.35-r144"])
def test_networks_of_the_zoo_are_told(name):
    assert is_told(zoo.build(name), "tinyengine")
