"""Real processes of the command line: pipes, widths, encodings, what is imported."""

from __future__ import annotations

import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPO, process, run

import mcusim
from mcusim.cli import main

RUN = ["run", "mcunet-vww0", "--profile", "stm32f412"]
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.slow
def test_pipes_are_plain_and_100_wide() -> None:
    done = process("run", "mcunet-in3", "--profile", "stm32f746")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert 90 < max(map(len, done.stdout.splitlines())) <= 100


WIDTHS = [
    ["run", "proxyless-mobile-r224", "--profile", "stm32h743"],
    ["run", "mcunet-in3", "--profile", "stm32f746", "--convention", "table4"],
    ["run", "--profile", "all"],
    ["bits", "mbv1-w0.5-r192", "--profile", "stm32f412"],
    ["bits", "mcunet-in2", "--profile", "stm32f410", "--runtime", "tflm"],
    ["plan", "mcunet-in4", "--runtime", "tflm", "--profile", "stm32h743", "--buffers", "all"],
    ["plan", "mcunet-in3", "--all"],
    ["models"],
    ["models", "mbv2-rd-r224-INFERRED"],
    ["profiles"],
    ["profiles", "nrf52840"],
    ["runtimes"],
    ["ops"],
    ["ops", "proxyless-mobile-r224", "--runtime", "tflm-cmsis-nn"],
    ["doctor"],
]


@pytest.mark.parametrize("columns", ["40", "50", "60", "80", "140"])
@pytest.mark.parametrize("args", WIDTHS, ids=" ".join)
def test_widths_hold(args: list[str], columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    answer = run(*args)
    assert answer.code == 0
    assert [line for line in answer.out.splitlines() if len(line) > int(columns)] == []


@pytest.mark.slow
def test_other_encodings_get_ascii() -> None:
    done = process("run", "mcunet-vww0", "--profile", "stm32f412", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "#" in done.stdout
    assert "?" not in done.stdout


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("NO_COLOR", False)])
def test_colour_on_terminals_only(monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(RUN) == 0
    assert bool(re.search("\x1b\\[[0-9;]*3[0-9]", screen.getvalue())) == coloured
    plain = re.sub("\x1b\\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, plain.splitlines())) <= 80


@pytest.mark.slow
def test_a_reader_who_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m mcusim run mcunet-in3 --profile stm32f746 --check --layers all | head -1"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcusim", *RUN],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    assert done.returncode == 2
    assert "standard output" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "forbidden"),
    [
        (["--help"], {"numba", "pandas", "matplotlib", "scipy", "numpy"}),
        (["run", "--help"], {"numba", "pandas", "matplotlib", "scipy"}),
        (["run", "mcunet-in3", "--profile", "stm32h743"], {"numba", "pandas", "matplotlib", "scipy"}),
        (["plan", "mcunet-in3", "--all"], {"numba", "pandas", "matplotlib", "scipy", "elftools"}),
        (["plot", "--help"], {"numba", "pandas", "matplotlib", "scipy"}),
    ],
    ids=["help", "run help", "run", "plan", "plot help"],
)
def test_heavy_packages_stay_out(args: list[str], forbidden: set[str]) -> None:
    code = f"import sys; from mcusim.cli import main; main({args!r}); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert forbidden & set(done.stderr.split()) == set()


def test_help_of_the_package_teaches_what_is_true() -> None:
    done = doctest.testmod(mcusim)
    assert done.attempted > 5
    assert done.failed == 0
