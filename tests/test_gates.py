"""Regression gates: what grew between two reports, and networks against budgets from a file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from commands import REPO, run

NETWORK = ("smallcifar", "--profile", "stm32f412")


def documents(folder: Path, changed: dict[str, Any] | None = None) -> tuple[str, str]:
    """A report, and the same with `changed` values, as `sram.peak_bytes` to a number."""
    before, after = folder / "before.json", folder / "after.json"
    assert run("run", *NETWORK, "--json", str(before)).code == 0
    document = json.loads(before.read_text())
    for path, value in (changed or {}).items():
        *tables, field = path.split(".")
        record = document
        for table in tables:
            record = record[int(table)] if table.isdigit() else record[table]
        record[field] = value
    after.write_text(json.dumps(document))
    return str(before), str(after)


def test_what_grew_and_by_which_layer(tmp_path: Path) -> None:
    before, after = documents(tmp_path)
    document = json.loads(Path(before).read_text())
    peak, layer = document["sram"]["peak_bytes"], document["layers"][2]
    before, after = documents(
        tmp_path, {"sram.peak_bytes": peak + 2048, "layers.2.sram_bytes": layer["sram_bytes"] + 2048}
    )
    answer = run("compare", before, after, "--fail-on", "sram>+1KiB", "--fail-on", "flash>+0%")
    assert answer.code == 1
    assert "sram>+1KiB" in answer.out
    assert layer["name"] in answer.out
    assert "a limit is broken" in answer.err
    assert run("compare", before, after, "--fail-on", "sram>+2KiB").code == 0
    assert run("compare", before, after).code == 0


@pytest.mark.parametrize(
    ("limit", "growth", "code"),
    [
        ("sram>+1%", 1.009, 0),
        ("sram>+1%", 1.011, 1),
        ("sram > 1 %", 1.011, 1),
        ("sram>+0B", 1.0, 0),
        ("time>+3%", 0.5, 0),
    ],
)
def test_limits(tmp_path: Path, limit: str, growth: float, code: int) -> None:
    before, _ = documents(tmp_path)
    peak = json.loads(Path(before).read_text())["sram"]["peak_bytes"]
    before, after = documents(tmp_path, {"sram.peak_bytes": int(peak * growth)})
    assert run("compare", before, after, "--fail-on", limit).code == code


def test_a_side_that_is_not_known(tmp_path: Path) -> None:
    answer = run("compare", *documents(tmp_path, {"latency.ms": None}), "--fail-on", "time>+3%")
    assert answer.code == 3
    assert "a side is not known" in answer.err
    assert run("compare", *documents(tmp_path, {"latency.ms": None}), "--fail-on", "sram>+3%").code == 0


def test_a_broken_limit_beats_an_unknown_one(tmp_path: Path) -> None:
    changed = {"latency.ms": None, "sram.peak_bytes": 10**6}
    answer = run("compare", *documents(tmp_path, changed), "--fail-on", "time>+3%", "--fail-on", "sram>+3%")
    assert answer.code == 1


APART = {
    "network": ("model.name", "another"),
    "board": ("profile.name", "stm32h743"),
    "clock": ("profile.clock_hz", 1_000_000),
    "runtime": ("runtime.name", "another"),
    "convention": ("convention.name", "table4"),
}


@pytest.mark.parametrize("what", APART)
def test_reports_of_different_things_do_not_pass(tmp_path: Path, what: str) -> None:
    path, value = APART[what]
    files = documents(tmp_path, {path: value})
    answer = run("compare", *files, "--fail-on", "sram>+1%")
    assert answer.code == 3
    assert answer.out.count("cannot be known") == 2  # all, and the limit's row
    assert "holds" not in answer.out
    assert f"--across {what}" in answer.err
    assert run("compare", *files, "--fail-on", "sram>+1%", "--across", what).code == 0
    other = next(each for each in APART if each != what)
    assert run("compare", *files, "--fail-on", "sram>+1%", "--across", other).code == 3
    assert run("compare", *files).code == 0  # without a limit nothing is judged


def test_another_board_by_mistake_does_not_pass(tmp_path: Path) -> None:
    """What a slip in --profile does to a gate: a larger board has other figures, and nothing grew."""
    before, after = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert run("run", "smallcifar", "--profile", "stm32f412", "--json", before).code == 0
    assert run("run", "smallcifar", "--profile", "stm32h743", "--json", after).code == 0
    assert run("compare", before, after, "--fail-on", "time>+1%", "--fail-on", "sram>+1%").code == 3


FIGURES_OF_REPORTS = ("sram.peak_bytes", "flash.total_bytes", "latency.ms", "layers.0.sram_bytes", "layers.0.cycles")


@pytest.mark.parametrize("path", [*FIGURES_OF_REPORTS, "schema_version"])
@pytest.mark.parametrize("value", [-5, "22", 10**400, 2**70, True, [1]])
def test_figures_that_are_none(tmp_path: Path, path: str, value: object) -> None:
    answer = run("compare", *documents(tmp_path, {path: value}), "--fail-on", "sram>+1%")
    assert answer.code == 2
    assert answer.err.count("\n") == 1


def test_no_network_takes_no_memory(tmp_path: Path) -> None:
    assert run("compare", *documents(tmp_path, {"sram.peak_bytes": 0}), "--fail-on", "sram>+1%").code == 2


def test_a_report_of_a_later_version_is_not_read(tmp_path: Path) -> None:
    answer = run("compare", *documents(tmp_path, {"schema_version": 99}))
    assert answer.code == 2
    assert "version 99" in answer.err


def test_markdown_for_a_pull_request(tmp_path: Path) -> None:
    shown = run("compare", *documents(tmp_path, {"sram.peak_bytes": 10**6}), "--markdown", "-").out
    assert "| metric | before | after |" in shown
    assert "976.6 KiB" in shown


@pytest.mark.parametrize(
    "limit", ["sram", "ram>1%", "sram>1ms", "time>+3KiB", "sram>+-1%", "sram<1%", f"sram>+{10**400}%"]
)
def test_wrong_limits(tmp_path: Path, limit: str) -> None:
    answer = run("compare", *documents(tmp_path), "--fail-on", limit)
    assert answer.code == 2
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 1}', "\x00"])
def test_what_is_no_report(tmp_path: Path, content: str) -> None:
    before, _ = documents(tmp_path)
    (tmp_path / "no.json").write_text(content)
    answer = run("compare", before, str(tmp_path / "no.json"))
    assert answer.code == 2
    assert "it is no report of mcusim" in answer.err


def test_a_baseline_says_what_changed(tmp_path: Path) -> None:
    target = str(tmp_path / "baselines" / "base.json")  # the folder is made
    assert "a new baseline" in run("run", *NETWORK, "--update-baseline", target).err
    assert "nothing changed" in run("run", *NETWORK, "--update-baseline", target).err
    changes = run("run", *NETWORK, "--runtime", "tflm", "--update-baseline", target).err
    assert re.search(r"sram [0-9.]+ KiB -> [0-9.]+ KiB \([+-][0-9.]+ (KiB|B) \([+-][0-9.]+ %\)\)", changes)
    assert "runtime: tflm, was " in changes
    assert json.loads(Path(target).read_text())["runtime"]["name"] == "tflm"


BUDGETS = """
[[budget]]
network = "smallcifar"
board = ["stm32f412", "stm32h743"]
sram = "{sram}"

