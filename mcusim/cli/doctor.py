"""`mcusim doctor`: what is installed, and what is missing."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

from mcusim import zoo
from mcusim.boards import board_names
from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, show, terminal_width, write_output
from mcusim.ops import OPS
from mcusim.render.catalog import fields
from mcusim.runtimes import RUNTIMES
from mcusim.version import __version__

__all__ = ["DoctorDocument", "doctor"]


class DoctorDocument(Versioned):
    """What `mcusim doctor` finds. needed, optional: package -> version, None where it is missing."""

    mcusim: str
    python: str
    platform: str
    needed: dict[str, str | None]
    optional: dict[str, str | None]
    profiles: list[str]
    networks: int
    runtimes: list[str]
    operators: int
    kernel_cache: str
    columns: int


NEEDED = ("numpy", "numba", "pandas", "matplotlib", "jinja2", "msgspec", "typer", "rich")
OPTIONAL = (
    "pillow",
    "pyelftools",
    "onnx",
    "onnxruntime",
    "torch",
    "tflite-micro",
    "ai-edge-litert",
    "optuna",
    "pyside6-webengine",
)


def doctor(
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Versions, caches, profiles, and what is missing. Exits with 0 even if something is missing.

    \b
    Example:
      mcusim doctor
    """

    python = ".".join(map(str, sys.version_info[:3]))
    if json is not None:
        findings: DoctorDocument = {
            "schema_version": 1,
            "mcusim": __version__,
            "python": python,
            "platform": sys.platform,
            "needed": {name: _version(name) for name in NEEDED},
            "optional": {name: _version(name) for name in OPTIONAL},
            "profiles": list(board_names()),
            "networks": len(zoo.names()),
            "runtimes": sorted(RUNTIMES),
            "operators": len(OPS),
            "kernel_cache": _cache(),
            "columns": terminal_width(),
        }
        write_output(document(findings), json, "--json")
        if json == STDOUT:
            return
    pairs = [("mcusim", __version__), ("python", f"{python}, {sys.platform}")]
    pairs += [(name, _version(name) or "MISSING") for name in NEEDED]
    pairs += [(name, _version(name) or "not installed, optional") for name in OPTIONAL]
    pairs += [
        ("profiles", str(len(board_names()))),
        ("networks", str(len(zoo.names()))),
        ("runtimes", ", ".join(sorted(RUNTIMES))),
        ("operators", str(len(OPS))),
        ("kernel cache", _cache()),
        ("columns", str(terminal_width())),
    ]
    show(fields(pairs, terminal_width()))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cache() -> str:
    """Where numba keeps compiled kernels."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return f"{named} (NUMBA_CACHE_DIR)"
    package = Path(__file__).resolve().parents[1]
    where = "beside the sources" if os.access(package, os.W_OK) else "in the user's cache folder"
    return f"{where}; NUMBA_CACHE_DIR chooses another"
