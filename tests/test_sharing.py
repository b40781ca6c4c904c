"""Several networks in one arena: the largest head and all tails."""

from __future__ import annotations

import json

import pytest
from commands import run
from test_tflm_setup import recurrent

import mcusim
from mcusim.errors import PlanError
from mcusim.frontends.tflite import parse_tflite
from mcusim.memory.planning import plan_memory
from mcusim.memory.sharing import share_arena
from mcusim.runtimes import RUNTIMES

TFLM = RUNTIMES["tflm"]


def graphs():
    return [mcusim.load("mcunet-vww0"), mcusim.load("person-det"), mcusim.load("smallcifar")]


@pytest.mark.parametrize("runtime", ["tflm", "tflm-cmsis-nn"])
def test_the_largest_head_and_all_tails(runtime):
    shared = share_arena(graphs(), RUNTIMES[runtime])
    alone = [plan_memory(graph, runtime) for graph in graphs()]
    assert shared.arena_bytes == max(plan.arena_bytes for plan in alone)
    assert shared.persistent_bytes == sum(plan.persistent.size_bytes for plan in alone)
    assert shared.recommended_arena_bytes == -(-(shared.arena_bytes + shared.persistent_bytes) // 16) * 16
    assert shared.recommended_arena_bytes < shared.apart_bytes == sum(plan.recommended_arena_bytes for plan in alone)


def test_one_network_shares_with_nobody():
    graph = graphs()[0]
    assert share_arena([graph], TFLM).recommended_arena_bytes == plan_memory(graph, TFLM).recommended_arena_bytes


def test_the_last_one_sets_up_beside_the_tails_of_the_others():
    """An unrolled network needs more to set up than it uses: first it has the arena to itself, last it has not."""
    unrolled = parse_tflite(recurrent(20).pack(), name="unrolled", where="unrolled.tflite")
    small = mcusim.load("smallcifar")
    alone = plan_memory(unrolled, TFLM)
    assert alone.setup_bytes > 1000
    last = share_arena([small, unrolled], TFLM)
    tail = plan_memory(small, TFLM).persistent.size_bytes
    assert last.recommended_arena_bytes >= tail + TFLM.setup(unrolled)
    first = share_arena([unrolled, small], TFLM)
    assert first.recommended_arena_bytes <= last.recommended_arena_bytes


@pytest.mark.parametrize("others", [1, 2, 3])
def test_setting_up_needs_its_own_arena_above_all_tails(others):
    """Networks that need more to set up than to run: the last one of them sets the size."""
    unrolled = parse_tflite(recurrent(20).pack(), name="unrolled", where="unrolled.tflite")
    tail = plan_memory(unrolled, TFLM).persistent.size_bytes
    shared = share_arena([unrolled] * (others + 1), TFLM)
    assert shared.recommended_arena_bytes == -(-(others * tail + TFLM.setup(unrolled)) // 16) * 16
    assert shared.setup_bytes > 0


def test_generated_code_has_no_arena_to_share():
    with pytest.raises(PlanError, match="has no interpreters that could share an arena"):
        share_arena(graphs(), RUNTIMES["tinyengine"])


def test_several_networks_on_the_command_line(elsewhere):
    names = [graph.name for graph in graphs()]
    code, out, _ = run("plan", *names, "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert [each["model"] for each in document["models"]] == names
    assert document["recommended_arena_bytes"] == share_arena(graphs(), TFLM).recommended_arena_bytes
    code, out, _ = run("plan", *names)
    assert code == 0
    assert f"{document['recommended_arena_bytes']:,} bytes: the largest head" in out
    for option in (["--all"], ["--reorder"], ["--emit", "header", "x.h"], ["--profile", "stm32h743"]):
        code, _, err = run("plan", *names, *option)
        assert code == 2
        assert option[0] in err
