"""Drawn networks, whatever they are made of: compiled and plain kernels, schedules, an export and the TFLM wheel agree.

Wherever two of them run, their outputs are equal. Arenas begin with garbage, and guard pages lie around all memory.
MCUSIM_DIFFERENTIAL=5000 draws so many examples (20 minutes); the usual number takes half a minute. MCUSIM_KEEP names a
folder for the files of failing ones.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    pytest.skip("numba's compiler is off", allow_module_level=True)
pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from fuzzing.answers import CUTTING, UNSET, Array, compare, outputs_of
from fuzzing.judging import judged
from fuzzing.rooms import GuardedRooms, guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_files import DrawnFile, drawn_files
from strategies_schedules import cuttable_runs, schedules

from mcusim.errors import McusimError
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph
from mcusim.limits import memory_limit, refuse_beyond
from mcusim.ops.rooms import rooms_made_by
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER

EXAMPLES = int(os.environ.get("MCUSIM_DIFFERENTIAL", "200"))
MEMORY_BYTES = 64 << 20
MOST_NODES = 40


@pytest.mark.slow
def test_all_ways_to_run_a_drawn_network_give_the_same_bytes() -> None:
    """Half of the networks are run by the wheel, too, and a third under schedules: else the test would say little."""
    counts: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(case=drawn_files(), data=st.data())
    def runs_alike(case: DrawnFile, data: st.DataObject) -> None:
        counts["drawn"] += 1
        rooms = GuardedRooms(case.seed)
        with rooms_made_by(rooms.make), memory_limit(MEMORY_BYTES):
            try:
                graph = guarded(parse_tflite(case.content, name="case", where="case.tflite"), rooms)
                inputs = case.inputs_of(sized(graph))
                ours = outputs_of(graph, LAYER, "tflm", inputs, compiled=True)
            except McusimError:
                counts["refused"] += 1
                return
            counts["executed"] += 1
            assert_others_agree(case, graph, inputs, ours, data, counts)
        assert rooms.damaged() == 0

    runs_alike()
    print(dict(counts))
    assert counts["judged"] > counts["drawn"] // 3
    assert counts["schedules"] > counts["drawn"] // 10


def sized(graph: Graph) -> Graph:
    """The graph, if its inputs take a sensible amount of memory."""
    size_bytes = sum(8 * max(graph.tensors[index].type.elements, 0) for index in graph.inputs)
    refuse_beyond(size_bytes, "drawing its inputs", where="the test")
    return graph


def assert_others_agree(
    case: DrawnFile, graph: Graph, inputs: list[Array], ours: list[Array], data: st.DataObject, counts: Counter[str]
) -> None:
    compare("plain kernels differ", ours, outputs_of(graph, LAYER, "tflm", inputs, compiled=False))
    written = write_tflite(graph)
    exported = parse_tflite(written, name="case", where="case.tflite")
    compare("an export differs", ours, outputs_of(exported, LAYER, "tflm", inputs, compiled=True))
    assert write_tflite(exported) == written
    runtime = data.draw(st.sampled_from(CUTTING), label="runtime")
    if len(graph.nodes) <= MOST_NODES and cuttable_runs(graph, find_runtime(runtime)):
        schedule = data.draw(schedules(graph, find_runtime(runtime)), label="schedule")
        compiled = data.draw(st.booleans(), label="compiled")
        try:
            outputs = outputs_of(graph, schedule, runtime, inputs, compiled=compiled)
        except McusimError:
            counts["schedules refused"] += 1
        else:
            counts["schedules"] += 1
            compare("a schedule differs", ours, outputs)
    if any(node.op.startswith("CUSTOM") or node.op in UNSET for node in graph.nodes):
        return
    for name, content in (("TFLM differs", case.content), ("TFLM differs on the export", written)):
        theirs = judged(content, inputs)
        counts["judged"] += theirs is not None
        if theirs is not None:
            kept = [
                (one, other.reshape(one.shape) if other.size == one.size else other)
                for one, other, index in zip(ours, theirs, graph.outputs, strict=True)
                if not graph.tensors[index].dtype.is_packed  # which TFLM returns as it is stored
            ]
            compare(name, [one for one, _ in kept], [other for _, other in kept])
