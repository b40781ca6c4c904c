"""Execution: every byte of every tensor of real networks, in the arena that the plan claims; and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CorpusModel
from goldens import RUNS, Golden, InputKind, golden_inputs, load_golden, sha256

import mcusim
from mcusim import GraphBuilder, McusimError
from mcusim.cli import main
from mcusim.errors import InputError, ModelError, PlanError, ScheduleError
from mcusim.execution import prepared
from mcusim.execution.arena import Arena, BoundStep
from mcusim.execution.runners import PlainRunner
from mcusim.execution.sessions import Session
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType, Graph, Quantization
from mcusim.zoo.export import export_model

Array = np.ndarray[Any, Any]

SMALL = 1_000_000
"""Multiply-accumulates of a network that is quick enough without a compiler or with a canary."""


def inputs_of(graph: Graph, golden: Golden, run: int) -> list[Array]:
    kinds = []
    for index in graph.inputs:
        quantization = graph.tensors[index].quantization
        for reader in graph.consumers[index]:
            if graph.nodes[reader].op == "QUANTIZE" and graph.tensors[index].dtype is DType.FLOAT32:
                quantization = graph.tensors[graph.nodes[reader].outputs[0]].quantization
                break
        scale, zero = (quantization.scales[0], quantization.zero_points[0]) if quantization else (1.0, 0)
        kinds.append(InputKind(graph.tensors[index].shape, graph.tensors[index].dtype.value, scale, zero))
    return golden_inputs(golden, kinds, run)


def load(model: CorpusModel) -> tuple[Graph, Golden]:
    return mcusim.load(model.path), load_golden(model.path.parents[1], model.name)


def is_small(model: CorpusModel) -> bool:
    return float(model.row["macs_M"] or 0) * 1e6 <= SMALL


def assert_golden(graph: Graph, golden: Golden, run: int, **options: Any) -> None:
    trace = mcusim.execute(graph, inputs_of(graph, golden, run), trace=True, **options)
    expected = golden.tensors(run)
    wrong = [graph.nodes[graph.producer[t]].name for t, sha in expected.items() if sha256(trace[t]) != sha]
    assert not wrong, f"{len(wrong)} of {len(expected)} tensors differ, the first of '{wrong[0]}'"
    for output, wanted in zip(trace.outputs, golden.outputs(run, len(graph.outputs)), strict=True):
        np.testing.assert_array_equal(output, wanted)


# ---------------------------------------------------------------------------------------------------------------------
# Real networks


def test_every_tensor_is_the_references(corpus_model: CorpusModel) -> None:
    graph, golden = load(corpus_model)
    for run in range(RUNS):
        assert_golden(graph, golden, run)


def test_folded_and_in_place_gives_the_same(corpus_model: CorpusModel) -> None:
    """TinyEngine's rules: PADs folded, depthwise on top of its input, conversions by the caller."""
    graph, golden = load(corpus_model)
    given = inputs_of(graph, golden, 1)
    outputs = mcusim.execute(graph, given, runtime="tinyengine")
    for output, wanted in zip(outputs, golden.outputs(1, len(graph.outputs)), strict=True):
        np.testing.assert_array_equal(output, wanted)


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_no_step_touches_what_is_not_its_own(corpus_model: CorpusModel, runtime: str) -> None:
    if float(corpus_model.row["macs_M"] or 0) > 30:
        pytest.skip("the canary takes long here; smaller networks run under it")
    graph, golden = load(corpus_model)
    outputs = mcusim.execute(graph, inputs_of(graph, golden, 2), runtime=runtime, check=True)
    for output, wanted in zip(outputs, golden.outputs(2, len(graph.outputs)), strict=True):
        np.testing.assert_array_equal(output, wanted)


@pytest.mark.nojit
def test_small_networks_without_a_compiler(corpus_model: CorpusModel) -> None:
    if not is_small(corpus_model):
        pytest.skip("too long without a compiler")
    graph, golden = load(corpus_model)
    assert_golden(graph, golden, 3)


def test_keyword_spotting_accuracy(corpus: Path) -> None:
    """90.1 %, as the reference kernels have it; a batch runs over the cores."""
    with np.load(corpus / "data" / "kws01" / "kws01.npz") as loaded:
        x, y = loaded["x"], loaded["y"]
    graph = mcusim.load(corpus / "models" / "mlperf_kws01_dscnn_int8.tflite")
    [scores] = mcusim.execute(graph, [x])
    assert scores.shape == (1000, 12)
    assert int((scores.argmax(1) == y).sum()) == 901
    [alone] = mcusim.execute(graph, [x], threads=1)
    np.testing.assert_array_equal(alone, scores)


