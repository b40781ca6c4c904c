"""`mcusim runtimes`: whose memory rules and kernels mcusim knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim.boards.board import Core
from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, show, terminal_width, write_output
from mcusim.lowering.rules import InputPlace
from mcusim.pricing.stored import package_calibration
from mcusim.render.catalog import runtime_list
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES, Runtime, find_runtime

__all__ = ["RuntimesDocument", "runtimes"]


class RuntimeDocument(TypedDict):
    """A runtime's rules and the evidence behind them. not_known: where it ends."""

    name: str
    version: str
    measured_versions: Sequence[str]
    title: str
    planner: str
    folds_padding: bool
    relabels_free: bool
    caller_converts: bool
    in_place: list[str]
    alignment: int
    input: InputPlace
    memory_basis: Basis
    persistent_basis: Basis
    evidence: str
    not_known: str


class RuntimesDocument(Versioned):
    """What `mcusim runtimes` lists."""

    runtimes: list[RuntimeDocument]


def runtimes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One runtime, as NAME or NAME@VERSION.", show_default=False)
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The runtimes that mcusim knows: their memory rules and kernels, and how well each is backed by evidence.

    \b
    Examples:
      mcusim runtimes
      mcusim runtimes tflm
    """

    every = sorted(RUNTIMES.values(), key=lambda runtime: runtime.name)
    chosen = every if name is None else [find_runtime(name)]
    if json is not None:
        write_output(
            document(RuntimesDocument(schema_version=1, runtimes=[_plain(runtime) for runtime in chosen])),
            json,
            "--json",
        )
    if json != STDOUT:
        show(runtime_list(chosen, [_unknown(runtime) for runtime in chosen], terminal_width()))


def _unknown(runtime: Runtime) -> str:
    """The cores on which nobody has measured its kernels."""

    measured = {s.core for s in package_calibration().fit.systems if s.runtime == runtime.price_family}
    cores = [str(core) for core in Core if core not in measured]
    if not measured:
        return "latency, on any core"
    return f"latency on {', '.join(cores)}: the intervals there are wide" if cores else ""


def _plain(runtime: Runtime) -> RuntimeDocument:
    rules = runtime.rules
    return {
        "name": runtime.name,
        "version": runtime.version,
        "measured_versions": runtime.versions,
        "title": runtime.title,
        "planner": runtime.planner_name,
        "folds_padding": rules.folds_padding,
        "relabels_free": rules.relabels_free,
        "caller_converts": rules.caller_converts,
        "in_place": sorted(rules.in_place),
        "alignment": rules.alignment,
        "input": rules.input_place,
        "memory_basis": runtime.memory_basis,
        "persistent_basis": runtime.persistent_basis,
        "evidence": runtime.evidence,
        "not_known": _unknown(runtime),
    }
