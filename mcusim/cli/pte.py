"""`mcusim pte`: what an ExecuTorch program takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, refuse_overwriting, write_output
from mcusim.frontends.pte import PteMethod, PteProgram, PteTensor, read_pte

__all__ = ["PteDocument", "pte"]


class MethodDocument(TypedDict):
    """A method. method_allocator_bytes, temp_allocator_bytes: what loading it takes of each."""

    name: str
    buffer_bytes: Sequence[int]
    live_bytes: int
    method_allocator_bytes: int
    temp_allocator_bytes: int
    calls: Sequence[str]
    tensors: Sequence[PteTensor]


class PteDocument(Versioned):
    """What `mcusim pte` reads. constant_bytes: a part of `file_bytes`."""

    name: str
    file_bytes: int
    constant_bytes: int
    methods: list[MethodDocument]


def pte(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .pte file.")],
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Read an ExecuTorch program: the memory that was planned for it, and the operators that it calls.

    The plan is in the file, and so is what the runtime's allocators must have to load it: these figures are exact, on
    32 bits. Kernels of other libraries than the cortex_m backend's may ask the temporary allocator for more. `mcusim
    run MODEL --profile BOARD` says whether it fits.

    \b
    Example:
      mcusim pte model.pte
    """
    refuse_overwriting((model,), json=json)
    program = read_pte(model)
    if json is not None:
        write_output(document(_document(program)), json, "--json")
    if json != STDOUT:
        lines = [f"{model}: {program.file_bytes:,} bytes, {program.constant_bytes:,} of constants and delegates"]
        lines += [line for method in program.methods for line in _lines(method)]
        write_output("".join(f"{line}\n" for line in lines), STDOUT, "--json")


def _document(program: PteProgram) -> PteDocument:
    return {
        "schema_version": 1,
        "name": program.name,
        "file_bytes": program.file_bytes,
        "constant_bytes": program.constant_bytes,
        "methods": [
            {
                "name": method.name,
                "buffer_bytes": method.buffer_bytes,
                "live_bytes": method.live_bytes,
                "method_allocator_bytes": method.method_bytes(),
                "temp_allocator_bytes": method.load_bytes(),
                "calls": method.calls,
                "tensors": method.tensors,
            }
            for method in program.methods
        ],
    }


def _lines(method: PteMethod) -> list[str]:
    parts = " + ".join(f"{size:,}" for size in method.buffer_bytes)
    shown = f" ({parts})" if len(method.buffer_bytes) > 1 else ""
    lines = [
        f"method {method.name}: {method.planned_bytes:,} bytes of planned memory{shown}, "
        f"{method.live_bytes:,} alive at once; {len(method.calls)} calls",
        f"to load it: method allocator {method.method_bytes():,} bytes, temporary allocator {method.load_bytes():,}",
    ]
    return lines + [f"  {count:>4}  {name}" for name, count in method.operators]
