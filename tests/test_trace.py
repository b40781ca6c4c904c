"""Traces: valid events of the Trace Event Format, times that add up to the latency, the memory that was planned."""

from __future__ import annotations

import json
from itertools import pairwise
from numbers import Real
from pathlib import Path

import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_maker import tiny_network

import mcusim
from mcusim.errors import McusimError, ModelError, ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.lowering.lower import lower
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import parse_schedule

BOARD = "stm32f746"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def assert_is_trace(made: dict) -> None:
    """What the Trace Event Format asks of the three kinds of events; JSON and nothing else."""
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["displayTimeUnit"] in ("ms", "ns")
    assert all(isinstance(value, str) for value in made["otherData"].values())
    for event in made["traceEvents"]:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["args"], dict)
        match event["ph"]:
            case "X":
                assert isinstance(event["tid"], int)
                assert event["ts"] >= 0
                assert event["dur"] >= 0
            case "C":
                assert event["ts"] >= 0
                assert event["args"]
                assert all(isinstance(value, Real) for value in event["args"].values())
            case "M":
                assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
                assert set(event["args"]) == {"sort_index" if event["name"].endswith("index") else "name"}
            case other:
                pytest.fail(f"unknown phase {other}")


def slices(made: dict) -> list[dict]:
    return [event for event in made["traceEvents"] if event["ph"] == "X"]


def assert_is_of(made: dict, report: mcusim.Report) -> None:
    """Time, work and memory are those of the report."""
    assert_is_trace(made)
    events = slices(made)
    assert sum(event["args"]["total_cycles"] for event in events) == report.latency.cycles
    assert sum(event["dur"] for event in events) == pytest.approx(report.latency.ms * 1e3, abs=0.001)
    for cause in ("compute", "store", "memory", "overhead"):
        spent = sum(getattr(layer, f"{cause}_cycles") for layer in report.layers)
        assert sum(event["args"][f"{cause}_cycles"] for event in events) == spent
    assert sum(event["args"]["macs"] for event in events) == report.model.macs + report.schedule.recomputed_macs
    for before, after in pairwise(events):  # one after the other, without a gap
        assert int(after["ts"] * 1000) == int(before["ts"] * 1000) + int(before["dur"] * 1000)
    counted = [event["args"]["bytes"] for event in made["traceEvents"] if event["ph"] == "C"]
    assert max(counted) == sum(item.bytes for item in report.sram.peak.alive)


@pytest.mark.parametrize("runtime", ["tinyengine", "tflm", "microtvm"])
@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@5", "patch:3x2@5+layer@2+stream:1@4", "stream:2@8"])
def test_a_trace_adds_up_to_the_report(runtime, schedule):
    how = {"profile": BOARD, "runtime": runtime, "schedule": schedule}
    report, made = mcusim.simulate("mcunet-vww1", **how), mcusim.trace("mcunet-vww1", **how)
    assert_is_of(made, report)
    program = lower(
        mcusim.load("mcunet-vww1"),
        parse_schedule(schedule),
        RUNTIMES[runtime].rules,
        RUNTIMES[runtime].rules.default_input_place(parse_schedule(schedule)),
    )
    steps = list(program.steps())
    assert [event["tid"] for event in slices(made)] == [step.stage + 1 for step in steps]
    (rows, cols), event = steps[-1].region, slices(made)[-1]
    assert event["args"]["region"] == f"rows {rows.start}:{rows.stop}, columns {cols.start}:{cols.stop}"
    names = {event["tid"]: event["args"]["name"] for event in made["traceEvents"] if event["name"] == "thread_name"}
    assert set(names) == {event["tid"] for event in slices(made)}


@settings(max_examples=25)
@given(
    size=st.integers(5, 20),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.sampled_from([1, 2]),
    runtime=st.sampled_from(["tinyengine", "tflm-cmsis-nn"]),
)
def test_pieces_of_any_grid_add_up(size, grid, stride, runtime):
    b = GraphBuilder("pieces")
    x = b.conv_2d(b.input((1, 2 * size, size, 3)), 8, kernel=3, stride=stride)
    graph = b.build([b.depthwise_conv_2d(x, kernel=3)])
    how = {"profile": BOARD, "runtime": runtime, "schedule": f"patch:{grid[0]}x{grid[1]}@2"}
    try:
        report = mcusim.simulate(graph, **how)
    except ScheduleError:  # finer than the map
        return
    assert_is_of(mcusim.trace(graph, **how), report)


