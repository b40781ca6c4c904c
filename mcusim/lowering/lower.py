"""Graph + schedule + the rules of a runtime -> Program.

    1. fold    a PAD into the convolution behind it, a RESHAPE into nothing             folding.py
    2. split   the steps among the stages; which region each piece computes             staging.py
    3. store   one buffer for what a step writes: alive from that step to its last reader
    4. join    a buffer on top of an input that nobody reads afterwards                 `_taken_over`
    5. view    where a step finds the rows of a piece: whole tensor, piece, line buffer

Example of a lifetime. Steps 0, 1, 2 are conv, conv, ADD; the ADD reads what both convolutions wrote:

    step        0   1   2
    input       #               [0, 1)    read by step 0
    conv 0      #   #   #       [0, 3)    read by steps 1 and 2: alive beside step 1
    conv 1          #   #       [1, 3)
    ADD                 #       [2, 3)    may be computed on top of conv 0 or conv 1

Example of a cut. A 3x3 convolution of stride 2 without padding makes 4 rows of 9. In two bands:

    band 0   writes rows [0, 2), reads rows [0, 5)
    band 1   writes rows [2, 4), reads rows [4, 9)      row 4 is read twice: the halo
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mcusim.errors import ScheduleError
from mcusim.graph import ABSENT, Attributes, Graph, Signature, signature, tensor_type
from mcusim.lowering.linking import link
from mcusim.lowering.moulds import frame_of, most_held, row_pitch_bytes, steps_facts
from mcusim.lowering.nearest import nearest_schedule
from mcusim.lowering.rules import InputPlace, LoweringRules, Scratch
from mcusim.lowering.staging import (
    AxisRow,
    StagePlan,
    StepNode,
    Sweep,
    copied_inputs,
    network_of,
    overwritten,
    resized,
    split,
)
from mcusim.lowering.variables import changed_variables, remembered, stored_variables
from mcusim.program import (
    Buffer,
    BufferKind,
    Home,
    Program,
    ScratchUse,
    Stage,
    Step,
    Variable,
    View,
    ViewKind,
    scratch_name,
)
from mcusim.region import Span
from mcusim.schedule import LAYER, Schedule, StageKind

__all__ = ["BENEATH", "lower", "lower_alone"]

BENEATH = "beneath"
"""Role of working memory that is the storage of an input, whose output is computed on top of it and is smaller."""


def lower(graph: Graph, schedule: Schedule, rules: LoweringRules, input_place: InputPlace | None = None) -> Program:
    """The Program that runs `graph` under `schedule` as a runtime with `rules` would.

    Raises ScheduleError for a schedule that does not go with the network, with the nearest one that does.
    """
    place = input_place or rules.input_place
    frame = None if schedule.stages or schedule.is_auto else frame_of(graph, rules, place)
    cast = None if frame is None else frame.cast(graph)
    if cast is not None:
        return cast
    try:
        lowering = _Lowering(graph, schedule, rules, place)
        program = lowering.program()
    except ScheduleError as error:
        # For `auto` nothing is near: which stages it stands for depends on a board, and none is given here.
        if schedule.is_auto:
            raise
        nearest = nearest_schedule(network_of(graph, rules).steps, schedule)
        raise ScheduleError(error.what, where=error.where, fix=f"use {nearest}, the nearest that works") from None
    # A mould cannot hold subgraphs: where linking added moments, the steps no longer follow from the wiring alone.
    linked = link(program, rules)
    if frame is not None and linked is program:
        frame.learn(program, lowering.folding)
    return linked


def lower_alone(graph: Graph, rules: LoweringRules, input_place: InputPlace | None = None) -> Program:
    """The steps of the network itself, layer by layer: without subgraphs that they enter, and what no step touches."""
    return _Lowering(graph, LAYER, rules, input_place or rules.input_place).program()


class _Life(NamedTuple):
    """Storage of the arena: alive on steps [first, end), and which part of the tensor it holds."""

    first: int
    end: int
    kind: ViewKind = ViewKind.WHOLE


class _Lowering:
    """What the passes below share while a Program is made.

    root: tensor -> the tensor whose storage holds it, aliases followed.   steps: the nodes that are steps.
    stages: which of them run together.   cuts: for each step of a cut stage, its intervals along rows and columns.
    uniform: steps whose pieces are all of one size, padded at the border.
    inputs, outputs: storage of the network's inputs and outputs.   outside: of external inputs.
    copied: external input that is copied patch by patch -> what stands for it outside the arena.
    """

    def __init__(self, graph: Graph, schedule: Schedule, rules: LoweringRules, input_place: InputPlace) -> None:
        self.graph, self.rules, self.input_place = graph, rules, input_place
        self.folding, self.root, steps, self.inputs, self.outputs = network_of(graph, rules)
        self.steps = [*steps]
        is_outside = input_place is InputPlace.EXTERNAL
        # What a caller owns (an external input) takes no bytes of the arena, but views of it exist all the same.
        self.outside = {storage for storage in self.inputs if is_outside and self._is_stored(storage)}
        self.copied: dict[int, int] = {}
        self.stages = split(graph, self.steps, schedule)
        if rules.copies_input_patch:
            self._copy_input_patches()
        self.cuts: dict[int, tuple[AxisRow, AxisRow]] = {}
        self.uniform: set[int] = set()
        for plan in self.stages:
            if plan.spec.is_cut:
                self._cut(plan, schedule)

    def program(self) -> Program:
        lives = self._lives()
        buffers, views, view_of = self._storages(lives)
        variables = self._variables(buffers, views, view_of)
        stages = self._stages(buffers, view_of, variables)
        homes = self._homes(views, view_of)
        return Program(
            self.graph,
            stages,
            tuple(buffers),
            tuple(views),
            inputs=tuple([self._end(tensor, homes) for tensor in self.graph.inputs]),
            outputs=tuple([self._end(tensor, homes) for tensor in self.graph.outputs]),
            homes=tuple(homes),
            variables=variables,
            free=tuple(self.folding.free),
            caller=tuple(self.folding.caller),
        )

    def _copy_input_patches(self) -> None:
        """Before a cut stage that reads an external input: a step that copies the patch into the arena."""
        plan = self.stages[0]
        if not plan.spec.is_cut:
            return
        copies: list[StepNode] = []
        for storage in copied_inputs(self.graph, self.steps, plan.end, self.outside - self.outputs):
            kind = self.graph.tensors[storage].type
            # Behind the last tensor's number, so that the copy and its source are two storages though they are one
            # tensor.
            self.copied[storage] = outside = len(self.root) + len(copies)
            copies.append(StepNode(ABSENT, signature("COPY", Attributes(), (kind,), (kind,)), (outside,), (storage,)))
        self.steps[:0] = copies
        # Every stage moves back by the copies in front of it. The first one takes them in, so that they run patch by
        # patch.
        grown = [StagePlan(p.spec, p.first + len(copies), p.end + len(copies)) for p in self.stages]
        self.stages = [grown[0]._replace(first=0), *grown[1:]]

    # -- cut stages ---------------------------------------------------------------------------------------------------

    def _cut(self, plan: StagePlan, schedule: Schedule) -> None:
        """Intervals of every step of a stage that runs in pieces."""
        steps, spec = self.steps[plan.first : plan.end], plan.spec
        written = {storage for step in steps for storage in step.writes}
        read_later = {storage for step in self.steps[plan.end :] for storage in step.reads}
        # What leaves the stage is asked for in full, whoever reads it. What the last step writes leaves it too, even
        # if nobody reads it: its pieces are what the grid or the band divides.
        kept = frozenset(written & (read_later | self.outputs)) | frozenset(steps[-1].writes)
        where = f"schedule '{schedule}', stage {spec}"
        last = steps[-1].signature.outputs[0] if steps[-1].signature.outputs else tensor_type(())
        streams = spec.kind is StageKind.STREAM
        band = min(spec.band_rows, last.rows) if streams else 0
        # No finer than the map, so that an operator that cannot be cut at all is told first, and in no time.
        grid_rows, grid_cols = min(spec.rows, last.rows), min(spec.cols, last.cols)
        # Regions are rows times columns, so each axis is swept alone, with the whole of the other.
        along_rows = Sweep(True, kept, where, grid_rows, band, last.rows).rows(steps)
        along_cols = Sweep(False, kept, where, grid_cols).rows(steps)
        if spec.rows > last.rows or spec.cols > last.cols:
            raise ScheduleError(
                f"the grid is finer than the {last.rows}x{last.cols} output of {steps[-1].signature.op}",
                where=where,
                fix="use a coarser grid",
            )
        for offset, pair in enumerate(zip(along_rows, along_cols, strict=True)):
            self.cuts[plan.first + offset] = pair
        if self.rules.uniform_patches and not streams:
            self.uniform.update(range(plan.first, plan.end))

    # -- lives --------------------------------------------------------------------------------------------------------

    def _lives(self) -> dict[int, _Life]:
        """Life of each storage, in order of first appearance (an op's inputs before its outputs).

        Inputs live from the first step on and outputs to the last; a tensor that nobody reads lives during its own
        step. What a cut stage reads from before it, or leaves behind, lives for the whole stage: every piece needs
        it. Constants, variables, resources and an external input have no storage here.
        """
        # An input that is copied in pieces: the copy takes bytes, the original does not.
        external = (self.outside - set(self.copied)) | set(self.copied.values())
        first: dict[int, int] = {}
        end: dict[int, int] = {}
        for plan in self.stages:
            whole = not plan.spec.is_cut
            written: set[int] = set()
            for time in range(plan.first, plan.end):
                step = self.steps[time]
                written.update(step.writes)
                for storage in step.reads + step.writes:
                    if storage in first:
                        # In a cut stage the loop over the pieces comes back to this step. What was there before the
                        # stage must therefore last until the stage ends; what the stage itself wrote only until the end
                        # of this step, because each round writes it anew.
                        end[storage] = time + 1 if whole or storage in written else plan.end
                    elif storage != ABSENT and storage not in external and self._is_stored(storage):
                        first[storage] = time
                        end[storage] = time + 1 if whole or storage in step.writes else plan.end
        for storage in self.inputs - self.outside:
            if self._is_stored(storage):
                first[storage] = 0
                end.setdefault(storage, 1)
        # Overrides what the walk found: a caller writes the input before the first step, however late that is read.
        for storage in self.outputs:
            if storage in first:
                end[storage] = max(len(self.steps), 1)
        lives = {storage: _Life(start, end[storage]) for storage, start in first.items()}
        for plan in self.stages:
            if plan.spec.is_cut:
                self._shorten(plan, lives)
        return lives

    def _is_stored(self, storage: int) -> bool:
        """Whether a tensor takes bytes of the arena. A variable does not, even where the network is given it."""
        tensor = self.graph.tensors[storage]
        return bool(tensor.type.size_bytes) and not tensor.type.is_constant and not tensor.is_variable

    def _shorten(self, plan: StagePlan, lives: dict[int, _Life]) -> None:
        """Storage that a cut stage writes: what leaves it is whole from the stage's start, the rest is pieces."""
        for time in range(plan.first, plan.end):
            step = self.steps[time]
            rows, _ = self.cuts[time]
            for storage in step.writes:
                life = lives.get(storage)
                if life is None:
                    continue
                # Pieces of what leaves the stage are written in every round of the loop, the first one included, so
                # the whole of it is taken from the stage's first step on, however late its own step comes.
                if life.end > plan.end or storage in self.outputs or time == plan.end - 1:
                    lives[storage] = _Life(plan.first, life.end)
                elif rows.carried:
                    lives[storage] = _Life(plan.first, plan.end, ViewKind.LINES)
                else:
                    lives[storage] = _Life(life.first, life.end, ViewKind.PIECE)

    # -- storage ------------------------------------------------------------------------------------------------------

    def _storages(self, lives: dict[int, _Life]) -> tuple[list[Buffer], list[View], dict[int, int]]:
        """One buffer and one view for each storage, and storage -> view."""
        under = self._taken_over(lives)
        sizes = self._piece_sizes()
        tensors, alignment = self.graph.tensors, self.rules.alignment
        buffers: list[Buffer] = []
        views: list[View] = []
        view_of: dict[int, int] = {}
        for storage, (first, end, held) in lives.items():
            tensor = tensors[storage]
            size_bytes, capacity = self.rules.stored_bytes(tensor.type), 0
            # A piece or line buffer is packed: its rows are as wide as the widest piece, not as the tensor.
            pitch_bytes = row_pitch_bytes(tensor.type)
            if held is not ViewKind.WHOLE:
                rows, cols = sizes[storage]
                pitch_bytes = tensor.type.row_bytes(cols)
                size_bytes = rows * pitch_bytes
                capacity = rows
            kind = BufferKind.ACTIVATION
            if storage in self.inputs:
                kind = BufferKind.INPUT
            elif storage in self.outputs:
                kind = BufferKind.OUTPUT
            over = ABSENT
            # The old buffer must be large enough as stored: rounded up, a piece may exceed the piece under it.
            if storage in under and size_bytes <= buffers[view_of[under[storage]]].size_bytes:
                over = view_of[under[storage]]  # the old buffer ends where the new one takes over
                buffers[over] = buffers[over]._replace(end=first)
            view_of[storage] = index = len(views)
            views.append(View(storage, index, held, 0, pitch_bytes, capacity))
            buffers.append(
                Buffer(tensor.name, self.rules.aligned(size_bytes), first, end, kind, alignment, storage, over)
            )
        for storage in self.outside:
            key = self.copied.get(storage, storage)
            view_of[key] = len(views)
            pitch_bytes, pointer, pointer_bytes = (
                row_pitch_bytes(tensors[storage].type),
                ABSENT,
                self.rules.pointer_bytes,
            )
            if pointer_bytes:
                pointer, name = len(buffers), f"pointer to {tensors[storage].name}"
                kind = BufferKind.VARIABLE
                buffers.append(Buffer(name, pointer_bytes, 0, len(self.steps), kind, pointer_bytes))
            views.append(View(storage, ABSENT, ViewKind.OUTSIDE, 0, pitch_bytes, pointer=pointer))
        return buffers, views, view_of

    def _piece_sizes(self) -> dict[int, tuple[int, int]]:
        """Rows and columns of a piece buffer: the most that one iteration of a cut stage holds of a tensor.

        Tensors that are needed outside the stage are held whole, whatever this says.
        """
        return {
            storage: (rows.uniform, cols.uniform) if time in self.uniform else (rows.held, cols.held)
            for time, (rows, cols) in self.cuts.items()
            for storage in self.steps[time].writes
        }

    def _taken_over(self, lives: dict[int, _Life]) -> dict[int, int]:
        """Output storage -> input storage that it is computed on top of, where nobody else needs that any more.

        Pieces go on top of pieces only: what lives for a whole cut stage is read by every iteration of it.
        """
        source_of: dict[int, int] = {}
        tensors = self.graph.tensors
        if not self.rules.in_place:
            return source_of
        for time, step in enumerate(self.steps):
            if step.signature.op not in self.rules.in_place or not step.writes:
                continue
            target = step.writes[0]
            piece, is_cut = self._piece(time, step.signature), time in self.cuts
            for position in overwritten(self.rules, step.signature, piece, is_cut=is_cut):
                source = step.reads[position]
                if source not in lives or target not in lives or source in self.outputs:
                    # An output of the network must still hold its own value when the inference ends.
                    continue
                # Three times must agree: the source exists before this step, the target starts with it, and nobody
                # reads the source later. Otherwise one of the two would be read after the other was written.
                ends = lives[source].first < time == lives[target].first and lives[source].end == time + 1
                held = ViewKind.PIECE if is_cut else ViewKind.WHOLE
                alike = lives[source].kind is lives[target].kind is held
                if ends and alike and tensors[target].type.size_bytes <= tensors[source].type.size_bytes:
                    source_of[target] = source
                    break
        return source_of

    def _variables(self, buffers: list[Buffer], views: list[View], view_of: dict[int, int]) -> tuple[Variable, ...]:
        """What outlives an inference; appends a buffer and a view for each, which all its tensors share."""
        kind = BufferKind.VARIABLE if self.rules.plans_variables else BufferKind.PERSISTENT
        alignment, length, variables = self.rules.alignment, len(self.steps), []
        # Runtimes that keep states beside the arena count what operators keep for themselves as they allocate it.
        kept = remembered(self.graph) if self.rules.plans_variables else ()
        for name, size_bytes, fill, tensors, node in (*stored_variables(self.graph), *kept):
            for tensor in tensors:
                view_of[tensor] = len(views)
            if tensors:
                pitch_bytes = row_pitch_bytes(self.graph.tensors[tensors[0]].type)
                views.append(View(tensors[0], len(buffers), ViewKind.WHOLE, 0, pitch_bytes))
            variables.append(Variable(name, len(buffers), size_bytes, fill, tensors, node))
            buffers.append(Buffer(name, self.rules.aligned(size_bytes), 0, length, kind, alignment))
        return tuple(variables)

    # -- homes --------------------------------------------------------------------------------------------------------

    def _homes(self, views: Sequence[View], view_of: dict[int, int]) -> list[int]:
        """For each tensor the view that holds it, all of it where there is one. Relabelled tensors share a view."""
        homes = [view_of.get(tensor, ABSENT) for tensor in range(len(self.graph.tensors))]
        # A tensor may have two views, a patch and a whole (an input that is copied). The whole one is its home.
        for index, view in enumerate(views):
            if view.kind in (ViewKind.WHOLE, ViewKind.OUTSIDE):
                homes[view.tensor] = index
        # Relabelled tensors have no step and so no view. In order of the nodes, so that a chain of RESHAPEs passes it
        # on.
        for index in sorted(self.folding.free):
            node = self.graph.nodes[index]
            homes[node.outputs[0]] = homes[node.inputs[0]]
        return homes

    def _end(self, tensor: int, homes: Sequence[int]) -> Home:
        """Where an input or output of the network lies: conversions that are the caller's lie before or behind it."""
        if not self.folding.caller:
            return Home(tensor, tensor, homes[tensor])
        nodes, alias = self.graph.nodes, self.folding.alias
        converted = {t for index in self.folding.caller for t in (nodes[index].inputs[0], nodes[index].outputs[0])}
        held = tensor
        while held in converted and held in alias and alias[held] in converted:
            held = alias[held]
        return Home(tensor, held, homes[held])

    # -- steps --------------------------------------------------------------------------------------------------------

    def _stages(
        self, buffers: list[Buffer], view_of: dict[int, int], variables: Sequence[Variable]
    ) -> tuple[Stage, ...]:
        """The stages; appends the working memory of their steps to `buffers`, what is planned first."""
        view, absorbed = view_of.get, self.folding.absorbed
        lasting = {tensor: view_of[tensor] for variable in variables for tensor in variable.tensors}
        calls = [step.signature for step in self.steps]
        # Kernels of a cut stage see the shapes of one piece, so their scratch is that of the piece.
        for time in self.cuts:
            calls[time] = self._piece(time, calls[time])
        facts = list(map(steps_facts(self.rules).__getitem__, calls))
        planned = [
            self._planned(buffers, time, fact.planned) if fact.planned else () for time, fact in enumerate(facts)
        ]
        for time in [time for time, uses in enumerate(planned) if uses and self.rules.in_place]:
            planned[time] += self._kept_beneath(buffers, view_of, time)
        # Planned buffers first, then held ones: the order is part of the published figures, as planners break ties by
        # it.
        held = self._held(buffers, [fact.held for fact in facts])
        stages = []
        for plan in self.stages:
            steps: list[Step] = []
            for time in range(plan.first, plan.end):
                node, call, reads, writes, _ = self.steps[time]
                rows, cols = computed = facts[time].rows, facts[time].cols
                if lasting:
                    # The handle of a resource is no storage: ASSIGN_VARIABLE says what it changes in `updates`.
                    writes = tuple(
                        [ABSENT if self._names_variable(storage, lasting) else storage for storage in writes]
                    )
                cut = self.cuts.get(time)
                if cut is not None:
                    rows, cols = cut[0].spans, cut[1].spans
                    computed = (cut[0].padded, cut[1].padded) if time in self.uniform else (rows, cols)
                steps.append(
                    Step(
                        node,
                        call,
                        tuple([view(storage, ABSENT) for storage in reads]),
                        tuple([view(storage, ABSENT) for storage in writes]),
                        rows,
                        cols,
                        *computed,
                        changed_variables(call, reads, lasting) if lasting else (),
                        planned[time] + held[time],
                        absorbed.get(node, ()),
                        *self._priced(time, rows, cols),
                    )
                )
            pieces = (len(steps[0].rows), len(steps[0].cols)) if steps else (1, 1)
            stages.append(Stage(plan.spec.kind, *pieces, tuple(steps)))
        return tuple(stages)

    def _names_variable(self, storage: int, lasting: Mapping[int, int]) -> bool:
        """Whether a tensor is the handle of a variable, and not a variable whose elements a step writes."""
        return storage in lasting and not self.graph.tensors[storage].is_variable

    def _priced(self, time: int, rows: Sequence[Span], cols: Sequence[Span]) -> tuple[int, int, int]:
        """Rows and columns that a step computes over all pieces together, and how often its kernel is called."""
        cut = self.cuts.get(time)
        if cut is None:
            return rows[0].stop, cols[0].stop, 1
        calls = sum([span.length > 0 for span in rows]) * sum([span.length > 0 for span in cols])
        # A runtime with patches of one size computes the border's pieces in full too, past the border.
        if time in self.uniform:
            return len(rows) * cut[0].uniform, len(cols) * cut[1].uniform, calls
        return sum([span.length for span in rows]), sum([span.length for span in cols]), calls

    def _piece(self, time: int, call: Signature) -> Signature:
        """`call` with the shapes of one piece: what the kernels of a cut stage see, and size their scratch by."""
        if time not in self.cuts:
            return call
        rows, cols = self.cuts[time]
        longest = [max([span.length for span in axis.spans]) for axis in (rows, cols)]
        return resized(call, *((rows.uniform, cols.uniform) if time in self.uniform else longest))

    def _planned(self, buffers: list[Buffer], time: int, asked: Scratch) -> tuple[ScratchUse, ...]:
        """Working memory of a step that is planned among the activations: a buffer each, appended."""
        node, alignment = self.steps[time].node, self.rules.alignment
        name = self.graph.nodes[node].name if node != ABSENT else "input patch"
        uses = []
        for role, size_bytes in asked:
            uses.append(ScratchUse(role, len(buffers), size_bytes))
            aligned_bytes = self.rules.aligned(size_bytes)
            buffer = scratch_name(name, role)
            buffers.append(Buffer(buffer, aligned_bytes, time, time + 1, BufferKind.SCRATCH, alignment))
        return tuple(uses)

    def _kept_beneath(self, buffers: list[Buffer], view_of: dict[int, int], time: int) -> tuple[ScratchUse, ...]:
        """Keeps all of an input alive while a smaller output is computed on top of it.

        The part of the input that the output does not cover is still to be read during the step. Without this buffer
        a planner would take it for free, and might lay the step's own working memory there.
        """
        index = view_of.get(self.steps[time].writes[0], ABSENT)
        if index == ABSENT or index >= len(buffers) or buffers[index].over == ABSENT or buffers[index].first != time:
            return ()
        target, under = buffers[index], buffers[buffers[index].over]
        if target.size_bytes == under.size_bytes:
            return ()
        # Then the output takes storage of its own for one step, and the input's buffer lasts until that step ends.
        if target.end == time + 1:  # nobody reads it: there is nothing to gain
            buffers[target.over] = under._replace(end=time + 1)
            buffers[index] = target._replace(over=ABSENT)
            return ()
        name, size_bytes = f"{under.name} beneath", under.size_bytes
        # The helper buffer spans this one step at the input's full size; the output proper begins a step later, on top
        # of it.
        kept = Buffer(name, size_bytes, time, time + 1, BufferKind.SCRATCH, under.alignment, ABSENT, target.over)
        buffers[index] = target._replace(first=time + 1, over=len(buffers))
        buffers.append(kept)
        return (ScratchUse(BENEATH, len(buffers) - 1, size_bytes),)

    def _held(self, buffers: list[Buffer], asked: Sequence[Scratch]) -> list[tuple[ScratchUse, ...]]:
        """Working memory that is held throughout: a buffer a role, appended, as large as the neediest step asks."""
        sizes = most_held(asked)
        index = {role: len(buffers) + place for place, role in enumerate(sizes)}
        alignment = self.rules.alignment
        for role, size_bytes in sizes.items():
            aligned_bytes = self.rules.aligned(size_bytes)
            buffers.append(Buffer(role, aligned_bytes, 0, len(self.steps), BufferKind.HELD, alignment))
        return [tuple([ScratchUse(role, index[role], size) for role, size in scratch if size]) for scratch in asked]
