"""Where operands lie: every element that a step reads is where an earlier step wrote it, and nowhere else.

The judge is a memory of labels. A step writes a label for every element, (tensor, number of the element), at the
addresses of its outputs. It must find the labels of what it asks for at the addresses of its inputs. The judge knows
nothing of halos, slots or pitches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from conftest import CorpusModel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_schedules import networks, schedules

import mcusim
from mcusim import GraphBuilder, zoo
from mcusim.graph import ABSENT, DType, Graph, Padding, Quantization
from mcusim.lowering.addressing import Operand, Place, RowRun, operands
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.memory.placement import place
from mcusim.ops.shared.pooling import Pool2DAttributes
from mcusim.program import BufferKind, Program, ViewKind
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER, parse_schedule

TINYENGINE, TFLM = RUNTIMES["tinyengine"], RUNTIMES["tflm"]
RULES = {
    "uniform patches": TINYENGINE.rules,
    "clipped patches": replace(TINYENGINE.rules, uniform_patches=False),
    "nothing folded": TFLM.rules,
}

Label = tuple[int, int]
"""Tensor, and number of the element in it."""


def pixels(operand: Operand, at: Place) -> Iterator[tuple[int, int, int, int]]:
    """(bit address in the buffer, image, row, column) of every pixel."""
    images = operand.kind.shape[0] if operand.is_map else 1
    row = at.region.rows.start
    for run in at.runs:
        for k, image, col in product(range(run.rows), range(images), range(at.region.cols.length)):
            layout = operand.layout
            bit = run.first_bit + image * layout.image_bits + k * layout.row_bits + col * layout.pixel_bits
            yield bit, image, row + k, at.region.cols.start + col
        row += run.rows
    assert row == at.region.rows.stop


class Memory:
    """Bit addresses of elements, and for each the tensor and the number of the element that was written there last."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.placement = place(program, TINYENGINE.planner)
        self.labels: dict[tuple[str, int], Label] = {}

    def start_of(self, operand: Operand) -> tuple[str, int]:
        if operand.buffer == ABSENT:
            return f"outside {operand.view}", 0
        return "arena", 8 * self.placement.offset_bytes[operand.buffer]

    def check_inside(self, operand: Operand, bit: int) -> None:
        if operand.buffer != ABSENT:
            size_bits = 8 * self.program.buffers[operand.buffer].size_bytes
            assert 0 <= bit <= size_bits - operand.layout.pixel_bits, (operand, bit)

    def write(self, operand: Operand, at: Place) -> None:
        room, start = self.start_of(operand)
        for bit, image, row, col in pixels(operand, at):
            self.check_inside(operand, bit)
            self.labels.update(self.labelled(operand, room, start + bit, self.element(operand, image, row, col)))

    def read(self, operand: Operand, at: Place) -> None:
        room, start = self.start_of(operand)
        first = next(pixels(operand, at), None)
        assert first is None or 0 <= first[0] - 8 * at.first_byte < 8  # below a byte: elements of 4 and 2 bits
        for bit, image, row, col in pixels(operand, at):
            self.check_inside(operand, bit)
            element = self.element(operand, image, row, col)
            for key, label in self.labelled(operand, room, start + bit, element):
                assert self.labels.get(key) == label, (operand.step.signature.op, image, row, col)

    def labelled(self, operand: Operand, room: str, bit: int, element: int) -> list[tuple[tuple[str, int], Label]]:
        """The channels of a pixel by themselves, so that a later tenant of some of the bytes shows."""
        tensor, bits = self.program.views[operand.view].tensor, operand.kind.dtype.bits
        channels = range(operand.layout.pixel_bits // bits)
        return [((room, bit + channel * bits), (tensor, element + channel)) for channel in channels]

    def element(self, operand: Operand, image: int, row: int, col: int) -> int:
        """Its number in the whole tensor, whatever shape the step gives it."""
        if not operand.is_map:
            return 0
        _, rows, cols, channels = operand.kind.shape
        return ((image * rows + row) * cols + col) * channels


def assert_all_is_found(program: Program) -> None:
    memory = Memory(program)
    time_of = {id(step): time for time, step in enumerate(program.body())}
    operands_of_step = operands(program)
    known = {o.view: o for step in operands_of_step for o in (*step.reads, *step.writes) if o is not None}
    for home in program.inputs:
        if home.view in known:  # else nobody reads it
            source = known[home.view]
            image = replace(source, step=source.step._replace(rows=(source.whole.rows,), cols=(source.whole.cols,)))
            memory.write(replace(image, is_read=False), whole(source))
    for iteration in program.steps():
        step = operands_of_step[time_of[id(iteration.step)]]
        places = [[None if o is None else o.at(iteration.row, iteration.col) for o in side] for side in step]
        for operand, at in zip(step.reads, places[0], strict=True):
            if operand is not None and at is not None:
                memory.read(operand, at)
        for operand, at in zip(step.writes, places[1], strict=True):
            if operand is not None and at is not None:
                memory.write(operand, at)
    for home in program.outputs:
        assert program.views[home.view].tensor == home.held
        memory.read(known[home.view], whole(known[home.view]))


def whole(operand: Operand) -> Place:
    return Place(operand.whole, operand.whole, operand.whole, (RowRun(operand.layout.start_bits, operand.kind.rows),))


@pytest.mark.slow
@settings(max_examples=30)
@given(graph=networks(), drawn=st.data())
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("input_place", InputPlace)
def test_every_element_is_read_where_it_was_written(rules, input_place, graph, drawn):
    runtime = TFLM if rules == "nothing folded" else TINYENGINE
    schedule = drawn.draw(schedules(graph, runtime))
    assert_all_is_found(lower(graph, schedule, RULES[rules], input_place))


def wide(dtype: DType, batch: int = 1) -> Graph:
    builder = GraphBuilder("wide")
    scale = Quantization((0.5,), (0,))
    x = builder.input((batch, 9, 7, 3), dtype, quantization=scale)
    for kernel in (3, 1, 5):
        made = Pool2DAttributes(Padding.SAME, filter_width=kernel, filter_height=kernel)
        x = builder.op("MAX_POOL_2D", (x,), made, quantization=scale)
    return builder.build([x])


@pytest.mark.parametrize("spec", ["layer", "patch:2x3@3", "patch:3x1@2", "stream:1@3", "stream:2@2"])
@pytest.mark.parametrize("dtype", [DType.INT16, DType.INT4, DType.INT2])
@pytest.mark.parametrize("rules", RULES)
def test_elements_of_other_widths_are_found(rules, dtype, spec):
    assert_all_is_found(lower(wide(dtype), parse_schedule(spec), RULES[rules]))


@pytest.mark.parametrize("spec", ["layer", "patch:2x3@3", "stream:1@3"])
def test_the_images_of_a_batch_lie_beside_each_other_in_a_piece(spec):
    graph = wide(DType.INT8, batch=3)
    assert_all_is_found(lower(graph, parse_schedule(spec), RULES["clipped patches"]))
    images = np.random.default_rng(1).integers(-128, 128, (3, 9, 7, 3), np.int8)
    for runtime in ("tflm", "tinyengine"):
        [output] = mcusim.execute(graph, [images], schedule=spec, runtime=runtime, check=True)
        np.testing.assert_array_equal(output, mcusim.execute(graph, [images])[0])


@pytest.mark.parametrize("shape", [(1, 12), (7,), (2, 3, 5)])
@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT32, DType.INT4])
def test_what_is_no_map_is_one_element_as_long_as_all(shape, dtype):
    builder = GraphBuilder("flat")
    program = lower(builder.build([builder.op("NEG", (builder.input(shape, dtype),))]), LAYER, TFLM.rules)
    [step] = operands(program)
    for operand in (step.reads[0], step.writes[0]):
        assert operand is not None
        assert operand.layout.pixel_bits == operand.layout.row_bits == operand.layout.image_bits
        assert -(-operand.layout.pixel_bits // 8) == operand.kind.size_bytes


@settings(max_examples=30)
@given(graph=networks(), drawn=st.data())
@pytest.mark.parametrize("rules", RULES)
def test_the_tables_of_rows_and_columns_add_up(rules, graph, drawn):
    """What an emitter of loop nests relies on: (i, j) is row entry i and column entry j."""
    runtime = TFLM if rules == "nothing folded" else TINYENGINE
    program = lower(graph, drawn.draw(schedules(graph, runtime)), RULES[rules])
    for step in operands(program):
        for operand in (*step.reads, *step.writes):
            if operand is None:
                continue
            rows, cols = operand.along_rows(), operand.along_cols()
            for i, j in product(range(len(rows)), range(len(cols))):
                at = operand.at(i, j)
                if not (rows[i].asked.length and cols[j].asked.length):
                    continue
                assert at.asked == (rows[i].asked, cols[j].asked)
                assert at.region == (rows[i].inside, cols[j].inside)
                assert at.held == (rows[i].held, cols[j].held)
                assert len(at.runs) == 1 or operand.view_kind is ViewKind.LINES
                if at.region.rows.length and at.region.cols.length:
                    shift = cols[j].offset_bits
                    assert at.runs[0].first_bit == operand.layout.start_bits + rows[i].offset_bits + shift
                    assert at.runs == tuple((bit + shift, n) for bit, n in operand.runs_of_rows(i))
                    assert rows[i].asked.length == rows[i].before + rows[i].inside.length + rows[i].after


@settings(max_examples=30)
@given(graph=networks(), drawn=st.data())
def test_uniform_patches_keep_their_unclipped_starts(graph, drawn):
    program = lower(graph, drawn.draw(schedules(graph, TINYENGINE)), TINYENGINE.rules)
    for step in program.body():
        for spans, computed, priced in (
            (step.rows, step.computed_rows, step.priced_rows),
            (step.cols, step.computed_cols, step.priced_cols),
        ):
            assert all(
                c.start <= s.start and s.stop <= c.stop for s, c in zip(spans, computed, strict=True) if s.length
            )
            if all(span.length for span in spans):
                assert sum(span.length for span in computed) == priced
            assert len({span.length for span in computed if span.length}) == 1 or computed == spans


@pytest.mark.parametrize("runtime", ["tinyengine", "tflm"])
@pytest.mark.parametrize("name", zoo.names())
def test_every_input_and_output_of_the_zoo_has_a_view(name, runtime):
    assert_ends_lie_somewhere(lower(zoo.build(name), LAYER, RUNTIMES[runtime].rules))


def test_every_input_and_output_of_a_real_network_has_a_view(corpus_model: CorpusModel) -> None:
    graph = mcusim.load(corpus_model.path)
    for runtime, input_place in product((TINYENGINE, TFLM), InputPlace):
        program = lower(graph, LAYER, runtime.rules, input_place)
        assert_ends_lie_somewhere(program)


def assert_ends_lie_somewhere(program: Program) -> None:
    graph = program.graph
    assert [home.tensor for home in program.inputs] == list(graph.inputs)
    assert [home.tensor for home in program.outputs] == list(graph.outputs)
    for home in (*program.inputs, *program.outputs):
        if graph.tensors[home.tensor].is_constant:
            assert home.view == ABSENT
            continue
        view = program.views[home.view]
        assert graph.tensors[view.tensor].size_bytes == graph.tensors[home.held].size_bytes
        assert (home.held == home.tensor) or program.caller


@pytest.mark.parametrize("rules", RULES)
def test_a_step_names_the_working_memory_it_uses(rules):
    """Owner and role of every scratch buffer; what is held is as large as the neediest step asks, and aligned."""
    program = lower(zoo.build("mbv2-w0.35-r144"), parse_schedule("patch:3x3@13"), RULES[rules])
    asked: dict[int, int] = {}
    for time, step in enumerate(program.body()):
        for use in step.scratch:
            buffer = program.buffers[use.buffer]
            assert buffer.first <= time < buffer.end
            assert use.role in buffer.name
            asked[use.buffer] = max(asked.get(use.buffer, 0), use.size_bytes)
    scratch = {i: b for i, b in enumerate(program.buffers) if b.kind in (BufferKind.SCRATCH, BufferKind.HELD)}
    assert asked.keys() == scratch.keys()
    for index, buffer in scratch.items():
        assert buffer.size_bytes == RULES[rules].aligned(asked[index])
    placement = place(program, TINYENGINE.planner)
    assert all(placement.offset_bytes[i] % b.alignment == 0 for i, b in enumerate(program.buffers))


def test_an_operator_that_swaps_rows_and_columns_is_addressed_piece_by_piece():
    builder = GraphBuilder("swapped")
    x = builder.max_pool_2d(builder.input((1, 6, 8, 2)), 1, stride=1)
    x = builder.op("TRANSPOSE", (x, builder.integers((0, 2, 1, 3))))
    graph = builder.build([builder.max_pool_2d(x, 1, stride=1)])
    assert_all_is_found(lower(graph, parse_schedule("patch:2x2@2"), RULES["nothing folded"]))
