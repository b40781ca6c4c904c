"""Hostile networks through everything that mcusim does with a file: `tests/fuzzing/command.py`, which says more."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    sys.exit(import_module("fuzzing.command").main())
