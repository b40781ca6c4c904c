"""The cheapest schedule within so many bytes, compiled, against the front of all schedules: the same to the patch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_schedules import networks
from test_uncut import drawn

from mcusim import zoo
from mcusim.boards import load_board
from mcusim.designing.spaces import find_space
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph, Padding
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.pricing.prices import MACS_ONLY, Coefficients, coefficients
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import LAYER, StageKind
from mcusim.searching import _front
from mcusim.searching.surroundings import Space
from mcusim.searching.uncut import layers_are_cheapest
from mcusim.searching.within import Within, within_of

TINYENGINE = RUNTIMES["tinyengine"]
CLIPPED = replace(TINYENGINE, rules=replace(TINYENGINE.rules, uniform_patches=False))
UNCOPIED = replace(TINYENGINE, rules=replace(TINYENGINE.rules, copies_input_patch=False))
pytestmark = pytest.mark.slow

PATCHES = Space(kinds=frozenset({StageKind.PATCH}))
BOARD = "stm32f412"


def prices() -> Coefficients:
    known = coefficients(TINYENGINE, load_board(BOARD))
    assert known is not None
    return known


def within(graph: Graph, runtime: Runtime, place: InputPlace | None, space: Space = PATCHES) -> Within | None:
    """What goes with the network; None where layers may not be the cheapest, or a step is not of the form."""
    rules = runtime.rules
    program = lower(graph, LAYER, rules, place or rules.input_place)
    moves = place is None and rules.patch_input_place not in (None, rules.input_place)
    if not layers_are_cheapest(program, rules, prices(), moves_input=moves):
        return None
    return within_of(graph, rules, prices(), space, place)


def assert_as_on_the_front(graph: Graph, runtime: Runtime, place: InputPlace | None, space: Space = PATCHES) -> int:
    """At every size on the front, and a byte below. How many limits were compared; 0 where the front is needed."""
    one = within(graph, runtime, place, space)
    if one is None:
        return 0
    front = _front(graph, runtime, prices(), space, place)
    limits = {size for *_, size in front} | {size - 1 for *_, size in front} | {front[0][2] + 1000}
    for limit in sorted(limits, reverse=True):
        expected = next((point for point in front if point[2] <= limit), None)
        cheapest = one.cheapest(limit)
        assert (cheapest and (cheapest.schedule, cheapest.input_place, cheapest.total_bytes)) == expected, limit
    return len(limits)


@pytest.mark.parametrize("runtime", [TINYENGINE, CLIPPED, UNCOPIED], ids=["uniform", "clipped", "uncopied"])
@pytest.mark.parametrize("place", [None, *InputPlace])
def test_drawn_networks(runtime, place):
    compared = 0
    for seed in range(12):
        compared += assert_as_on_the_front(
            drawn(seed), runtime, place, Space(1 + seed % 3, 16 - seed % 5, PATCHES.kinds)
        )
    assert compared > 20 or (runtime is UNCOPIED and place is None)  # there an input that moves outside costs nothing


@given(networks(), st.sampled_from([TINYENGINE, CLIPPED, UNCOPIED]), st.sampled_from([None, *InputPlace]))
@settings(max_examples=30)
def test_networks_with_shortcuts_and_pools(graph, runtime, place):
    assert_as_on_the_front(graph, runtime, place)


@pytest.mark.parametrize("name", ["mcunet-vww0", "mbv2-w0.35-r144", "mcunet-in2"])
def test_networks_of_the_zoo(name):
    assert assert_as_on_the_front(zoo.build(name), TINYENGINE, None) > 20


def test_networks_of_a_search():
    compared = [
        assert_as_on_the_front(find_space("mcunet").drawn(seed).graph(str(seed)), TINYENGINE, None) for seed in range(3)
    ]
    assert max(compared) > 20, compared


def test_of_equal_schedules_the_one_of_fewer_rows():
    """On square maps a grid and its mirror take the same cycles and bytes."""
    builder = GraphBuilder("square")
    x = builder.input((1, 24, 24, 3))
    for channels in (8, 16, 8):
        x = builder.conv_2d(x, channels, 3, 1, Padding.SAME)
    graph = builder.build([builder.conv_2d(x, 4, 1)])
    one = within(graph, TINYENGINE, None)
    assert one is not None
    oblong, limit = 0, _front(graph, TINYENGINE, prices(), PATCHES)[0][2]
    while (cheapest := one.cheapest(limit)) is not None:
        assert all(stage.rows <= stage.cols for stage in cheapest.schedule.stages), str(cheapest.schedule)
        oblong += any(stage.rows < stage.cols for stage in cheapest.schedule.stages)
        limit = cheapest.total_bytes - 1
    assert oblong > 3


def test_steps_that_are_not_of_the_form_need_the_front():
    builder = GraphBuilder("two outputs")
    x = builder.conv_2d(builder.input((1, 16, 16, 3)), 4, 3, 1, Padding.SAME)
    dead_end = builder.conv_2d(x, 4, 3, 1, Padding.SAME)  # nobody reads it: its pieces may be empty
    assert dead_end
    graph = builder.build([builder.conv_2d(x, 4, 1)])
    assert within(graph, TINYENGINE, None) is None
    assert (
        within_of(zoo.build("mcunet-vww0"), TINYENGINE.rules, MACS_ONLY, PATCHES, None) is None
    )  # entries cost nothing
    assert within_of(zoo.build("mcunet-vww0"), TINYENGINE.rules, prices(), Space(), None) is None  # streams too
