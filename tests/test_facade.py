"""`import mcusim`: the commands' answers from Python, typed, short to look at, and as frames."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from commands import document_of

import mcusim

NET = "mcunet-vww0"


def test_every_name_is_there_and_described() -> None:
    for name in mcusim.__all__:
        offered = getattr(mcusim, name)
        assert name == "__version__" or inspect.getdoc(offered), name
    assert inspect.unwrap(mcusim.patch) is inspect.unwrap(mcusim.search)
    with pytest.raises(AttributeError, match="it offers"):
        _ = mcusim.plann  # type: ignore[attr-defined]


def test_a_plan_is_that_of_the_command() -> None:
    plan, document = mcusim.plan(NET, runtime="tflm"), document_of("plan", NET, "--runtime", "tflm")
    assert (plan.arena_bytes, plan.recommended_arena_bytes) == (
        document["arena_bytes"],
        document["recommended_arena_bytes"],
    )
    frame = plan.to_frame()
    assert frame["name"].tolist() == [buffer["name"] for buffer in document["buffers"]]
    assert (frame["offset_bytes"] + frame["size_bytes"]).max() <= plan.total_bytes
    assert repr(plan).startswith("<MemoryPlan 'mcunet-vww0' with 'tflm': ")
    wheel = mcusim.plan(NET, runtime="tflm", pointer_bits=64)
    assert wheel.total_bytes > plan.total_bytes
    with pytest.raises(mcusim.McusimError, match="one schedule"):
        mcusim.plan(NET, schedule="auto")


@pytest.mark.slow
def test_a_front_as_a_frame() -> None:
    front, document = mcusim.patch(NET, profile="stm32f412"), document_of("patch", NET, "--profile", "stm32f412")
    frame = front.to_frame()
    assert frame["schedule"].tolist() == [point["schedule"] for point in document["points"]]
    assert frame["peak_bytes"].tolist() == [point["peak_bytes"] for point in document["points"]]
    assert repr(front).startswith("<Front 'mcunet-vww0' on 'stm32f412' with 'tinyengine': ")


@pytest.mark.slow
def test_remedies_and_bits() -> None:
    asked = {"profile": "stm32f412", "sram_budget_bytes": 32 * 1024}
    words = ["--profile", "stm32f412", "--sram-budget", "32k"]
    advice, document = mcusim.fit(NET, **asked), document_of("fit", NET, *words)
    assert advice.to_frame()["what"].tolist() == [remedy["what"] for remedy in document["remedies"]]
    assert "does-not-fit" in repr(advice)
    cut, document = mcusim.bits(NET, **asked), document_of("bits", NET, *words)
    assert cut.to_frame()["output_bits"].tolist() == [layer["output_bits"] for layer in document["layers"]]
    assert repr(cut).startswith("<BitFit 'mcunet-vww0' on 'stm32f412'")


def test_two_runs_are_compared(tmp_path) -> None:
    from mcusim.zoo.export import export_model

    path = tmp_path / "net.tflite"
    export_model(NET, path, 1)
    graph = mcusim.load(path)
    given = [np.random.default_rng(0).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)]
    same = mcusim.diff(graph, path, inputs=given)
    assert (same.is_same, len(same.to_frame())) == (True, len(same.layers))
    assert "all equal" in repr(same)
    other = mcusim.diff(graph, inputs=given, numerics=("tflm", "litert"))
    assert not other.is_same
    assert "the first that differs" in repr(other)
    for numerics in ("tflm", ("tflm", "litert", "tflm")):
        with pytest.raises(mcusim.McusimError):
            mcusim.diff(graph, inputs=given, numerics=numerics)


def test_reprs_are_short() -> None:
    answers = [
        mcusim.simulate(NET, profile="stm32f412"),
        mcusim.plan(NET),
        mcusim.patch(NET, profile="stm32f412"),
        mcusim.load(NET),
    ]
    assert [len(repr(answer)) < 250 and repr(answer).startswith("<") for answer in answers] == [True] * len(answers)
