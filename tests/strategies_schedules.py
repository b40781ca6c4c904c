"""Legal schedules of a network, drawn: patches and bands, several stages, wherever operators can be cut."""

from __future__ import annotations

from hypothesis import strategies as st

from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph, Padding
from mcusim.lowering.staging import computes, is_tileable, network_of
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule, StageKind, StageSpec

MOST_PIECES = 6
"""Along one axis: uneven and non-square grids need no more."""


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Small CNNs with strides, pools, branches and shortcuts."""
    builder = GraphBuilder("drawn")
    x = builder.input((1, draw(st.integers(6, 20)), draw(st.integers(6, 20)), 3))
    for _ in range(draw(st.integers(2, 6))):
        kernel, stride = draw(st.sampled_from((1, 3, 5))), draw(st.sampled_from((1, 1, 2)))
        rows, cols = builder.type_of(x).shape[1:3]
        padding = draw(st.sampled_from((Padding.SAME, kernel // 2)))
        kind = draw(st.sampled_from(("conv", "depthwise", "shortcut", "pool")))
        if min(rows, cols) < 3:
            break
        if kind == "conv":
            x = builder.conv_2d(x, draw(st.integers(1, 8)), kernel, stride=stride, padding=padding)
        elif kind == "depthwise":
            x = builder.depthwise_conv_2d(x, kernel, stride=stride, padding=padding)
        elif kind == "pool":
            x = builder.max_pool_2d(x, 2, stride=stride, padding=Padding.SAME)
        else:
            inner = builder.depthwise_conv_2d(x, kernel, padding=Padding.SAME)
            x = builder.add(builder.conv_2d(inner, builder.type_of(x).channels, 1), x)
    return builder.build([builder.conv_2d(x, 4, 1)])


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
