"""`mcusim export`: a network as a .tflite file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, SEED, option
from mcusim.cli.shell import STDOUT, document, refuse_overwriting, refuse_same_target, write_output
from mcusim.errors import OutputError
from mcusim.graph import Graph
from mcusim.precision import chosen_bits
from mcusim.zoo.export import export_model
from mcusim.zoo.loading import load

__all__ = ["ExportDocument", "export"]


class ExportDocument(Versioned):
    """What `mcusim export` wrote. drawn: tensors whose weights were drawn."""

    file: str
    size_bytes: int
    operators: int
    drawn: int
    notes: Sequence[str]


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The name of a published network, or a .tflite or .onnx file.")
    ],
    path: Annotated[str, typer.Argument(metavar="FILE", help="The .tflite file to write.")],
    seed: Annotated[int, SEED] = 0,
    bits: Annotated[
        str | None,
        option(
            metavar="BITS", help="Fewer bits per tensor: wNaM, such as w4a8, or the document of `mcusim bits --json`."
        ),
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Write a network as a .tflite file that LiteRT and TensorFlow Lite Micro run.

    Published networks are known by their architecture: they get seeded weights and a quantisation that keeps all
    layers alive. The same seed gives the same bytes.

    \b
    Examples:
      mcusim export mcunet-in2 mcunet-in2.tflite
      mcusim export person-det detector.tflite --seed 7
      mcusim export mcunet-in2 int4.tflite --bits w4a8
    """

    if path == STDOUT:
        fix = "name a file, or /dev/stdout"
        raise OutputError("a .tflite file is no text, and does not go to a terminal", where="FILE", fix=fix)
    refuse_same_target(FILE=path, json=json)
    refuse_overwriting((model, bits), FILE=path, json=json)
    written = export_model(model if bits is None else _narrowed(model, bits), path, seed)
    if json is not None:
        json_document: ExportDocument = {
            "schema_version": 1,
            "file": str(written.path),
            "size_bytes": written.size_bytes,
            "operators": len(written.graph.nodes),
            "drawn": written.drawn,
            "notes": written.notes,
        }
        write_output(document(json_document), json, "--json")
    if json == STDOUT:
        return
    lines = [f"{written.path}: {written.size_bytes:,} bytes, {len(written.graph.nodes)} operators", *written.notes]
    write_output("".join(f"{line}\n" for line in lines), STDOUT, "FILE")


def _narrowed(model: str, bits: str) -> Graph:

    return chosen_bits(load(model), bits)
