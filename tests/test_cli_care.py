"""What the command line takes care of: files it reads, limits nobody can be sure of, names, streams and characters."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPO, run
from tflite_maker import FLOAT32, tiny_network

from mcusim.cli import main
from mcusim.cli.shell import document
from mcusim.units import three_digits

RUN = ("run", "mcunet-vww0", "--profile", "stm32f412")


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def model() -> Path:
    path = Path("net.tflite")
    path.write_bytes(tiny_network().pack())
    return path


# ---------------------------------------------------------------------------------------------------------------------
# Files that are read are not written over


@pytest.mark.parametrize(
    "args",
    [
        "run net.tflite --profile stm32f412 --json net.tflite",
        "run net.tflite --profile stm32f412 --csv ./net.tflite",
        "run net.tflite --profile stm32f412 --json hard.tflite",
        "run --profile mine.toml --json mine.toml",
        "run --profile mine.toml --csv net.tflite",
        "run net.tflite --profile all --json net.tflite",
        "exec link.tflite --input random --seed 1 --output x.npy --trace x.npz --output x.npz",
        "exec net.tflite --input in.npy --output in.npy",
        "diff net.tflite --numerics tflm,litert --json net.tflite",
        "export net.tflite net.tflite",
        "plan net.tflite --json net.tflite",
        "plot timeline net.tflite -o x.svg --data net.tflite",
        "plot memory net.tflite --profile mine.toml -o x.svg --data mine.toml",
        "plan net.tflite --emit tflm net.tflite",
        "plan net.tflite --emit header link.tflite",
        "patch net.tflite --profile mine.toml --json mine.toml",
        "fit net.tflite --profile stm32f412 --csv net.tflite",
    ],
)
def test_a_file_that_is_read_is_not_written_over(args: str, model: Path) -> None:
    numpy = pytest.importorskip("numpy")
    numpy.save("in.npy", numpy.zeros((1, 4, 4, 2), numpy.int8))
    Path("link.tflite").symlink_to(model)
    os.link(model, "hard.tflite")
    run("profiles", "new", "mine")
    profile = Path("mine.toml")
    profile.write_text(profile.read_text().replace('"mcunet-vww0"', '"net.tflite"'))
    before = {path: path.read_bytes() for path in Path().iterdir()}
    code, out, err = run(*args.split())
    assert (code, out) == (2, "")
    assert "is what this command reads" in err or "two documents cannot share" in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_two_spellings_of_one_file() -> None:
    assert run(*RUN, "--json", "f", "--csv", "./f")[0] == 2
    assert not Path("f").exists()


def test_a_file_named_as_a_board_may_be_written_again() -> None:
    for _ in range(2):
        assert run(*RUN, "--json", "stm32f412")[0] == 0


# ---------------------------------------------------------------------------------------------------------------------
# Limits


def test_check_fails_where_it_is_not_sure() -> None:
    time = json.loads(run(*RUN, "--json", "-")[1])["latency"]
    limits = {"fits": (time["high_ms"], True, 0), "does-not-fit": (time["low_ms"] * 0.9, False, 1)}
    limits["unknown"] = ((time["ms"] + time["high_ms"]) / 2, None, 3)
    for verdict, (limit, fits, code) in limits.items():
        args = (*RUN, "--max-ms", repr(limit), "--check")
        report = json.loads(run(*args, "--json", "-")[1])
        assert (report["verdict"], report["latency"]["fits"]) == (verdict, fits)
        assert run(*args)[0] == code
    shown = run(*RUN, "--max-ms", repr(limits["unknown"][0]))[1]
    assert "UNKNOWN, not sure of the time" in shown
    assert "! time: not sure whether" in shown


def test_missing_energy_is_told() -> None:
    assert "! energy: not known" in run(*RUN)[1]
    assert "energy" not in run("run", "mcunet-vww0", "--profile", "all")[1]  # it has no such column


def test_layers_of_all_boards_are_not_shown_and_it_says_so() -> None:
    code, out, err = run("run", "mcunet-vww0", "--profile", "all", "--layers", "top")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("mcusim: --layers: ")
    assert "fits" in out


@pytest.mark.parametrize("columns", ["40", "60", "80", "120"])
def test_all_boards_at_any_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    where = ("--profile", "all", "--runtime", "tinyengine")
    reports = json.loads(run("run", "mcunet-vww0", *where, "--json", "-")[1])["reports"]
    lines = run("run", "mcunet-vww0", *where)[1].splitlines()
    rows = {line.split()[0]: line for line in reversed(lines) if line}  # the table stands above the warnings
    for report in reports:
        ms = report["latency"]["ms"]
        shown = "?" if ms is None else three_digits(ms)
        assert rows[report["profile"]["name"]].endswith(f" {shown}")
    assert "no: flash" in rows["stm32h750"]
    header = next(line for line in lines if line.startswith("board "))
    assert "network" not in header
    assert ("flash KiB" in header) == (int(columns) >= 80)


# ---------------------------------------------------------------------------------------------------------------------
# Names


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["run", "", "--profile", "stm32f412"], "the name of the network is empty"),
        (["run", "--profile"], "`mcusim run --help`"),
        (["run", "dangling.tflite", "--profile", "stm32f412"], "it is a link to gone.tflite, which is not there"),
        (["run", "--profile", "mine"], "write ./mine.toml"),
        (["runtimes", "tfml"], "did you mean 'tflm'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_name_that_is_wrong(args: list[str], sentence: str) -> None:
    Path("dangling.tflite").symlink_to("gone.tflite")
    run("profiles", "new", "mine")
    code, out, err = run(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert "did you mean 'dangling" not in err


def test_one_runtime() -> None:
    shown = run("runtimes", "tflm")[1]
    assert shown.startswith("tflm@")
    assert "tinyengine@" not in shown
    assert [runtime["name"] for runtime in json.loads(run("runtimes", "tflm", "--json")[1])["runtimes"]] == ["tflm"]


def test_doctor_as_a_document() -> None:
    report = json.loads(run("doctor", "--json")[1])
    assert report["schema_version"] == 1
    assert report["needed"]["numpy"]
    assert "stm32f412" in report["profiles"]


def test_check_of_a_profile_knows_the_networks(model: Path) -> None:
    run("profiles", "new", "mine")
    profile = Path("mine.toml")
    text = profile.read_text()
    assert "default_model" not in run("profiles", "check", "mine.toml")[1]
    profile.write_text(text.replace("mcunet-vww0", "mcunet-vw9"))
    code, out, _ = run("profiles", "check", "mine.toml")
    assert code == 0
    assert "advice: mine.toml: default_model is 'mcunet-vw9'" in out
    assert "did you mean 'mcunet-vww" in out
    profile.write_text(text.replace("mcunet-vww0", model.name))
    folder = Path("elsewhere")
    folder.mkdir()
    os.chdir(folder)
    assert "default_model" not in run("profiles", "check", "../mine.toml")[1]
    assert run("run", "--profile", "../mine.toml", "--layers", "none")[1].startswith("net on mine")


def test_ops_says_that_a_network_is_float() -> None:
    Path("float.tflite").write_bytes(tiny_network(FLOAT32, FLOAT32).pack())
    code, out, _ = run("ops", "float.tflite")
    assert code == 0
    assert "float is a float32 network" in run("run", "float.tflite", "--profile", "stm32f412")[1]
    assert "the warnings below say what is not known" in out.splitlines()[0]
    assert "! float is a float32 network" in out
    assert "CONV_2D" in out
    answer = json.loads(run("ops", "float.tflite", "--json")[1])
    assert answer["supported"] is True
    assert "float32" in answer["warnings"][0]


# ---------------------------------------------------------------------------------------------------------------------
# Streams and characters


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_no_color_means_no_escape_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(RUN) == 0
    assert "mcunet-vww0 on stm32f412" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_half_characters_do_not_reach_a_document() -> None:
    text = document({"name": os.fsdecode("né".encode()).encode().decode(), "odd": "a\udcc3\udca9b", "lone": "\ud800"})
    read = json.loads(text)
    assert text.isascii()
    assert read["odd"] == "aéb"
    assert not re.search("[\ud800-\udfff]", read["lone"])
    json.dumps(read, ensure_ascii=False).encode()


@pytest.mark.slow
def test_a_file_name_of_another_locale(model: Path) -> None:
    shutil.copy(model, "née.tflite")
    setting = {**os.environ, "PYTHONPATH": str(REPO), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for option, target in (("--json", "-"), ("--json", "out.json"), ("--csv", "out.csv")):
        command = [sys.executable, "-m", "mcusim", "run", "née.tflite", "--profile", "stm32f412", option, target]
        done = subprocess.run(command, capture_output=True, env=setting, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        if option == "--json":
            written = done.stdout if target == "-" else Path(target).read_bytes()
            assert json.loads(written)["model"]["name"] == "née"
