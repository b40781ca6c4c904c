"""scripts/reproduce_results: the same bytes twice, true statements at the head of each file, and what is stale."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pandas as pd
import pytest
from commands import run

from mcusim import __version__

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reproduce_results", REPO / "scripts" / "reproduce_results.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small reports, one with a plot."""
    made = tmp_path_factory.mktemp("results")
    assert script.reproduce(made, ["voc", "table4"], checks=False) == 0
    return made


@pytest.mark.slow
def test_twice_is_the_same(script, folder, tmp_path):
    script.reproduce(tmp_path, ["voc", "table4"], checks=False)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"plot-table4{s}" for s in (".csv", ".svg")] + [
        f"{name}{s}" for name in ("table4", "voc") for s in (".csv", ".md", ".tex")
    ]
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.slow
def test_every_file_states_what_it_was_made_from(folder):
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert f"mcusim {__version__}" in text
        assert re.search(rf"command: mcusim (report|plot) .*{re.escape(path.name)}", text)
        assert "profiles: stm32f412, stm32h743" in text
        inputs = re.findall(r"\b([0-9a-f]{64})  (\S+)", text)
        assert {Path(name).suffix for _, name in inputs} == {".toml", ".csv", ".json"}
        for sha256, name in inputs:
            assert hashlib.sha256((REPO / name).read_bytes()).hexdigest() == sha256
        named = {name for _, name in inputs}
        assert "hardware_profiles/stm32f412.toml" in named
        assert any(name.startswith("mcusim/runtimes/data/") for name in named)
        if "table4" in path.name:
            assert {"mcusim/published/data/table4.toml", "mcusim/zoo/networks/mcunet-in2.toml"} <= named
        assert not re.search(r"20\d\d-\d\d-\d\d", text)


@pytest.mark.slow
def test_a_file_holds_what_its_command_writes(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        command = re.search(r"command: mcusim (.*)", text)[1].split()
        assert run(*command)[0] == 0
        made = (tmp_path / path.name).read_text(encoding="utf-8")
        if path.suffix == ".svg":
            assert re.sub(r" <desc>.*?</desc>\n", "", text, flags=re.DOTALL) == made
            assert ElementTree.fromstring(text).find("{*}desc") is not None
        else:
            assert text.endswith(made)
            assert len(text) > len(made)


@pytest.mark.slow
def test_comments_do_not_disturb_readers(folder):
    frame = pd.read_csv(folder / "table4.csv", comment="#")
    assert list(frame.columns)[:3] == ["table", "group", "row"]
    assert len(frame) > 50
    assert (folder / "voc.md").read_text(encoding="utf-8").startswith("<!--\n")


def test_what_is_stale(script, folder, capsys):
    assert script.reproduce(folder, ["voc"], checks=True) == 0
    changed = folder / "voc.md"
    before = changed.read_bytes()
    changed.write_bytes(before + b"x")
    try:
        assert script.reproduce(folder, ["voc"], checks=True) == 1
        assert "stale: voc.md" in capsys.readouterr().err
        assert changed.read_bytes() == before + b"x"
    finally:
        changed.write_bytes(before)


def test_a_whole_folder(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "_names", lambda: ["voc"])
    (tmp_path / "stray.md").write_text("")
    assert script.reproduce(tmp_path, ["voc"], checks=False) == 0
    assert "stray.md: nothing here writes it" in capsys.readouterr().err
    listed = (tmp_path / "INDEX.md").read_text(encoding="utf-8")
    for name in ("voc.md", "voc.csv", "voc.tex"):
        assert f"[{name}]({name}) | `mcusim report voc -o {name}`" in listed
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:16] in listed
    assert script.reproduce(tmp_path, ["voc"], checks=True) == 1
    (tmp_path / "stray.md").unlink()
    assert script.reproduce(tmp_path, ["voc"], checks=True) == 0
    (tmp_path / "INDEX.md").write_text("")
    assert script.reproduce(tmp_path, ["voc"], checks=True) == 1


def test_a_picture_of_another_matplotlib_is_not_judged(script, folder, capsys):
    path = folder / "plot-table4.svg"
    before = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"Matplotlib v[\d.]+,", "Matplotlib v1.0.0,", before), encoding="utf-8")
    try:
        assert script.reproduce(folder, ["table4"], checks=True) == 0
        assert "not compared" in capsys.readouterr().err
    finally:
        path.write_text(before, encoding="utf-8")


def test_an_unknown_name(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce_results", "tabel4"])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert "there is no report or plot 'tabel4'" in capsys.readouterr().err