def test_too_many_pieces_are_shown_together():
    how = {"profile": BOARD, "schedule": "patch:4x4@5"}
    made = mcusim.trace("mcunet-vww1", **how, slices=70)
    assert_is_of(made, mcusim.simulate("mcunet-vww1", **how))
    assert made["otherData"]["warning"] == "too many slices: the pieces of stage 0: 4x4 patches are shown together"
    assert slices(made)[1]["args"]["pieces"] == 16
    assert "warning" not in mcusim.trace("mcunet-vww1", **how)["otherData"]


def test_another_clock_changes_times_and_nothing_else():
    slow, fast = (mcusim.trace("mcunet-vww0", profile=BOARD, clock_hz=hz) for hz in (100_000_000, 200_000_000))
    assert [event["args"] for event in slices(slow)] == [event["args"] for event in slices(fast)]
    for one, other in zip(slices(slow), slices(fast), strict=True):
        assert one["dur"] == pytest.approx(2 * other["dur"], abs=0.003)  # rounded to nanoseconds


def test_what_has_no_trace():
    with pytest.raises(ScheduleError, match="one schedule"):
        mcusim.trace("mcunet-vww0", profile=BOARD, schedule="auto")
    with pytest.raises(McusimError, match="no such board"):
        mcusim.trace("mcunet-vww0", profile="no such board")


def test_time_that_nobody_knows_has_no_trace():
    made = tiny_network()
    made.operator("CUSTOM", [7], [made.tensor((1, 7))], custom="Mine")
    made.graph.outputs = [len(made.graph.tensors) - 1]
    Path("net.tflite").write_bytes(made.pack())
    with pytest.raises(ModelError, match="the time of CUSTOM:Mine is not known"):
        mcusim.trace("net.tflite", profile=BOARD, runtime="tflm")
    code, out, err = run("run", "net.tflite", "--profile", BOARD, "--trace", "t.json", "--json", "r.json")
    assert (code, out) == (2, "")
    assert "is not known" in err
    assert [path.name for path in Path().iterdir()] == ["net.tflite"]


# ---------------------------------------------------------------------------------------------------------------------
# `mcusim run --trace`


def test_the_command_writes_the_same_document():
    args = ("run", "mcunet-vww1", "--profile", BOARD, "--schedule", "patch:2x2@5", "--input", "arena")
    code, out, err = run(*args, "--trace", "t.json")
    assert (code, err) == (0, "")
    assert out.startswith("mcunet-vww1 on stm32f746")
    made = json.loads(Path("t.json").read_text())
    assert made == mcusim.trace("mcunet-vww1", profile=BOARD, schedule="patch:2x2@5", input_place="arena")
    code, out, err = run(*args, "--trace", "-")
    assert (code, json.loads(out), err) == (0, made, "")


def test_the_schedule_that_was_found_is_traced():
    code, out, _ = run("run", "mcunet-in2", "--profile", "stm32f412", "--schedule", "auto", "--trace", "-")
    assert code == 0
    assert len({event["tid"] for event in slices(json.loads(out))}) >= 1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--profile", "all", "--trace", "t.json"], "it is about one answer"),
        (["--profile", BOARD, "--trace", "t.json", "--json", "t.json"], "cannot share"),
        (["--profile", BOARD, "--trace", "no/such/t.json"], "cannot write"),
    ],
)
def test_a_wrong_question_gets_one_sentence(args, sentence):
    code, out, err = run("run", "mcunet-vww0", *args)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not any(Path().iterdir())


def test_a_model_is_not_overwritten():
    assert run("export", "mcunet-vww0", "m.tflite")[0] == 0
    before = Path("m.tflite").read_bytes()
    code, _, err = run("run", "m.tflite", "--profile", BOARD, "--trace", "m.tflite")
    assert code == 2
    assert "is what this command reads" in err
    assert Path("m.tflite").read_bytes() == before
