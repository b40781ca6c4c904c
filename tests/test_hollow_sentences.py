"""No sentence that is printed has nothing where its reason should be: `! flash: .`, `1 RELU ()`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import run
from one_operator import Network, Operator, tensor
from operator_lines import networks, parse
from test_borders import BELOW_5, NUMBER, loop, same

RUNTIMES = ("tinyengine", "tflm-cmsis-nn", "tflm", "x-cube-ai")
HOLLOW = re.compile(
    r"\(\)|\(\s|\s\)|''"  # nothing between brackets or quotes
    r"|:\s*[.;](\s|$)|[;,]\s*\.(\s|$)|[a-z]\s\.(\s|$)|[a-z]\.\.(\s|$)"  # nothing before the end of a sentence
    r"|\bNone\b|^! *$|^\s*[.;]\s*$"
)
CONV = (
    "CONV_2D int8[1,8,8,3] int8[4,3,3,3]=@0.02 int32[4]=@0.001 > int8[1,6,6,4] "
    "| Conv2DOptions padding=1 strideW=1 strideH=1"
)
BUDGET = re.compile(r"flash +([\d,.]+) KiB of")


def hollow(*arguments: str) -> list[str]:
    """Lines of what a command says that lack what they promise."""
    code, out, err = run(*arguments)
    assert code in (0, 1, 2, 3)
    return [line for line in (*out.splitlines(), *err.splitlines()) if HOLLOW.search(line)]


def written(path: Path, network: Network) -> str:
    path.write_bytes(network.content())
    return str(path)


def second_signature() -> Network:
    """A network with a subgraph that nothing enters."""
    kind = tensor((1, 4), "int8")
    return Network("two", (kind, kind), (Operator("RELU", (0,), (1,)),), (1,), (parse("RELU int8[1,4] > int8[1,4]"),))


def test_a_pattern_finds_what_was_printed_once() -> None:
    for line in ("! flash: .", "  No kernel needed: 1 RELU ().", "Layer by layer  () sets the peak", "None of 256.0"):
        assert HOLLOW.search(line), line
    for line in ("1.0 of 256.0 KiB.", "t3 (CONV_2D), where these are alive:", "a.b; c, d (4 B), 0.0 %  #....."):
        assert not HOLLOW.search(line), line


@pytest.mark.parametrize("runtime", ["tinyengine", "x-cube-ai"])
def test_what_a_second_signature_holds_is_left_out_for_a_reason(runtime: str, tmp_path: Path) -> None:
    assert hollow("ops", written(tmp_path / "two.tflite", second_signature()), "--runtime", runtime) == []


def test_a_flash_that_is_nearly_full_has_its_reason_under_patch(tmp_path: Path) -> None:
    model = written(tmp_path / "conv.tflite", parse(CONV))
    asked = ("--profile", "stm32f412", "--runtime", "tflm-cmsis-nn")
    taken = BUDGET.search(run("run", model, *asked).out)
    assert taken
    nearly = f"{round(float(taken[1]) * 1024 * 1.01)}"
    shown = run("patch", model, *asked, "--flash-budget", nearly).out
    assert "! flash: not sure whether" in shown
    assert hollow("patch", model, *asked, "--flash-budget", nearly) == []


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_answer_is_hollow(runtime: str, tmp_path: Path) -> None:
    kinds = [each[0] for each in networks().values()][::4]
    kinds += [
        second_signature(),
        loop(NUMBER, NUMBER, BELOW_5, same(NUMBER)),
        parse("CUSTOM:Mine int8[1,4] > int8[1,4]"),
    ]
    for number, network in enumerate(kinds):
        model = written(tmp_path / f"{number}.tflite", network)
        board = ("--profile", "stm32f412" if number % 2 else "stm32l031")
        for command in (("ops",), ("plan",), ("run", *board), ("patch", *board), ("fit", *board)):
            lines = hollow(command[0], model, *command[1:], "--runtime", runtime)
            assert lines == [], (network.label, command)
