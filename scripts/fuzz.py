"""Hostile networks through everything that mcusim does with a file: `tests/fuzzing/command.py`, which says more."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from mcusim.cli.shell import one_thread

if __name__ == "__main__":
    one_thread()  # processor time is measured: threads that wait for each other take it too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    sys.exit(import_module("fuzzing.command").main())
