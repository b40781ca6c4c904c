"""Legal schedules of a network, drawn: patches and bands, several stages, wherever operators can be cut."""

from __future__ import annotations

from hypothesis import strategies as st

from mcusim.graph import Graph
from mcusim.lowering.staging import computes, is_tileable, network_of
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule, StageKind, StageSpec

MOST_PIECES = 6
"""Along one axis: uneven and non-square grids need no more."""


def cuttable_runs(graph: Graph, runtime: Runtime) -> list[tuple[int, int]]:
    """Longest runs [first, end) of computing nodes that a stage may cover."""
    steps = network_of(graph, runtime.rules).steps
    runs: list[tuple[int, int]] = []
    number, open_since = 0, -1
    for step in steps:
        able = is_tileable(step)
        if not able and open_since >= 0:
            runs.append((open_since, number))
            open_since = -1
        if computes(step):
            open_since = number if able and open_since < 0 else open_since
            number += 1
    runs += [(open_since, number)] * (open_since >= 0)
    return [(first, end) for first, end in runs if end > first]


@st.composite
def schedules(draw: st.DrawFn, graph: Graph, runtime: Runtime) -> Schedule:
    """One to three cut stages, layers between them."""
    outputs = [s.signature.output for s in network_of(graph, runtime.rules).steps if computes(s)]
    runs, stages, at = cuttable_runs(graph, runtime), [], 0
    for _ in range(draw(st.integers(1, 3))):
        left = [(max(first, at), end) for first, end in runs if end > at]
        if not left:
            break
        low, high = draw(st.sampled_from(left))
        first = draw(st.integers(low, high - 1))
        end = draw(st.integers(first + 1, min(high, first + 12)))
        if first > at:
            stages.append(StageSpec(StageKind.LAYER, first - at))
        last = outputs[end - 1]
        if draw(st.booleans()):
            rows, cols = [draw(st.integers(1, min(size, MOST_PIECES))) for size in (last.rows, last.cols)]
            stages.append(StageSpec(StageKind.PATCH, end - first, rows, cols))
        else:
            least = -(-last.rows // (2 * MOST_PIECES))
            band = draw(st.integers(least, last.rows))
            stages.append(StageSpec(StageKind.STREAM, end - first, band_rows=band))
        at = end
    return Schedule(tuple(stages))