[[budget]]
network = "mcunet-vww0"
board = "stm32h743"
runtime = "{runtime}"
"""


@pytest.mark.parametrize(
    ("sram", "runtime", "code"),
    [("200k", "tflm", 0), ("1k", "tflm", 1), ("200k", "plumerai", 3), ("1k", "plumerai", 1)],
)
def test_budgets_of_a_file(tmp_path: Path, sram: str, runtime: str, code: int) -> None:
    (tmp_path / "budgets.toml").write_text(BUDGETS.format(sram=sram, runtime=runtime))
    answer = run("check", str(tmp_path / "budgets.toml"))
    assert answer.code == code
    assert answer.out.count("smallcifar") >= 2


ENTRY = {"network": "'smallcifar'", "board": "'stm32f412'"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("network", "'nothing.tflite'", "there is no such file"),
        ("network", "'smalcifar'", "smallcifar"),
        ("board", "['nosuch']", "nosuch"),
        ("board", "'all'", "all"),
        ("board", "'nosuch.toml'", "nosuch.toml"),
        ("runtime", "'nosuch'", "nosuch"),
        ("schedule", "'patch:2x2@99'", "99"),
        ("schedule", "'nosuch'", "nosuch"),
        ("sram", "'1TB'", "1TB"),
        ("sram", "'999M'", "999"),
        ("sram", "0", "0"),
        ("flash", "'-1k'", "-1k"),
        ("ms", "nan", "nan"),
        ("ms", "0", "0"),
        ("ms", "-inf", "inf"),
    ],
)
def test_a_wrong_question_never_passes_for_an_unknown_answer(tmp_path: Path, key: str, value: str, said: str) -> None:
    entries = [ENTRY, {**ENTRY, key: value}]
    text = "".join("[[budget]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items()) for entry in entries)
    (tmp_path / "budgets.toml").write_text(text)
    answer = run("check", str(tmp_path / "budgets.toml"))
    assert answer.code == 2
    assert "1 of 2 hold; 1 cannot be asked" in answer.out  # the other is answered
    assert "budgets.toml" in answer.err
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_several_wrong_questions_are_counted(tmp_path: Path) -> None:
    (tmp_path / "budgets.toml").write_text("[[budget]]\nnetwork='smallcifar'\nboard=['no1', 'no2', 'no3']\n")
    answer = run("check", str(tmp_path / "budgets.toml"), "--json", str(tmp_path / "held.json"))
    assert answer.code == 2
    assert "as 2 more" in answer.err
    assert [held["report"] for held in json.loads((tmp_path / "held.json").read_text())["budgets"]] == [None] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[budget]]\nnetwork = 'x'",
        "[[budget]]\nnetwork='x'\nboard='y'\nram='2k'",
        "budget = 3",
        "budget = []",
        "[[",
    ],
)
def test_wrong_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "budgets.toml").write_text(text)
    answer = run("check", str(tmp_path / "budgets.toml"))
    assert answer.code == 2
    assert answer.err.count("\n") == 1


def test_a_budget_without_a_board_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "budgets.toml").write_text("[[budget]]\nnetwork='x'\nboard=[]\n")
    answer = run("check", str(tmp_path / "budgets.toml"))
    assert (answer.code, answer.out) == (2, "")
    assert "the budget of x names no board" in answer.err


def test_a_misspelt_key_has_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "budgets.toml").write_text("[[budget]]\nnetwork='x'\nboard='y'\nflsh='2k'\n")
    answer = run("check", str(tmp_path / "budgets.toml"))
    assert answer.code == 2
    assert "flsh" in answer.err
    assert "did you mean 'flash'" in answer.err


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_the_page_works_as_written_in_a_repository(tmp_path: Path) -> None:
    """docs/ci.md by a new user, in a git repository: its budgets file, its baseline, its GitHub action's script."""
    page = (REPO / "docs" / "ci.md").read_text(encoding="utf-8")
    action = (REPO / "docs" / "examples" / "github" / "action.yml").read_text(encoding="utf-8")
    (tmp_path / "budgets.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "models").mkdir()
    assert run("export", "smallcifar", "models/kws.tflite").code == 0
    assert run("check", "budgets.toml").code in (0, 1, 3)
    assert (
        run("run", "models/kws.tflite", "--profile", "stm32f412", "--update-baseline", "baselines/kws.json").code == 0
    )
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "a baseline")
    assert (
        run("run", "models/kws.tflite", "--profile", "stm32f412", "--update-baseline", "baselines/kws.json").code == 0
    )
    assert git("status", "--short") == ""  # the same network gives the same bytes
    script = textwrap.dedent(action.partition("      run: |\n")[2].partition("    - if:")[0])
    assert ran(script, tmp_path) == ("0", 0)
    assert run("export", "mcunet-vww0", "models/kws.tflite").code == 0
    assert ran(script, tmp_path) == ("1", 0)
    assert "| sram |" in (tmp_path / "comment.md").read_text()
    assert "BROKEN" in (tmp_path / "comment.md").read_text()
    (tmp_path / "models" / "kws.tflite").unlink()
    assert ran(script, tmp_path)[1] == 2


def git(*words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout


def ran(script: str, folder: Path) -> tuple[str, int]:
    """The code that the action's step passes on, and the step's own."""
    bin_folder, output = folder.parent / "bin", folder.parent / "output"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "mcusim"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mcusim "$@"\n')
    command.chmod(0o755)
    output.write_text("")
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPO),
        "GITHUB_OUTPUT": str(output),
        "MODEL": "models/kws.tflite",
        "PROFILE": "stm32f412",
        "BASELINE": "baselines/kws.json",
        "LIMITS": "sram>+1% time>+3%",
    }
    done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, check=False)
    return output.read_text().strip().removeprefix("code="), done.returncode