def test_the_arena_is_the_one_that_run_reports(corpus: Path) -> None:
    path = corpus / "models" / "mlperf_vww01_mbv1_025_96_int8.tflite"
    for runtime in ("tflm", "tinyengine"):
        sram = mcusim.simulate(str(path), profile="stm32h743", runtime=runtime).sram
        ready = prepared(path, runtime=runtime)
        arena = Arena(ready)
        assert arena.storage.nbytes == sram.arena_bytes + sram.scratch_bytes
        for step in arena.bound_steps():
            for array in step.outputs:
                assert np.shares_memory(array, arena.storage)


# ---------------------------------------------------------------------------------------------------------------------
# State


def test_session_keeps_what_execute_forgets(corpus: Path) -> None:
    graph = mcusim.load(corpus / "models" / "mww_v2_okay_nabu.tflite")
    rng = np.random.default_rng(0)
    frames = rng.integers(-128, 128, (20, *graph.tensors[graph.inputs[0]].shape[1:]), dtype=np.int8)
    fresh = mcusim.execute(graph, [frames])[0]
    session = mcusim.session(graph)
    streamed = np.concatenate([session.run([frame[None]])[0] for frame in frames])
    np.testing.assert_array_equal(streamed[0], fresh[0])
    assert (streamed != fresh).any()
    session.reset()
    np.testing.assert_array_equal(session.run([frames])[0], streamed)
    np.testing.assert_array_equal(mcusim.execute(graph, [frames])[0], fresh)


# ---------------------------------------------------------------------------------------------------------------------
# Small networks made here


def doubled(shape: tuple[int, ...] = (1, 4, 4, 2), dtype: DType = DType.INT8) -> Graph:
    """x beside x."""
    b = GraphBuilder("doubled")
    x = b.input(shape, dtype, name="picture", quantization=Quantization((0.25,), (3,)))
    return b.build([b.concatenation([x, x])])


def test_batches_stack_and_single_calls_do_not() -> None:
    x = np.arange(3 * 32, dtype=np.int8).reshape(3, 4, 4, 2)
    [three] = mcusim.execute(doubled(), x)
    assert three.shape == (3, 4, 4, 4)
    [one] = mcusim.execute(doubled(), {"picture": x[1:2]})
    np.testing.assert_array_equal(one, three[1:2])
    np.testing.assert_array_equal(np.concatenate([x, x], -1), three)


def test_results_are_copies() -> None:
    """A later call changes no earlier answer."""
    graph = doubled()
    [first] = mcusim.execute(graph, np.ones((1, 4, 4, 2), np.int8))
    mcusim.execute(graph, np.zeros((1, 4, 4, 2), np.int8))
    assert first.min() == 1


def test_trace_finds_tensors_by_name_and_number() -> None:
    graph = doubled()
    x = np.ones((1, 4, 4, 2), np.int8)
    trace = mcusim.execute(graph, x, trace=True)
    np.testing.assert_array_equal(trace["picture"], x)
    np.testing.assert_array_equal(trace[graph.outputs[0]], trace.outputs[0])
    with pytest.raises(KeyError):
        trace["nothing"]


def test_a_tier_runs_the_steps_it_takes() -> None:
    """The seam of compiled runners: ranges of taken steps go to `compile`, with the arena and their arrays."""
    b = GraphBuilder("three")
    x = b.input((1, 4, 4, 2), quantization=Quantization((0.25,), (3,)))
    y = b.transpose(b.concatenation([x, x]), (0, 2, 1, 3))
    graph = b.build([b.concatenation([y, y])])

    class Recorder:
        def __init__(self) -> None:
            self.seen: list[list[str]] = []

        def encode(self, storage: Array, step: BoundStep) -> BoundStep | None:
            assert np.shares_memory(step.outputs[0], storage)
            return step if step.iteration.step.signature.op == "CONCATENATION" else None

        def join(self, storage: Array, commands: Any) -> PlainRunner:
            self.seen.append([step.iteration.step.signature.op for step in commands])
            return PlainRunner(commands)

    tier = Recorder()
    given = np.arange(32, dtype=np.int8).reshape(1, 4, 4, 2)
    session = Session(prepared(graph), tier=tier, check=True)
    [output] = session.run(given)
    np.testing.assert_array_equal(output, mcusim.execute(graph, given)[0])
    np.testing.assert_array_equal(session.trace(given).outputs[0], output)
    assert tier.seen == [["CONCATENATION"]] * 4, "two ranges, and each step by itself for the canary"


