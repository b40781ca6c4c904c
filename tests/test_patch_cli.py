"""`mcusim patch` and `mcusim fit`: what they say, wide and narrow, as documents and tables; and that it holds."""

from __future__ import annotations

import csv
import io
import json
from functools import cache

import numpy as np
import pytest
from commands import run

import mcusim
from mcusim import zoo
from mcusim.execution import prepared
from mcusim.execution.arena import Arena
from mcusim.frontends.synthesis import with_seeded_weights

SMALL_SPACE = ("--grid", "4", "--stages", "1")
OOM = ("mbv2-w0.35-r144", "--profile", "stm32f412")
"""A row that is printed as out of memory: Table 4, IEEE CAS Magazine 2023."""


@cache
def document_of(*args: str) -> dict:
    code, out, err = run(*args, "--json", "-")
    assert (code, err) == (0, "")
    return json.loads(out)


def rows(*args: str) -> list[dict[str, str]]:
    code, out, err = run(*args, "--csv", "-")
    assert (code, err) == (0, "")
    return list(csv.DictReader(io.StringIO(out)))


pytestmark = pytest.mark.usefixtures("elsewhere")


# ---------------------------------------------------------------------------------------------------------------------
# mcusim patch


@pytest.mark.slow
def test_the_published_out_of_memory_row_fits_and_runs():
    """The schedule that is proposed gives the network's outputs, in an arena of the bytes that are claimed."""
    document = document_of("patch", *OOM)
    assert (document["fits"], document["layer"]["fits"]) == (True, False)
    best = document["best"]
    assert best["peak_bytes"] <= document["budget_bytes"] == 256 * 1024 < document["layer"]["peak_bytes"]
    graph = with_seeded_weights(zoo.build(OOM[0]))
    x = np.random.default_rng(3).integers(-128, 128, (1, 144, 144, 3), dtype=np.int8)
    [whole] = mcusim.execute(graph, x)
    [pieced] = mcusim.execute(graph, x, schedule=best["schedule"], runtime="tinyengine")
    np.testing.assert_array_equal(pieced, whole)
    ready = prepared(graph, schedule=best["schedule"], runtime="tinyengine")
    assert Arena(ready).storage.nbytes == best["peak_bytes"]


@pytest.mark.slow
def test_what_the_runtime_lacks_is_shown_as_such():
    document = document_of("patch", *OOM)
    assert document["space"]["kinds"] == ["patch"]
    assert "stream" not in document["best"]["schedule"]
    assert "stream" in document["unsupported"]["schedule"]
    _, text, _ = run("patch", *OOM, *SMALL_SPACE)
    assert "tinyengine has no stream stages. With them: " in text
    asked = document_of("patch", *OOM, "--kinds", "patch,stream")
    assert asked["best"] == document["unsupported"]
    assert asked["unsupported"] is None


def test_what_the_released_generator_can_express_fits_too():
    asked = ("run", *OOM, "--schedule", "patch:2x2@5")
    by_generator, clean = document_of(*asked, "--convention", "tinyengine-codegen"), document_of(*asked)
    assert by_generator["sram"]["fits"]
    assert by_generator["sram"]["peak_bytes"] > clean["sram"]["peak_bytes"]
    assert clean["latency"]["ms"] < document_of("run", *OOM)["latency"]["ms"] * 1.1


@pytest.mark.slow
def test_auto_runs_what_patch_proposes():
    best = document_of("patch", *OOM)["best"]
    report = document_of("run", *OOM, "--schedule", "auto")
    assert report["schedule"]["spec"] == best["schedule"]
    assert report["sram"]["peak_bytes"] == best["peak_bytes"]
    assert not any("stages" in warning for warning in report["warnings"])


@pytest.mark.slow
def test_auto_says_what_would_fit_where_nothing_does():
    asked = ("run", "mcunet-in3", "--profile", "stm32f412", "--runtime", "tflm", "--schedule", "auto")
    report = document_of(*asked)
    assert (report["verdict"], report["schedule"]["spec"]) == ("does-not-fit", "layer")
    [warning] = [warning for warning in report["warnings"] if warning.startswith("schedule: ")]
    assert "nothing fits that tflm can run; with patch and stream stages, " in warning
    spec = warning.split(", ")[-1].removesuffix(" would.")
    assert document_of(*asked[:-1], spec)["sram"]["fits"]


@pytest.mark.slow
def test_an_error_is_about_what_was_typed():
    asked = ("--profile", "stm32f412", "--schedule", "auto", "--convention", "tinyengine-codegen")
    code, _, err = run("run", "mcunet-in3", *asked)
    assert code == 2
    assert "schedule 'auto': it found 'layer@1+patch:" in err


@pytest.mark.slow
def test_flash_that_no_schedule_helps_is_said():
    args = ("patch", "mbv2-w1.0-r224", "--profile", "stm32h743", *SMALL_SPACE)
    assert "! flash: 3,592.5 KiB of 2,048.0, whatever the schedule" in run(*args)[1]
    assert "! flash" not in run("patch", *OOM, *SMALL_SPACE)[1]


