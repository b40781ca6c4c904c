"""Plans that a file carries, as TFLM reads them: against the wheel's head, and what is told where they are wrong."""

from __future__ import annotations

import re

import flatbuffers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_operator import Network
from operator_lines import networks
from test_subgraphs import loop
from tflite_maker import INT32, Maker, make_options, schema

import mcusim
from mcusim.errors import PlanError
from mcusim.frontends.tflite import parse_tflite
from mcusim.memory.planning import plan_memory
from mcusim.report import Verdict
from mcusim.runtimes.tflm import TFLM_WHEEL


def relus(sizes: list[int]) -> Maker:
    """A chain; tensor 0 is the input."""
    made = Maker()
    for size in sizes:
        made.tensor((1, size))
    for index in range(1, len(sizes)):
        made.operator("RELU", [index - 1], [index])
    made.graph.inputs, made.graph.outputs = [0], [len(sizes) - 1]
    return made


def carrying(made: Maker, *vectors: list[int]) -> bytes:
    """The file with one metadata entry a vector."""
    made.model.metadata = []
    for vector in vectors:
        entry = schema.MetadataT()
        entry.name = "OfflineMemoryAllocation"
        entry.buffer = made.buffer(np.array(vector, "<i4").tobytes())
        made.model.metadata.append(entry)
    return made.pack()


def read(content: bytes):
    return parse_tflite(content, name="net", where="net.tflite")


def head(content: bytes, capfd) -> int | None:
    """Of a real interpreter; None if it refuses."""
    runtime = pytest.importorskip("tflite_micro").runtime
    capfd.readouterr()
    try:
        runtime.Interpreter.from_bytes(content, arena_size=1 << 20).print_allocations()
    except RuntimeError:
        return None
    return int(re.search(r"allocation head (\d+)", "".join(capfd.readouterr()))[1])


OFFSETS = st.sampled_from([-1, -1, 0, 16, 50, 64, 100, 200, 333, 512])


@given(version=st.integers(0, 3), subgraph=st.integers(-1, 2), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_head_equals_a_real_interpreters(capfd, version, subgraph, data):
    count = data.draw(st.integers(2, 7))
    size = data.draw(st.sampled_from([8, 48, 100]))
    offsets = [data.draw(OFFSETS) for _ in range(count)]
    content = carrying(relus([size] * count), [version, subgraph, count, *offsets])
    assert plan_memory(read(content), TFLM_WHEEL).arena_bytes == head(content, capfd)


def test_offsets_run_on_through_all_subgraphs(capfd):
    made = loop()
    tensors = sum(len(part.tensors) for part in made.model.subgraphs)
    for place in range(tensors):
        offsets = [-1] * tensors
        offsets[place] = 9000
        content = carrying(loop(), [1, 0, tensors, *offsets])
        assert plan_memory(read(content), TFLM_WHEEL).arena_bytes == head(content, capfd), place


def test_the_last_entry_counts(capfd):
    content = carrying(relus([48] * 3), [1, 0, 3, 0, 64, 128], [1, 0, 3, 0, 640, 128])
    assert plan_memory(read(content), TFLM_WHEEL).arena_bytes == head(content, capfd) == 688


@pytest.mark.parametrize(
    ("vector", "what"),
    [([1, 0, 9, 0, 64, 128], "9 offsets for 3 tensors"), ([1, 0], "0 offsets for 3 tensors")],
    ids=["count", "nothing"],
)
def test_a_wrong_count_is_refused(capfd, vector, what):
    content = carrying(relus([48] * 3), vector)
    if len(vector) > 3:
        assert head(content, capfd) is None
    plan = plan_memory(read(content), TFLM_WHEEL)
    assert what in plan.refusals[0]
    report = mcusim.simulate(read(content), profile="stm32h743", runtime="tflm")
    assert report.verdict is Verdict.UNKNOWN
    assert any(what in warning for warning in report.warnings)
    assert mcusim.simulate(read(content), profile="stm32h743", runtime="tinyengine").sram.fits is not None


def test_a_short_plan_and_a_negative_offset_are_refused():
    for vector, what in (([1, 0, 3, 0], "ends after 1 of 3 offsets"), ([1, 0, 3, 0, -7, 0], "the offset -7")):
        assert what in plan_memory(read(carrying(relus([48] * 3), vector)), TFLM_WHEEL).refusals[0]


def test_tensors_that_share_bytes_are_planned_and_not_executed(capfd):
    content = carrying(relus([48] * 3), [1, 0, 3, 0, 16, 128])
    plan = plan_memory(read(content), TFLM_WHEEL)
    assert plan.arena_bytes == head(content, capfd)
    assert "lets 'tensor_0' and 'tensor_1' share bytes" in plan.refusals[0]
    with pytest.raises(PlanError, match="share bytes while both are needed"):
        mcusim.execute(read(content), [np.zeros((1, 48), np.int8)])


def test_unaligned_offsets_are_executed():
    given = np.arange(-24, 24, dtype=np.int8).reshape(1, 48)
    content = carrying(relus([48] * 4), [1, 0, 4, 0, 57, 201, 1])
    np.testing.assert_array_equal(mcusim.execute(read(content), [given])[0], np.maximum(given, 0))


def test_output_that_begins_before_its_input_is_written_behind_what_is_read(capfd):
    """A RELU walks forwards; an output further on would overwrite what it has still to read."""
    runtime = pytest.importorskip("tflite_micro").runtime
    given = np.arange(-24, 24, dtype=np.int8).reshape(1, 48)
    for offsets, is_right in (([64, 48, 0], True), ([64, 63, 0], True), ([48, 64, 256], False)):
        content = carrying(relus([48] * 3), [1, 0, 3, *offsets])
        graph = read(content)
        assert (not plan_memory(graph, TFLM_WHEEL).refusals) is is_right
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 20)
        interpreter.set_input(given, 0)
        interpreter.invoke()
        if is_right:
            np.testing.assert_array_equal(interpreter.get_output(0), np.maximum(given, 0))
            np.testing.assert_array_equal(mcusim.execute(graph, [given])[0], np.maximum(given, 0))
            np.testing.assert_array_equal(mcusim.execute(graph, [given], check=True)[0], np.maximum(given, 0))


