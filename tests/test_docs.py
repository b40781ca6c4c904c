"""The documentation: the site builds without a warning, and the notebooks run from the first cell to the last."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPO

from mcusim.conventions import CONVENTIONS
from mcusim.runtimes import RUNTIMES

DOCS = REPO / "docs"
NOTEBOOKS = ("choose_a_board", "search", "table4")


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs mcusim[docs]")
    pytest.importorskip("material", reason="needs mcusim[docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "simulate" in (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "site" / "results" / "plot-validation.svg").exists()


def test_every_page_is_in_the_navigation() -> None:
    navigation = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in DOCS.iterdir() if page.suffix in (".md", ".ipynb")}
    assert sorted(page for page in pages if page not in navigation) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run(name: str, tmp_path: Path) -> None:
    cells = json.loads((DOCS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "assert" in code
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPO), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.ipynb")), ids=lambda page: page.stem)
def test_notebooks_say_nothing_of_where_they_ran(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert [where for where in ("/tmp", "/home", "site-packages", '"stderr"') if where in content] == []


def test_where_things_are_is_true() -> None:
    """Every file of the table is there, and has what the table names; so is every file that a room lists."""
    rows = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Where is")[2].splitlines()
    entries = [row.strip("| ").split(" | ") for row in rows if row.startswith("| ") and ".py`" in row]
    assert len(entries) > 12
    for _, file, inside in entries:
        text = (REPO / "mcusim" / file.strip("`")).read_text(encoding="utf-8")
        for name in re.findall(r"`([^`]+)`", inside):
            assert name.split(".")[0] in text or next((REPO / "mcusim").glob(name.rstrip("/")), None), (file, name)
    for package in (REPO / "mcusim").glob("*/__init__.py"):
        for name in re.findall(r"^(\w+\.py)  ", package.read_text(encoding="utf-8"), re.MULTILINE):
            assert (package.parent / name).is_file(), (package.parent.name, name)


ELSEWHERE = ("exir/", "ImageSets/")
"""Where paths lead that are not of this repository: ExecuTorch's sources, Pascal VOC."""


def test_files_that_the_pages_name_are_there() -> None:
    """From the repository on, from the package, or from the page's folder; NAME stands for any."""
    roots = [REPO, REPO / "mcusim", DOCS]
    missing = []
    for page in (*DOCS.glob("*.md"), REPO / "README.md"):
        named = re.findall(r"`(\w+/[\w./-]+\.(?:py|toml|csv|txt|json|md))`", page.read_text(encoding="utf-8"))
        missing += [
            (page.name, name)
            for name in named
            if not name.startswith(ELSEWHERE) and not any([*root.glob(name.replace("NAME", "*"))] for root in roots)
        ]
    assert missing == []


def test_every_runtime_and_convention_has_its_place() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    assert [name for name in (*RUNTIMES, *CONVENTIONS) if f"`{name}`" not in pages] == []


def test_the_glossary_is_sorted() -> None:
    lines = (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines()
    words = [line.partition("**")[2].partition(".**")[0].lower() for line in lines if line.startswith("**")]
    assert len(words) > 30
    assert words == sorted(words)