@pytest.mark.slow
def test_a_runtime_without_pieces_runs_layer_by_layer():
    document = document_of("patch", "mcunet-vww0", "--profile", "stm32f412", "--runtime", "tflm")
    assert [point["schedule"] for point in document["points"]] == ["layer"]
    _, text, _ = run("patch", "mcunet-vww0", "--profile", "stm32f412", "--runtime", "tflm")
    assert "it runs layer by layer only" in text


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["40", "72", "160"])
@pytest.mark.parametrize(
    "args", [["patch", *OOM, *SMALL_SPACE, "--advice", "--paper"], ["fit", *OOM]], ids=["patch", "fit"]
)
def test_every_line_fits_the_terminal(args, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    code, text, err = run(*args)
    assert (code, err) == (0, "")
    lines = text.splitlines()
    assert max(map(len, lines)) <= int(columns), max(lines, key=len)
    assert "".join(text.split()).count("layer@3+patch:1x2@2") >= 1


@pytest.mark.slow
def test_documents_and_tables_agree():
    document = document_of("patch", *OOM, *SMALL_SPACE)
    table = rows("patch", *OOM, *SMALL_SPACE)
    assert [row["schedule"] for row in table] == [point["schedule"] for point in document["points"]]
    assert [int(row["peak_bytes"]) for row in table] == [point["peak_bytes"] for point in document["points"]]
    assert min(point["macs"] for point in document["points"]) == document["layer"]["macs"]


@pytest.mark.slow
def test_mcunetv2s_own_plan():
    code, text, _ = run("patch", "mbv2-w1.0-r224", "--profile", "stm32h743", "--paper", "--grid", "4", "--stages", "1")
    assert code == 0
    assert "patch:4x4@13, 5 blocks" in " ".join(text.split())
    assert "171.5 KiB" in text


@pytest.mark.slow
def test_check_exits_with_1_when_nothing_fits():
    args = ("patch", "mcunet-vww0", "--profile", "stm32f412", "--stages", "1", "--grid", "2")
    assert run(*args, "--check")[0] == 0
    for budget, shown in (("8k", "8.0 KiB"), ("40", "40 B")):
        code, text, _ = run(*args, "--sram-budget", budget, "--check")
        assert code == 1
        assert f"NO SCHEDULE FITS {shown}; the nearest lacks" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["patch", "mcunet-vww9", "--profile", "stm32f412"], "did you mean 'mcunet-vww"),
        (["patch", "mcunet-vww0", "--profile", "stm32f41x"], "did you mean 'stm32f41"),
        (["patch", *OOM, "--kinds", "patch,tile"], "--kinds: 'tile' is no kind of stage; use patch, stream or both"),
        (["patch", *OOM, "--kinds", ","], "--kinds: ',' is no kind of stage"),
        (["patch", *OOM, "--runtime", "tinyengin"], "no such runtime"),
        (["patch", *OOM, "--sram-budget", "many"], "--sram-budget"),
        (["patch", *OOM, "--grid", "0"], "--grid: '0' is not 1 or more"),
        (["patch", *OOM, "--grid", "65"], "--grid: '65' is not 64 or less"),
        (["patch", *OOM, "--stages", "two"], "--stages: 'two' is not a whole number"),
        (["plot", "front", *OOM, "-o", "f.svg", "--width", "wide"], "--width: 'wide' is not a number"),
        (["patch", *OOM, "--json", "-", "--csv", "-"], "--csv"),
        (["fit", "mcunet-vww0", "--profile", "nowhere"], "nowhere"),
        (["fit", "nothing.tflite", "--profile", "stm32f412"], "nothing.tflite"),
        (["fit", *OOM, "--runtime", "hale9000"], "no such runtime"),
    ],
)
def test_what_is_wrong_gets_one_sentence(args, message):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert "Traceback" not in err


# ---------------------------------------------------------------------------------------------------------------------
# mcusim fit


@pytest.mark.slow
def test_remedies_come_with_bytes_time_and_a_command_that_works():
    document = document_of("fit", *OOM)
    assert document["verdict"] == "does-not-fit"
    first = document["remedies"][0]
    assert (first["kind"], first["fits"], first["keeps_outputs"]) == ("schedule", True, True)
    asked = json.loads(run(*first["command"].split()[1:], "--json", "-")[1])
    assert asked["verdict"] == "fits"
    assert (asked["sram"]["peak_bytes"], asked["latency"]["ms"]) == (first["sram_bytes"], pytest.approx(first["ms"]))
    assert {remedy["kind"] for remedy in document["remedies"]} >= {"schedule", "board", "resolution", "width"}


@pytest.mark.slow
def test_remedies_as_a_table():
    table = rows("fit", *OOM)
    assert [row["what"] for row in table] == [remedy["what"] for remedy in document_of("fit", *OOM)["remedies"]]
    assert all(int(row["sram_bytes"]) > 0 for row in table)


@pytest.mark.slow
def test_what_a_remedy_lacks_is_told():
    remedies = document_of("fit", *OOM)["remedies"]
    assert {bool(remedy["lacks"]) == remedy["fits"] for remedy in remedies} == {False}
    (nearer,) = [
        r for r in document_of("fit", "mbv2-w1.0-r224", "--profile", "stm32h743")["remedies"] if r["kind"] == "schedule"
    ]
    assert nearer["lacks"] == ["too much flash"]


@pytest.mark.slow
def test_fit_exits_with_1_where_it_does_not_fit_as_it_is():
    assert run("fit", *OOM, "--check")[0] == 1
    code, text, _ = run("fit", "mcunet-vww0", "--profile", "stm32f746", "--check")
    assert code == 0
    assert "It fits as it is." in text
    assert "runtime tflm" not in text  # which fits too, but takes more


@pytest.mark.slow
def test_the_sentence_promises_what_is_searched():
    """A schedule off the front may be placed with a smaller gap (A53): nothing is said about placed bytes."""
    said = " ".join(run("patch", "mbv2-w0.35-r144", "--profile", "stm32f412").out.split())
    assert "in live bytes and time no other beats them" in said
    assert "gaps that placing leaves are not searched" in said