def test_canary_sees_overlapping_plans() -> None:
    b = GraphBuilder("clash")
    x = b.input((1, 4, 4, 2), quantization=Quantization((0.25,), (3,)))
    y = b.transpose(x, (0, 2, 1, 3))
    graph = b.build([b.concatenation([x, y])])
    ready = prepared(graph)
    wrong = replace(ready, placement=replace(ready.placement, offset_bytes=(0,) * len(ready.program.buffers)))
    given = np.arange(32, dtype=np.int8).reshape(1, 4, 4, 2)
    Session(ready, check=True).run(given)
    with pytest.raises(PlanError, match="not its own"):
        Session(wrong, check=True).run(given)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals

GOOD = np.zeros((1, 4, 4, 2), np.int8)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "0 inputs came, and it has 1"),
        ([GOOD, GOOD], "2 inputs came"),
        (np.zeros((4, 4, 2), np.int8), r"a leading dimension of 1: array\[None\]"),
        (np.zeros((1, 2, 4, 4), np.int8), r"its channels come last: array.transpose\(0, 2, 3, 1\)"),
        (np.zeros((1, 4, 4, 3), np.int8), r"1x4x4x3 came for 'picture' int8 1x4x4x2(.|\n)*N, 4, 4, 2\) for N calls"),
        (np.zeros((0, 4, 4, 2), np.int8), "empty batch"),
        (GOOD.astype(np.int16), r"int16 came .*(.|\n)*give an array of int8"),
        (GOOD.astype(np.uint8), r"0..255, give \(array.astype\('int16'\) - 128\).astype\('int8'\)"),
        (GOOD.astype(np.float32), r"scale 0.25 and zero point 3: round\(x / 0.25\) \+ 3"),
        (None, "None came for the inputs(.|\n)*give a list of arrays"),
        (3, "int 3 came for the inputs"),
        ("x.npy", "str 'x.npy' came for the inputs"),
        ({"photo": GOOD}, "no input 'photo'(.|\n)*give 'picture'"),
        ([[[1, 2], [3]]], "no array"),
    ],
)
def test_wrong_inputs_say_what_is_expected(given: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        mcusim.execute(doubled(), given)
    with pytest.raises(InputError, match=sentence):
        mcusim.session(doubled()).run(given)


@pytest.mark.parametrize(
    "option", [{"threads": 0}, {"threads": -1}, {"threads": True}, {"threads": 1.5}, {"runtime": 3}, {"schedule": None}]
)
def test_options_of_a_wrong_kind_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        mcusim.execute(doubled(), GOOD, **option)


def test_nan_is_refused_with_its_place() -> None:
    b = GraphBuilder("real")
    x = b.input((1, 3), DType.FLOAT32)
    graph = b.build([b.op("QUANTIZE", [x], dtype=DType.INT8, quantization=Quantization((0.5,), (0,)))])
    with pytest.raises(InputError, match=r"nan at \(0, 1\)"):
        mcusim.execute(graph, np.array([[0, np.nan, np.inf]], np.float32))


def test_networks_without_weights_say_how_to_get_some() -> None:
    graph = mcusim.load("mcunet-vww0")
    x = np.zeros(graph.tensors[graph.inputs[0]].shape, np.int8)
    with pytest.raises(ModelError, match=r"has no weights(.|\n)*mcusim export"):
        mcusim.execute(graph, x)


def test_all_unsupported_operators_are_named_at_once() -> None:
    b = GraphBuilder("exotic")
    x = b.input((1, 4))
    graph = b.build([b.transpose(x, (1, 0))])
    strange = [
        replace(graph.nodes[0], signature=_renamed(graph, op), name=f"layer {op}") for op in ("ERF", "CUSTOM:mine")
    ]
    broken = replace(graph, nodes=(*graph.nodes, *strange))
    with pytest.raises(ModelError, match=r"cannot run: ERF \('layer ERF'\); CUSTOM:mine \('layer CUSTOM:mine'\)"):
        mcusim.execute(broken, np.zeros((1, 4), np.int8))


def _renamed(graph: Graph, op: str) -> Any:
    from mcusim.graph import Attributes, signature

    kind = graph.nodes[0].signature
    return signature(op, Attributes(), kind.inputs, kind.outputs)


@pytest.mark.parametrize("option", [{"runtime": "tfml"}, {"schedule": "patch"}, {"numerics": "exact"}])
def test_wrong_options_are_refused(option: dict[str, str]) -> None:
    with pytest.raises(McusimError):
        mcusim.execute(doubled(), GOOD, **option)  # type: ignore[call-overload]


# ---------------------------------------------------------------------------------------------------------------------
# Schedules


@pytest.mark.parametrize("schedule", ["patch:2x2@4", "patch:3x1@6", "stream:2@5", "stream:4@7+layer@1"])
@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_a_schedule_never_changes_the_result(corpus: Path, schedule: str, runtime: str) -> None:
    graph = mcusim.load(corpus / "models" / "mlperf_vww01_mbv1_025_96_int8.tflite")
    x = np.random.default_rng(7).integers(-128, 128, (1, 96, 96, 3), dtype=np.int8)
    expected = mcusim.execute(graph, x, trace=True)
    outputs = mcusim.execute(graph, x, schedule=schedule, runtime=runtime, check=True)
    np.testing.assert_array_equal(outputs[0], expected.outputs[0])
    traced = mcusim.execute(graph, x, schedule=schedule, runtime=runtime, trace=True)
    np.testing.assert_array_equal(traced[graph.nodes[3].outputs[0]], expected[graph.nodes[3].outputs[0]])


def test_pieces_of_any_network_give_the_whole(corpus_model: CorpusModel) -> None:
    """Patches, bands and both, clipped and uniform, where the network can be cut so."""
    if float(corpus_model.row["macs_M"] or 0) > 10:
        pytest.skip("long under a canary; smaller networks run")
    graph, golden = load(corpus_model)
    given = inputs_of(graph, golden, 0)
    for runtime, schedule in (("tinyengine", "patch:2x2@3"), ("tflm", "layer@1+stream:2@4"), ("tflm", "patch:1x3@5")):
        try:
            outputs = mcusim.execute(graph, given, runtime=runtime, schedule=schedule, check=True)
        except ScheduleError:  # too few nodes, or one that cannot be cut
            continue
        for output, wanted in zip(outputs, golden.outputs(0, len(graph.outputs)), strict=True):
            np.testing.assert_array_equal(output, wanted)


# ---------------------------------------------------------------------------------------------------------------------
# The command


def seeded(tmp_path: Path) -> Graph:
    return with_seeded_weights(mcusim.load("mcunet-vww0"), 3)


def test_outputs_keep_the_names_that_savez_takes_for_itself(tmp_path: Path) -> None:
    """`file` is an argument of numpy.savez; `_file` is an output beside it."""
    names = ["file", "_file", "allow_pickle"]
    layers = [{"op": "conv_2d", "name": name, "out_channels": 2} for name in names]
    graph = mcusim.load({"name": "named", "input": [4, 4, 3], "outputs": names, "layers": layers})
    export_model(graph, tmp_path / "named.tflite")
    args = ["exec", str(tmp_path / "named.tflite"), "--input", "random", "--output", str(tmp_path / "y.npz")]
    assert main(args) == 0
    with np.load(tmp_path / "y.npz") as written:
        assert written.files == names
        assert len({written[name].tobytes() for name in names}) == 3


def test_exec_writes_what_execute_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = seeded(tmp_path)
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors[graph.inputs[0]].shape, dtype=np.int8)
    np.save(tmp_path / "x.npy", x)
    trace = tmp_path / "t.npz"
    args = ["exec", "mcunet-vww0", "--seed", "3", "--input", str(tmp_path / "x.npy")]
    assert main([*args, "--output", str(tmp_path / "y.npy"), "--trace", str(trace)]) == 0
    assert "int8" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), mcusim.execute(graph, x)[0])
    with np.load(trace) as traced:
        assert len(traced.files) > 50
    np.savez(tmp_path / "x.npz", **{graph.tensors[graph.inputs[0]].name: x})
    args[-1] = str(tmp_path / "x.npz")
    assert main([*args, "--output", str(tmp_path / "z.npz")]) == 0
    with np.load(tmp_path / "z.npz") as z:
        np.testing.assert_array_equal(z[z.files[0]], np.load(tmp_path / "y.npy"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.npy", np.zeros((3, 3), np.int8), "3x3 came for"),
        ("x.npy", np.zeros((1, 64, 64, 3), np.float32), "float32 came for"),
        ("x.npy", np.array([{"a": 1}], object), "pickled objects"),
        ("x.npy", b"hello", "no array file"),
        ("x.npy", b"\x93NUMPY\x01\x00", "damaged"),
        ("x.npz", b"PK\x03\x04nothing", "damaged"),
        ("x.npy", None, "cannot be read"),
    ],
)
def test_exec_refuses_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: Any, sentence: str
) -> None:
    path, output = tmp_path / name, tmp_path / "y.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    assert main(["exec", "mcunet-vww0", "--seed", "0", "--input", str(path), "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--output", "y.txt"], "no .npy or .npz"),
        (["--trace", "t.npy"], "no .npz"),
        (["--numerics", "exact"], "no numeric mode 'exact'"),
        (["--output", "/nowhere/y.npy"], "cannot write"),
        (["--schedule", "auto"], "schedule 'auto': a run is of one schedule; name one"),
    ],
)
def test_exec_refuses_wrong_options(capsys: pytest.CaptureFixture[str], args: list[str], sentence: str) -> None:
    assert main(["exec", "mcunet-vww0", "--seed", "0", "--input", "random", *args]) == 2
    assert sentence in capsys.readouterr().err
