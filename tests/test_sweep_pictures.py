"""What is made of a sweep's answers: fronts against an enumeration, accuracies by source, the page in a browser."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from browser import visit, why_missing
from commands import run
from hypothesis import given
from hypothesis import strategies as st

from mcusim import zoo
from mcusim.designing.optimising.predictors import imagenet_fit
from mcusim.errors import InputError
from mcusim.ops.totals import count_macs
from mcusim.render.sweep import sweep_plot
from mcusim.render.sweep_page import sweep_page
from mcusim.sweeping.drawing import DrawnNetwork
from mcusim.sweeping.points import METRICS, AccuracySource, Point, front_of, sweep_points
from mcusim.sweeping.running import run_sweep
from mcusim.sweeping.spec import read_spec

pq = pytest.importorskip("pyarrow.parquet", reason="needs mcusim[sweep]")

HOSTILE = "a<img src=x onerror=document.title='bad'>&amp;\N{RIGHT-TO-LEFT OVERRIDE}.tflite"
NETWORKS = ["mcunet-in0", "mcunet-in1", "mcunet-in4", "mbv2-w0.3-r64", "mcunet-vww0"]
BOARDS = ["stm32f412", "stm32h743"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five networks of two data sets and one that cannot be read, on two boards."""
    place = tmp_path_factory.mktemp("swept")
    (place / HOSTILE.replace("/", "")).write_bytes(b"not a network")
    names = [*NETWORKS, HOSTILE.replace("/", "")]
    spec = place / "sweep.toml"
    spec.write_text(f"networks = {json.dumps(names)}\nboards = {json.dumps(BOARDS)}\n", encoding="utf-8")
    run_sweep(read_spec(spec), place / "out", processes=1)
    return str(place / "out")


def test_the_page_tells_what_auto_chose_from_what_was_asked_for(tmp_path: Path) -> None:
    spec = tmp_path / "sweep.toml"
    spec.write_text(
        'networks = ["mcunet-vww0"]\nboards = ["stm32f412"]\nschedules = ["layer", "auto"]\n', encoding="utf-8"
    )
    run_sweep(read_spec(spec), tmp_path / "out", processes=1)
    assert '"texts":["layer","layer (auto)"]' in sweep_page(str(tmp_path / "out"))


def fails(*args: str) -> str:
    """The sentence of a command that is refused."""
    answer = run(*args)
    assert answer.code == 2
    return answer.err


def point(number: int, x: float, y: float) -> Point:
    return Point(number, "", "", "", "", "fits", x, y)


@given(places=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6))), x_up=st.booleans(), y_up=st.booleans())
def test_a_front_is_what_no_other_beats(places: list[tuple[int, int]], x_up: bool, y_up: bool) -> None:
    """Against every pair."""
    x, y = METRICS["sram"]._replace(more_is_better=x_up), METRICS["time"]._replace(more_is_better=y_up)
    points = [point(number, *place) for number, place in enumerate(places)]
    signs = (-1 if x_up else 1, -1 if y_up else 1)
    as_costs = {(signs[0] * a, signs[1] * b) for a, b in places}
    wanted = {p for p in as_costs if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in as_costs)}
    front = front_of(points, x, y)
    assert {(signs[0] * p.x, signs[1] * p.y) for p in front} == wanted
    assert len(front) == len(wanted)


@pytest.mark.slow
def test_accuracies_are_of_one_data_set_and_say_where_they_come_from(folder: str) -> None:
    points = sweep_points(folder, "sram", "accuracy", "board")
    assert [panel.title for panel in points.panels] == BOARDS
    assert (points.dataset, points.count, points.left_out) == ("ImageNet", 8, 4)
    by_name = {p.network: p for p in points.panels[0].points}
    assert by_name["mcunet-in1"].source is AccuracySource.PUBLISHED
    assert by_name["mcunet-in1"].y == float(zoo.describe("mcunet-in1").published[0].top1_quantized)
    fitted = by_name["mbv2-w0.3-r64"]
    assert fitted.source is AccuracySource.FIT
    rows = pq.read_table(f"{folder}/answers").to_pylist()
    row = next(row for row in rows if row["network"] == fitted.network)
    assert fitted.y == imagenet_fit().top1(row["model.macs"], row["model.params"])
    assert not by_name["mcunet-in4"].on_front  # it does not fit there
    other = sweep_points(folder, "time", "accuracy", dataset="Visual Wake Words")
    assert {p.network for p in other.panels[0].points} == {"mcunet-vww0"}


