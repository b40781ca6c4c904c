"""`mcusim pte`: what an ExecuTorch program takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, refuse_overwriting, write_output
from mcusim.frontends.pte import PteMethod, read_pte

__all__ = ["pte"]


def pte(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .pte file.")],
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Read an ExecuTorch program: the memory that was planned for it, and the operators that it calls.

    The plan is in the file, so these figures are exact. What the runtime itself takes is not: the method's own
    structures and the temporary memory of kernels depend on how ExecuTorch is built.

    \b
    Example:
      mcusim pte model.pte
    """
    refuse_overwriting((model,), json=json)
    program = read_pte(model)
    if json is not None:
        write_output(document({"schema_version": 1, **asdict(program)}), json, "--json")
    if json != STDOUT:
        lines = [f"{model}: {program.file_bytes:,} bytes, {program.constant_bytes:,} of constants and delegates"]
        lines += [line for method in program.methods for line in _lines(method)]
        write_output("".join(f"{line}\n" for line in lines), STDOUT, "--json")


def _lines(method: PteMethod) -> list[str]:
    parts = " + ".join(f"{size:,}" for size in method.buffer_bytes)
    shown = f" ({parts})" if len(method.buffer_bytes) > 1 else ""
    lines = [
        f"method {method.name}: {method.planned_bytes:,} bytes of planned memory{shown}, "
        f"{method.live_bytes:,} alive at once; {len(method.calls)} calls"
    ]
    return lines + [f"  {count:>4}  {name}" for name, count in method.operators]
