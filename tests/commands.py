"""The command line called from tests: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from advice import assert_followed

from mcusim.cli import main

__all__ = ["REPO", "Answer", "document_of", "process", "run"]

REPO = Path(__file__).resolve().parents[1]


class Answer(NamedTuple):
    """What a call of the command line gave."""

    code: int
    out: str
    err: str


def run(*args: str) -> Answer:
    """`mcusim ARGS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    if code == 2:
        assert_followed(args, err.getvalue())
    return Answer(code, out.getvalue(), _without_notices(err.getvalue()))


def _without_notices(text: str) -> str:
    """Standard error without what is said once on a machine that runs the first network of its life."""
    lines = text.splitlines(keepends=True)
    return "".join([line for line in lines if not line.startswith("mcusim: compiling kernels")])


def document_of(*args: str) -> dict[str, Any]:
    """The document of a command that succeeds and complains of nothing."""
    code, out, err = run(*args, "--json", "-")
    assert (code, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A real process. A variable that is "" is not set."""
    setting = {"PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8", "COLUMNS": "", **env}
    environment = {name: value for name, value in {**os.environ, **setting}.items() if value}
    command = [sys.executable, "-m", "mcusim", *args]
    return subprocess.run(command, capture_output=True, env=environment, check=False, encoding="utf-8")