def test_accuracies_of_the_user(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("network,accuracy\nmcunet-vww0,12.5\nmcunet-in0,33\n")
    points = sweep_points(folder, "flash", "accuracy", accuracies=str(file))
    assert {(p.network, p.y, p.source) for p in points.panels[0].points} == {
        ("mcunet-vww0", 12.5, AccuracySource.GIVEN),
        ("mcunet-in0", 33.0, AccuracySource.GIVEN),
    }


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("mcunet-in0,33\nmcunet-vww0,160\n", "line 2: 160 is no percentage"),
        ("mcunet-in0,-1\n", "line 1: -1 is no percentage"),
        ("network,accuracy\nmcunet-in0,33\nmcunet-in0,33\n", "line 3 gives mcunet-in0 a second accuracy"),
    ],
)
def test_accuracies_that_are_none(folder: str, tmp_path: Path, lines: str, sentence: str) -> None:
    (tmp_path / "mine.csv").write_text(lines)
    with pytest.raises(InputError, match=sentence):
        sweep_points(folder, "flash", "accuracy", accuracies=str(tmp_path / "mine.csv"))


PREDICTORS = """
def mine(candidate):
    print("said on standard error")
    return candidate.choices.get("resolution", 1000) + candidate.report.model.macs / 1e9
def lost(candidate):
    return float("nan")
def broken(candidate):
    return candidate.choices["colour"]
"""


