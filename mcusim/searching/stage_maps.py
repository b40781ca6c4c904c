"""What each piece of a cut stage computes of every tensor, reads of its inputs, and finds cached: what to draw.

Two 3x3 convolutions of stride 1 with a border of zeros on maps of 8 rows, in two row pieces:

                    piece 0        piece 1
    input           [0, 6)         [2, 8)        read: two rows more on the inner side
    first           [0, 5)         [3, 8)        computed: one row more. Rows 3 and 4 twice, or cached between bands
    second          [0, 4)         [4, 8)        the stage's output, shared out evenly

`StageMap.rows` is a line of this table; `cached` has the rows that a band finds computed already: [3, 5) in band 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.lowering.addressing import stage_operands
from mcusim.program import Program, Stage, Step
from mcusim.region import Span, hull
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
    reads = _reads(program, stage)
    maps = [*_inputs(program, stage, reads), *(_map(program, stage, step, reads) for step in stage.steps)]
    joined: list[StageMap] = []
    for here in maps:
        before = joined[-1] if joined else None
        if before is not None and here.nodes and before.nodes and here[2:7] == before[2:7]:
            nodes, done = (*before.nodes, *here.nodes), max(before.done, here.done)
            joined[-1] = before._replace(tensors=(*before.tensors, *here.tensors), nodes=nodes, done=done)
        else:
            joined.append(here)
    return tuple(joined)


class _Read(NamedTuple):
    """What the steps of a stage read of a tensor, in each row piece and in each column piece."""

    rows: tuple[Span, ...]
    cols: tuple[Span, ...]


def _reads(program: Program, stage: Stage) -> dict[int, _Read]:
    """By tensor. A copy of a patch of the input is no reader: what reads the copy is."""
    reads: dict[int, _Read] = {}
    for step in stage_operands(program, stage):
        for operand in step.reads:
            if operand is not None and operand.step.node != ABSENT:
                tensor = program.views[operand.view].tensor
                rows = tuple([place.inside for place in operand.along_rows()])
                cols = tuple([place.inside for place in operand.along_cols()])
                known = reads.get(tensor)
                here = _Read(rows, cols)
                reads[tensor] = here if known is None else _Read(_hulls(known.rows, rows), _hulls(known.cols, cols))
    return reads


def _hulls(a: Sequence[Span], b: Sequence[Span]) -> tuple[Span, ...]:
    return tuple([hull(*pair) for pair in zip(a, b, strict=True)])


def _map(program: Program, stage: Stage, step: Step, reads: Mapping[int, _Read]) -> StageMap:
    output, tensor = step.signature.output, program.views[step.writes[0]].tensor
    nodes = () if step.node == ABSENT else (step.node,)
    cached = _cached(step, reads.get(tensor)) if stage.kind is StageKind.STREAM else ()
    done = step.priced_rows * step.priced_cols
    return StageMap((tensor,), nodes, output.rows, output.cols, step.rows, step.cols, cached, done)


def _cached(step: Step, read: _Read | None) -> tuple[Span, ...]:
    pairs = zip(read.rows, step.rows, strict=True) if read is not None else ()
    cached = [Span(need.start, min(need.stop, new.start) if new.length else need.stop) for need, new in pairs]
    return tuple([span if span.length else _NOTHING for span in cached]) if any(s.length for s in cached) else ()


def _inputs(program: Program, stage: Stage, reads: Mapping[int, _Read]) -> Iterator[StageMap]:
    """Tensors that the stage reads and does not make; a copy of a patch of the input stands for it."""
    made = {program.views[view].tensor for step in stage.steps for view in step.writes}
    for tensor, (rows, cols) in reads.items():
        if tensor not in made:
            kind = program.graph.tensors[tensor].type
            read = sum(span.length for span in rows) * sum(span.length for span in cols)
            yield StageMap((tensor,), (), kind.rows, kind.cols, rows, cols, (), read)
