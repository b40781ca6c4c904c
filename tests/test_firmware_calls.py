"""The C of networks that branch, loop and remember: call after call gives the executor's bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from drafts import inputs_for
from lanes import OUTPUTS, HostLane, expected_steps, first_difference, packed
from one_operator import Network
from test_circular_buffer import network as latest_rows
from test_control_flow import counting, drawn_network, read

import mcusim
from mcusim.firmware.emit import sources
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import Graph
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER
from mcusim.simulation.emission import network_of
from mcusim.zoo.loading import load

HOST = HostLane()
pytestmark = pytest.mark.skipif(not HOST.is_there, reason="no gcc on this machine")
CALLS = 4


def assert_same_calls(graph: Graph) -> None:
    """The outputs of several calls, of which each may leave something for the next."""
    network, _ = network_of(graph, LAYER, "net")
    made = sources(network)
    fed = [inputs_for(graph, call) for call in range(CALLS)]
    shown = HOST.run(made.files, "net", [array for arrays in fed for array in arrays], CALLS)
    answered = [bytes_ for step, _, _, bytes_ in shown if step == OUTPUTS]
    session = mcusim.session(graph)
    assert answered == [packed(output) for arrays in fed for output in session.run(list(arrays))]
    assert made.stored_bytes == find_runtime("mcusim").flash(graph).model_bytes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_branches_and_loops_compute_the_executors_bytes(seed: int) -> None:
    drawn = drawn_network(seed)
    graph, feeds = read(drawn), drawn.feeds(seed=1)
    network, _ = network_of(graph, LAYER, "net")
    shown = HOST.run(sources(network).files, "net", feeds)
    assert first_difference(shown, list(expected_steps(graph, network.program, feeds))) == ""
    assert_same_calls(graph)


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", [counting(), latest_rows(1, 1), latest_rows(4, 1), latest_rows(13, None)], ids=lambda made: made.label
)
def test_what_is_kept_lasts_from_call_to_call(made: Network) -> None:
    assert_same_calls(parse_tflite(made.content(), name="kept", where="kept.tflite"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mww_v2_okay_nabu", "mlperf_sww01_streaming_wakeword_int8", "tflm_keyword_scrambled"])
def test_streams_of_the_corpus_last_from_call_to_call(corpus: Path, name: str) -> None:
    assert_same_calls(load(str(corpus / "models" / f"{name}.tflite")))
