"""`mcusim runtimes`: whose memory rules and kernels mcusim knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mcusim.boards.board import Core
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, show, terminal_width, write_output
from mcusim.pricing.stored import package_calibration
from mcusim.render.catalog import runtime_list
from mcusim.runtimes import RUNTIMES, Runtime, find_runtime

__all__ = ["runtimes"]


def runtimes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One runtime, as NAME or NAME@VERSION.", show_default=False)
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The runtimes that mcusim knows: their rules, the evidence behind them, and where it ends.

    \b
    Examples:
      mcusim runtimes
      mcusim runtimes tflm
    """

    every = sorted(RUNTIMES.values(), key=lambda runtime: runtime.name)
    found = every if name is None else [find_runtime(name)]
    if json is not None:
        write_output(
            document({"schema_version": 1, "runtimes": [_plain(runtime) for runtime in found]}), json, "--json"
        )
    if json != STDOUT:
        show(runtime_list(found, [_unknown(runtime) for runtime in found], terminal_width()))


def _unknown(runtime: Runtime) -> str:
    """The cores on which nobody has measured its kernels."""

    measured = {s.core for s in package_calibration().fit.systems if s.runtime == runtime.price_family}
    cores = [str(core) for core in Core if core not in measured]
    if not measured:
        return "latency, on any core"
    return f"latency on {', '.join(cores)}: answers there are wide" if cores else ""


def _plain(runtime: Runtime) -> dict[str, Any]:
    rules = runtime.rules
    return {
        "name": runtime.name,
        "version": runtime.version,
        "measured_versions": list(runtime.versions),
        "title": runtime.title,
        "planner": runtime.planner_name,
        "folds_padding": rules.folds_padding,
        "relabels_free": rules.relabels_free,
        "caller_converts": rules.caller_converts,
        "in_place": sorted(rules.in_place),
        "alignment": rules.alignment,
        "input": str(rules.input_place),
        "memory_basis": str(runtime.memory_basis),
        "persistent_basis": str(runtime.persistent_basis),
        "evidence": runtime.evidence,
        "not_known": _unknown(runtime),
    }
