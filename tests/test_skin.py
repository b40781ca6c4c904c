"""The project's skin: version, licence, facade, wheel, and the scripts a new user meets first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FACADE = REPO / "mcusim" / "__init__.py"

needs_facade = pytest.mark.skipif(not FACADE.exists(), reason="mcusim/__init__.py is not there yet")
needs_cli = pytest.mark.skipif(
    not any(REPO.glob("mcusim/cli*")) or not FACADE.exists(), reason="mcusim/cli is not there yet"
)


def test_version_is_one() -> None:
    import mcusim

    assert mcusim.__version__ == PROJECT["version"]


def test_changelog_tells_this_version() -> None:
    assert f"## [{PROJECT['version']}]" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")


def test_licence_is_whole() -> None:
    text = (REPO / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"
    assert all((REPO / name).is_file() for name in PROJECT["license-files"])


@needs_facade
def test_facade_is_honest() -> None:
    """`__all__` is sorted, each name is there and shown by dir(), and help() has something to say."""
    import mcusim

    names = [name for name in mcusim.__all__ if name != "__version__"]
    assert names == sorted(names, key=str.lower) or names == sorted(names)
    assert len(set(names)) == len(names)
    for name in names:
        value = getattr(mcusim, name)
        assert value.__doc__, f"mcusim.{name} has no docstring"
    assert set(names) <= set(dir(mcusim))
    assert mcusim.__doc__


@needs_facade
@pytest.mark.parametrize("module", ["mcusim", pytest.param("mcusim.cli", marks=needs_cli)])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'numba', 'pandas', 'matplotlib', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_readme_opens_with_the_two_lines() -> None:
    code = (REPO / "README.md").read_text(encoding="utf-8").split("```")[1].splitlines()[1:]
    assert [line.split("#")[0].strip() for line in code] == ["scripts/mcusim run --profile stm32f412", "scripts/test"]


@pytest.mark.parametrize("script", ["scripts/mcusim", "scripts/test", "scripts/check", ".ci/run"])
def test_script_is_executable(script: str) -> None:
    assert os.access(REPO / script, os.X_OK)


OLD_PYTHON = "exit 1"
NO_ENSUREPIP = 'case "$*" in *ensurepip*) exit 1 ;; esac; exit 0'
NONE = "no Python 3.11 or newer on the PATH; install one with its venv module, e.g. `apt install python3 python3-venv`"
BARE = "python3 cannot make virtual environments; install its venv module, e.g. `apt install python3-venv`"


@pytest.mark.parametrize(
    ("pythons", "sentence"),
    [
        ({}, NONE),
        ({"python3": OLD_PYTHON}, NONE),
        ({"python3": NO_ENSUREPIP}, BARE),
        ({"python3": OLD_PYTHON, "python3.12": NO_ENSUREPIP}, BARE.replace("python3", "python3.12")),
    ],
    ids=["none", "old", "no-ensurepip", "old-and-no-ensurepip"],
)
def test_missing_python_is_one_sentence(tmp_path: Path, pythons: dict[str, str], sentence: str) -> None:
    checkout, tools = tmp_path / "a checkout", tmp_path / "bin"
    shutil.copytree(REPO / "scripts", checkout / "scripts")
    shutil.copy(REPO / "pyproject.toml", checkout)
    tools.mkdir()
    for tool in ("sh", "readlink", "cksum"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    for name, body in pythons.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts" / "mcusim", "run"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"mcusim: {sentence}\n"
    assert not (checkout / ".venv").exists()


@pytest.mark.slow
def test_wheel_carries_data_and_types(tmp_path: Path) -> None:
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, "-w", tmp_path, REPO], check=True)
    (wheel,) = tmp_path.glob("mcusim-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = {f"mcusim/hardware_profiles/{path.name}" for path in REPO.glob("hardware_profiles/*.toml")}
    package = {
        path.relative_to(REPO).as_posix()
        for path in REPO.glob("mcusim/**/*")
        if path.is_file() and path.suffix in {".css", ".j2", ".js", ".py", ".toml", ".typed"}
    }
    assert data | package <= inside
    assert any(name.endswith("/licenses/LICENSE") for name in inside)
    assert not any(name.startswith(("tests/", "scripts/")) for name in inside)