def test_bytes_that_only_round_a_tensor_up_are_not_shared():
    """57 bytes at 0, and the next at 57: rounded up to 64 they would overlap."""
    given = np.arange(-28, 29, dtype=np.int8).reshape(1, 57)
    content = carrying(relus([57] * 3), [1, 0, 3, 0, 57, 114])
    assert not plan_memory(read(content), TFLM_WHEEL).refusals
    np.testing.assert_array_equal(mcusim.execute(read(content), [given])[0], np.maximum(given, 0))


def remembering(offsets: list[int]) -> bytes:
    """An SVDF between two RELUs with its state, tensor 4, and a plan."""
    made = Maker()
    made.tensor((1, 40))
    made.tensor((1, 40))
    made.tensor((4, 40), elements=np.ones((4, 40)))
    made.tensor((4, 5), schema.TensorType.INT16, elements=np.ones((4, 5), np.int16).tobytes())
    made.tensor((1, 20), schema.TensorType.INT16)
    made.graph.tensors[4].isVariable = True
    made.tensor((1, 2))
    made.tensor((1, 2))
    made.tensor((2,), INT32, [0, 0])
    made.graph.tensors[7].quantization = schema.QuantizationParametersT()
    made.graph.tensors[7].quantization.scale = [0.25]
    made.graph.tensors[7].quantization.zeroPoint = [0]
    made.operator("RELU", [0], [1])
    made.operator("SVDF", [1, 2, 3, 7, 4], [5], make_options("SVDFOptions", rank=2, fusedActivationFunction=1))
    made.operator("RELU", [5], [6])
    made.graph.inputs, made.graph.outputs = [0], [6]
    return carrying(made, [1, 0, 8, *offsets])


@given(offsets=st.lists(OFFSETS, min_size=8, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_variable_with_an_offset_lies_among_the_activations(capfd, offsets):
    content = remembering(offsets)
    runtime = pytest.importorskip("tflite_micro").runtime
    capfd.readouterr()
    runtime.Interpreter.from_bytes(content, arena_size=1 << 20).print_allocations()
    printed = "".join(capfd.readouterr())
    head_bytes, tail_bytes = (int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
    plan = plan_memory(read(content), TFLM_WHEEL)
    assert (plan.arena_bytes, plan.persistent.size_bytes) == (head_bytes, tail_bytes)


def in_place(network: Network, before: int = 0) -> bytes:
    """Its file with a plan in which the output begins so many bytes before input 0, and all else lies apart."""
    offsets = [-1 if each.elements is not None else 4096 * (place + 1) for place, each in enumerate(network.tensors)]
    offsets[network.operators[-1].outputs[0]] = offsets[network.operators[-1].inputs[0]] - before
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(network.content(), 0))
    vector, entry = schema.BufferT(), schema.MetadataT()
    vector.data = np.frombuffer(np.array([1, 0, len(offsets), *offsets], np.int32).tobytes(), np.uint8)
    model.buffers.append(vector)
    entry.name, entry.buffer = "OfflineMemoryAllocation", len(model.buffers) - 1
    model.metadata = [entry]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("before", [0, 16])
def test_what_works_in_place_runs_with_the_wheels_bytes(before: int):
    """An operator that reads an element before it writes over it may lie over its input, or begin before it."""
    judging = pytest.importorskip("tflm_judge", reason="the tflite-micro wheel is not installed (extra `oracles`)")
    asked, right = [], []
    for network in [network for each in networks().values() for network in each]:
        places = [*network.operators[-1].inputs[:1], *network.operators[-1].outputs]
        if len(network.operators) > 1 or len(places) != 2 or network.bodies or network.tensors[places[0]].is_variable:
            continue
        if network.tensors[places[0]].elements is None and max(each.size for each in network.feeds()) < 512:
            asked.append((network, in_place(network, before)))
    questions = [judging.Question(content, network.feeds()) for network, content in asked]
    for (network, content), answer in zip(asked, judging.judge(questions, 1), strict=True):
        graph = parse_tflite(content, name=network.label, where="in place.tflite")
        if plan_memory(graph, TFLM_WHEEL).refusals or not answer.runs or not answer.is_fed:
            continue
        if graph.tensors[graph.outputs[0]].size_bytes <= before:  # it ends where its input begins
            continue
        [ours] = mcusim.execute(graph, network.feeds())
        assert ours.tobytes() == answer.outputs[0].tobytes(), network.label
        assert mcusim.execute(graph, network.feeds(), check=True)[0].tobytes() == ours.tobytes(), network.label
        right.append(network.operators[0].name)
    assert {"RELU", "LOGISTIC", "ADD", "MUL", "ABS", "TANH"} <= set(right)
    assert ("RESHAPE" in right) is (before == 0)
