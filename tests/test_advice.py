"""Design advice: which kernels and strides cost recomputation, and a redistributed network whose numbers can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

import mcusim
from mcusim import zoo
from mcusim.advising.receptive_fields import Advice, advise
from mcusim.errors import ScheduleError
from mcusim.simulation.simulate import simulate


@pytest.fixture(scope="module")
def papers() -> Advice:
    """MobileNetV2 in MCUNetV2's own plan."""
    return advise("mbv2-w1.0-r224", "patch:4x4@13")


def test_it_finds_mcunetv2s_redistributed_stage(papers):
    """n = 4 blocks, 63 x 63 patches, 73 M MACs, +18 %. Source: MCUNetV2 (arXiv 2110.15352), Table 1."""
    before, after = papers.before, papers.redistributed
    assert (before.patch, before.stage_macs) == ((75, 75), pytest.approx(129.5e6, abs=0.05e6))
    assert before.overhead == pytest.approx(0.419, abs=5e-4)
    assert after is not None
    assert str(after.schedule) == "patch:4x4@8"
    assert after.patch == (63, 63)
    assert after.stage_macs == pytest.approx(73.25e6, abs=0.005e6)
    assert after.overhead == pytest.approx(0.183, abs=5e-4)
    # The stage is that of the network that was inferred from the paper, whatever stands behind it.
    inferred = zoo.network_description("mbv2-rd-r224-INFERRED")["layers"]
    assert after.network["layers"][:4] == inferred[:4]
    report = simulate("mbv2-rd-r224-INFERRED", profile="stm32h743", schedule=after.schedule)
    assert report.schedule.recomputed_macs == after.recomputed_macs


def test_what_costs_most_comes_first(papers):
    saved = [change.saved_macs for change in papers.changes]
    assert saved == sorted(saved, reverse=True)
    proposed = {(change.layer, change.what) for change in papers.changes}
    assert {(2, "kernel 3 -> 1"), (4, "kernel 3 -> 1"), (4, "block behind the stage")} <= proposed
    assert any(what.startswith("stride 2 to layer") for _, what in proposed)
    for change in papers.changes:
        assert papers.before.recomputed_macs - change.after.recomputed_macs == change.saved_macs


def test_every_number_is_that_of_the_changed_network(papers):
    for variant in (papers.redistributed, *(change.after for change in papers.changes[:2])):
        report = simulate(variant.network, profile="stm32h743", schedule=variant.schedule)
        assert report.sram.peak_bytes == variant.peak_bytes
        assert report.schedule.recomputed_macs == variant.recomputed_macs
        assert report.model.macs + report.schedule.recomputed_macs == variant.macs


def test_a_kernel_that_is_smaller_leaves_a_smaller_patch(papers):
    for change in papers.changes:
        if change.what.startswith("kernel"):
            assert change.after.patch < papers.before.patch


@pytest.mark.slow
def test_the_variant_is_a_file_that_runs(tmp_path: Path):
    path = tmp_path / "changed.tflite"
    options = [
        "--profile",
        "stm32f746",
        "--advice",
        "--stages",
        "1",
        "--grid",
        "2",
        "--variant",
        str(path),
        "--json",
        "-",
    ]
    code, out, err = run("patch", "mcunet-in3", *options)
    assert (code, err) == (0, "")
    after = json.loads(out)["advice"]["redistributed"]
    report = mcusim.simulate(path, profile="stm32f746", schedule=after["schedule"])
    assert report.sram.peak_bytes == after["peak_bytes"]
    assert report.schedule.recomputed_macs == after["recomputed_macs"]


@pytest.mark.parametrize("width", [60, 140])
def test_it_is_told_in_any_width(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    options = ["--profile", "stm32h743", "--stages", "1", "--grid", "2", "--advice", "--schedule", "patch:4x4@13"]
    code, out, _ = run("patch", "mbv2-w1.0-r224", *options)
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    for said in ("block behind the stage", "stride 2 to layer 2", "redistributed", "patch:4x4@8", "+18 %"):
        assert said in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--schedule", "patch:2x2@3"], "add --advice"),
        (["--variant", "x.tflite"], "add --advice"),
        (["--advice", "--schedule", "stream:2@3"], "no patch stage"),
        (["--advice", "--schedule", "patch:2x2@1", "--variant", "x.tflite"], "nothing to move"),
    ],
)
def test_a_wrong_question_gets_one_sentence(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("patch", "mcunet-vww0", "--profile", "stm32f412", "--stages", "1", "--grid", "2", *options)
    assert (code, out) == (2, "")
    assert sentence in err
    assert not any(tmp_path.iterdir())


def test_a_schedule_without_patches_is_refused():
    with pytest.raises(ScheduleError, match="no patch stage"):
        advise("mbv2-w1.0-r224", "layer")
