"""What each piece of a cut stage computes of every tensor, reads of its inputs, and finds cached: what to draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.ops import OPS
from mcusim.program import Program, Stage, Step
from mcusim.region import Span, clip, hull
from mcusim.schedule import StageKind

__all__ = ["StageMap", "stage_maps"]

_NOTHING = Span(0, 0)


class StageMap(NamedTuple):
    """The feature map of a tensor, or of several in a row that are cut alike.

    tensors: their indices.   nodes: that write them; none for an input of the stage.
    height, width: of the map.   rows, cols: of each row piece and column piece, what is computed (of an input: read).
    cached: for each row piece, rows that an earlier one computed and this one still reads; () where there are none.
    done: elements that the runtime computes in all pieces together, borders of uniform patches included, by channel.
    """

    tensors: tuple[int, ...]
    nodes: tuple[int, ...]
    height: int
    width: int
    rows: tuple[Span, ...]
    cols: tuple[Span, ...]
    cached: tuple[Span, ...]
    done: int

    @property
    def factor(self) -> float:
        """How often an element is computed, on average."""
        return self.done / (self.height * self.width)


def stage_maps(program: Program, stage: Stage) -> tuple[StageMap, ...]:
    """The maps of a cut stage, in order: its inputs, then what its steps write."""
    found = [*_inputs(program, stage), *(_map(program, stage, step) for step in stage.steps)]
    joined: list[StageMap] = []
    for here in found:
        before = joined[-1] if joined else None
        if before is not None and here.nodes and before.nodes and here[2:7] == before[2:7]:
            nodes, done = (*before.nodes, *here.nodes), max(before.done, here.done)
            joined[-1] = before._replace(tensors=(*before.tensors, *here.tensors), nodes=nodes, done=done)
        else:
            joined.append(here)
    return tuple(joined)


def _map(program: Program, stage: Stage, step: Step) -> StageMap:
    output, tensor = step.signature.output, program.views[step.writes[0]].tensor
    nodes = () if step.node == ABSENT else (step.node,)
    cached = _cached(program, stage, step, tensor) if stage.kind is StageKind.STREAM else ()
    done = step.priced_rows * step.priced_cols
    return StageMap((tensor,), nodes, output.rows, output.cols, step.rows, step.cols, cached, done)


def _cached(program: Program, stage: Stage, step: Step, tensor: int) -> tuple[Span, ...]:
    wanted = _needed(program, stage.steps, tensor, True)
    pairs = zip(wanted, step.rows, strict=True) if wanted else ()
    found = [Span(need.start, min(need.stop, new.start) if new.length else need.stop) for need, new in pairs]
    return tuple([span if span.length else _NOTHING for span in found]) if any(s.length for s in found) else ()


def _inputs(program: Program, stage: Stage) -> Iterator[StageMap]:
    """Tensors that the stage reads and does not make; a copy of a patch of the input stands for it."""
    made = {program.views[view].tensor for step in stage.steps for view in step.writes}
    seen: set[int] = set()
    for step in stage.steps:
        for view in step.reads:
            tensor = program.views[view].tensor if view != ABSENT else ABSENT
            if tensor == ABSENT or tensor in made or tensor in seen:
                continue
            seen.add(tensor)
            kind = program.graph.tensors[tensor].type
            rows, cols = (_needed(program, stage.steps, tensor, by_rows) for by_rows in (True, False))
            read = sum(span.length for span in rows) * sum(span.length for span in cols)
            yield StageMap((tensor,), (), kind.rows, kind.cols, rows, cols, (), read)


def _needed(program: Program, steps: Sequence[Step], tensor: int, by_rows: bool) -> tuple[Span, ...]:
    """What the steps read of a tensor along one axis, in each piece; nothing if none reads it."""
    found: list[Span] = []
    for step in steps:
        for position, view in enumerate(step.reads):
            if view != ABSENT and program.views[view].tensor == tensor and step.node != ABSENT:
                asked = [_need(step, position, span, by_rows) for span in (step.rows if by_rows else step.cols)]
                found = [hull(*pair) for pair in zip(found, asked, strict=True)] if found else asked
    return tuple(found)


def _need(step: Step, position: int, span: Span, by_rows: bool) -> Span:
    call = step.signature
    output, source, needs = call.output, call.input(position), OPS[call.op].needs
    if not span.length:
        return _NOTHING
    if by_rows:
        region = needs(call, position, span, Span(0, output.cols))
        return clip(region.rows, source.rows) if region is not None else Span(0, source.rows)
    region = needs(call, position, Span(0, output.rows), span)
    return clip(region.cols, source.cols) if region is not None else Span(0, source.cols)