@pytest.mark.slow
def test_accuracies_of_a_predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of networks drawn and named, each asked about once, with the choices of the space."""
    spec = tmp_path / "sweep.toml"
    spec.write_text(
        'networks = ["mcunet-in0"]\nboards = ["stm32f412", "stm32h743"]\nspace = "mcunet"\nsample = 3\nseed = 5\n',
        encoding="utf-8",
    )
    run_sweep(read_spec(spec), tmp_path / "out", processes=1)
    (tmp_path / "told.py").write_text(PREDICTORS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    points = sweep_points("out", "macs", "accuracy", predictor="told:mine").panels[0].points
    assert len(points) == 8
    assert {p.source for p in points} == {AccuracySource.PREDICTED}
    for network in read_spec(spec).networks:
        ys = {p.y for p in points if p.network == network.label}
        assert len(ys) == 1
        drawn = isinstance(network.source, DrawnNetwork)
        resolution = network.source.made().values["resolution"] if drawn else 1000
        macs = count_macs(network.source.graph() if drawn else zoo.build(network.label))
        assert ys == {resolution + macs / 1e9}
    for name, sentence in (
        ("told:lost", "predictor 'told:lost': it returned nan"),
        ("told:broken", "it raised KeyError"),
        ("imagenett", "there is no such predictor"),
    ):
        assert sentence in fails("plot", "sweep", "out", "--predictor", name, "-o", "a.svg")
    assert "leave out one" in fails(
        "plot", "sweep", "out", "--predictor", "macs", "--accuracies", "a.csv", "-o", "a.svg"
    )
    assert not Path("a.svg").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "y", "by", "width"),
    [("sram", "accuracy", "board", 6.3), ("macs", "latency", "network", 3.5), ("flash", "sram", None, 13.0)],
)
def test_plots_are_made_the_same_every_time(folder: str, x: str, y: str, by: str | None, width: float) -> None:
    points = sweep_points(folder, x, y, by)
    picture = sweep_plot(points, "svg", width)
    assert picture == sweep_plot(points, "svg", width)
    assert len(picture) < 200_000
    assert sweep_plot(points, "png", width).startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_numbers_behind_a_plot(folder: str, tmp_path: Path) -> None:
    answer = run(
        "plot", "sweep", folder, "--by", "board", "-o", str(tmp_path / "a.svg"), "--data", str(tmp_path / "a.csv")
    )
    assert "8 answers in 2 panels; 4 lack a figure" in answer.out
    lines = list(csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 8
    rows = {row["number"]: row for row in pq.read_table(f"{folder}/answers").to_pylist()}
    for line in lines:
        assert float(line["sram_KiB"]) == pytest.approx(rows[int(line["number"])]["sram.peak_bytes"] / 1024, abs=1e-5)
        assert line["verdict"] == rows[int(line["number"])]["verdict"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--x", "ram"), "is no axis"),
        (("--x", "accuracy"), "both axes are accuracy"),
        (("--by", "colour"), "divides no answers"),
        (("--x", "energy"), "no answer has both"),
        (("--dataset", "Imagenet"), "no network has an accuracy on Imagenet"),
        (("--accuracies", "missing.csv"), "No such file"),
    ],
)
def test_what_cannot_be_drawn(folder: str, tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    target = tmp_path / "a.svg"
    assert sentence in fails("plot", "sweep", folder, "-o", str(target), *options)
    assert not target.exists()


def test_a_folder_that_no_sweep_wrote(tmp_path: Path) -> None:
    assert "holds no answers" in fails("plot", "sweep", str(tmp_path), "-o", str(tmp_path / "a.svg"))
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "x.parquet").write_bytes(b"PAR1")
    assert "cannot be read" in fails("plot", "sweep", str(tmp_path), "-o", str(tmp_path / "a.svg"))


def test_a_page_holds_its_rows_and_no_markup_of_names(folder: str) -> None:
    text = sweep_page(folder)
    assert text == sweep_page(folder)
    assert "<img" not in text
    assert "http" not in text.replace("http-equiv", "")
    document: Any = json.loads(text.split('id="document">')[1].split("</script>")[0])
    by_key = {column["key"]: column for column in document["columns"]}
    assert document["count"] == 12
    sram = [row["sram.peak_bytes"] for row in pq.read_table(f"{folder}/answers").to_pylist()]
    assert by_key["sram"]["values"] == [None if v is None else pytest.approx(v / 1024, abs=1e-3) for v in sram]


@pytest.mark.skipif(bool(why_missing()), reason=why_missing())
def test_a_page_filters_and_sorts(folder: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(sweep_page(folder), encoding="utf-8")
    count_and_first = (
        "[document.getElementById('shown').textContent, document.getElementById('rows').rows[0].cells[0].textContent]"
    )
    wide = "document.documentElement.scrollWidth <= innerWidth"
    seen = visit(
        page,
        {"do": "run", "script": count_and_first},
        {"do": "run", "script": f"location.hash = '#board=stm32h743&verdict=fits&sort=-sram', {count_and_first}"},
        {"do": "run", "script": count_and_first},
        {"do": "click", "on": "th[data-key=time] button"},
        {"do": "run", "script": f"[{count_and_first}, location.hash]"},
        {"do": "size", "width": 390, "height": 800},
        {"do": "run", "script": wide},
        {"do": "run", "script": "document.title"},
    )
    assert seen.results[0] == ["12 of 12 answers, 9 of them fit", "mcunet-in0"]
    assert seen.results[2] == ["5 of 12 answers, 5 of them fit", "mcunet-in4"]
    (shown, first), address = seen.results[4]
    assert shown.startswith("5 of 12 answers, 5 of them fit")
    rows = pq.read_table(f"{folder}/answers").to_pylist()
    asked = [row for row in rows if row["board"] == "stm32h743" and row["verdict"] == "fits"]
    assert first == min(asked, key=lambda row: row["latency.ms"])["network"]
    assert "sort=time" in address
    assert seen.results[6] is True
    assert "bad" not in seen.results[7]
    assert (seen.console, seen.requests) == ([], [])
