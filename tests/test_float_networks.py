"""Float networks get an answer: memory and flash as exact as of integer ones, and no time, with the reason."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from commands import run
from oracles import run_tflm
from tflite_maker import FLOAT32, INT8, INT32, Maker, make_options

import mcusim
from mcusim.errors import ModelError
from mcusim.frontends.checks import float_reason
from mcusim.frontends.tflite import parse_tflite
from mcusim.memory.planning import plan_memory
from mcusim.report import Verdict
from mcusim.runtimes.tflm import TFLM_WHEEL


def network(weights: int = FLOAT32) -> Maker:
    """Convolution, depthwise convolution, mean, fully connected, softmax."""
    made = Maker()

    def plain(shape, elements=None) -> int:
        return made.tensor(shape, FLOAT32, elements, scales=())

    def learned(shape) -> int:
        if weights == FLOAT32:
            return plain(shape, np.random.default_rng(sum(shape)).normal(0, 0.3, shape).astype(np.float32))
        return made.tensor(shape, weights, np.ones(shape))

    x = plain((1, 8, 8, 3))
    made.graph.inputs = [x]
    y = plain((1, 8, 8, 6))
    options = make_options("Conv2DOptions", strideW=1, strideH=1, fusedActivationFunction=1)
    made.operator("CONV_2D", [x, learned((6, 3, 3, 3)), plain((6,), np.ones(6))], [y], options)
    z = plain((1, 4, 4, 6))
    options = make_options("DepthwiseConv2DOptions", strideW=2, strideH=2, depthMultiplier=1)
    made.operator("DEPTHWISE_CONV_2D", [y, learned((1, 3, 3, 6)), plain((6,), np.ones(6))], [z], options)
    axes = made.tensor((2,), INT32, [1, 2])
    pooled = plain((1, 6))
    made.operator("MEAN", [z, axes], [pooled], make_options("ReducerOptions", keepDims=False))
    scores, answer = plain((1, 10)), plain((1, 10))
    options = make_options("FullyConnectedOptions")
    made.operator("FULLY_CONNECTED", [pooled, learned((10, 6)), plain((10,), np.ones(10))], [scores], options)
    made.operator("SOFTMAX", [scores], [answer], make_options("SoftmaxOptions", beta=1.0))
    made.graph.outputs = [answer]
    return made


def read(made: Maker):
    return parse_tflite(made.pack(), name="floats", where="floats.tflite")


def test_head_and_tail_equal_a_real_interpreters(capfd):
    runtime = pytest.importorskip("tflite_micro").runtime
    capfd.readouterr()
    runtime.Interpreter.from_bytes(network().pack(), arena_size=1 << 20).print_allocations()
    printed = "".join(capfd.readouterr())
    head, tail = (int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
    plan = plan_memory(read(network()), TFLM_WHEEL)
    assert (plan.arena_bytes, plan.persistent.size_bytes) == (head, tail)


@pytest.mark.parametrize("runtime", ["tflm", "tflm-cmsis-nn"])
def test_memory_and_flash_are_told_and_no_time(runtime):
    content = network().pack()
    report = mcusim.simulate(read(network()), profile="stm32h743", runtime=runtime)
    assert report.verdict is Verdict.FITS
    assert report.sram.recommended_arena_bytes == report.sram.peak_bytes > 2 * 4 * 8 * 8 * 3
    assert report.flash.model_bytes == len(content)
    assert report.latency.ms is report.energy is None
    assert all(layer.cycles is None for layer in report.layers)
    assert report.model.macs > 0
    assert any("is a float32 network, and only integer kernels were measured" in warning for warning in report.warnings)


def test_a_limit_of_time_cannot_be_kept_or_broken():
    report = mcusim.simulate(read(network()), profile="stm32h743", runtime="tflm", max_ms=10)
    assert report.latency.fits is None
    assert report.verdict is Verdict.UNKNOWN


def test_hybrid_networks_are_told_as_such():
    graph = read(network(INT8))
    assert float_reason(graph).startswith("is a hybrid network")
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert report.verdict is Verdict.UNKNOWN, "TFLM has no hybrid kernels"


def test_what_needs_times_or_exact_bytes_says_why(elsewhere, tmp_path):
    path = tmp_path / "floats.tflite"
    path.write_bytes(network().pack())
    code, out, _ = run("run", str(path), "--profile", "stm32h743", "--runtime", "tflm", "--json", "-")
    assert code == 0
    document = json.loads(out)
    assert document["latency"]["ms"] is None
    assert document["sram"]["recommended_arena_bytes"] == document["sram"]["peak_bytes"]
    code, _, err = run("patch", str(path), "--profile", "stm32h743", "--kinds", "patch")
    assert code == 2
    assert "is a float32 network" in err
    with pytest.raises(ModelError, match="float32 under the numerics of litert"):
        mcusim.execute(read(network()), [np.zeros((1, 8, 8, 3), np.float32)], numerics="litert")


@pytest.mark.parametrize("runtime", ["tflm", "tflm-cmsis-nn", "tinyengine", "mcusim", "x-cube-ai"])
def test_the_best_schedule_of_floats_is_layer_by_layer(runtime, elsewhere, tmp_path):
    """Nobody has told what pieces of it cost; `run`, `patch` and `--schedule auto` agree, and no time is told."""
    path = tmp_path / "floats.tflite"
    path.write_bytes(network().pack())
    asked = str(path), "--profile", "stm32h743", "--runtime", runtime
    plain = run("run", *asked, "--check")
    assert run("run", *asked, "--schedule", "auto", "--check") == plain
    assert run("patch", *asked, "--check").code == plain.code
    front = json.loads(run("patch", *asked, "--json", "-").out)
    assert front["space"]["kinds"] == []
    assert [(point["schedule"], point["ms"]) for point in front["points"]] == [("layer", None)]


@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@2", "stream:2@2"])
def test_bytes_equal_a_real_interpreters_under_every_schedule(schedule):
    """Sums of floats depend on their order, which pieces must not change."""
    made, random = network(), np.random.default_rng(5)
    picture = random.normal(size=(1, 8, 8, 3)).astype(np.float32)
    (right,) = run_tflm(made.pack(), [picture])
    (output,) = mcusim.execute(read(made), [picture], schedule=schedule)
    assert np.array_equal(output, right)
