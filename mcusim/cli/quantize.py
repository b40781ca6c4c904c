"""`mcusim quantize`: a float network and calibration data -> an int8 .tflite file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, MAX_MEMORY
from mcusim.cli.shell import STDOUT, document, refuse_overwriting, refuse_same_target, write_output
from mcusim.errors import InputError
from mcusim.frontends.array_files import read_arrays

if TYPE_CHECKING:
    from mcusim.evaluating.agreement import Agreement
    from mcusim.zoo.export import Exported

__all__ = ["QuantizeDocument", "quantize"]


class OutputCost(TypedDict):
    """An output against the floats. sqnr_db: None where the floats are all zero, or nothing differs."""

    name: str
    sqnr_db: float | None
    same_largest: float | None
    samples: int


class QuantizeDocument(Versioned):
    """What `mcusim quantize` wrote, and what that cost."""

    file: str
    size_bytes: int
    notes: list[str]
    outputs: list[OutputCost]


def quantize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A float .onnx file.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Calibration data as the network takes it: N samples an input, .npz by name, or .npy for one input.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The .tflite file to write.")],
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="How ranges are found: min-max, percentile or entropy.")
    ] = "min-max",
    percentile: Annotated[
        float, typer.Option(metavar="P", help="Share of numbers, in percent, that METHOD percentile keeps.")
    ] = 99.99,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One scale for all weights of a layer, not one a channel.")
    ] = False,
    bits: Annotated[int, typer.Option(metavar="N", help="Bits of activations: 8 or 16. Weights have 8.")] = 8,
    json: Annotated[str | None, JSON] = None,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """Quantise a float network after training, with scales that TensorFlow Lite's kernels want.

    What it cost is said against the float network on the same data; `mcusim diff OUT --float` tells it layer by layer,
    and `mcusim evaluate OUT` measures accuracy.

    \b
    Examples:
      mcusim quantize model.onnx --data calibration.npz -o model.tflite
      mcusim quantize model.onnx --data images.npy -o model.tflite --method percentile --percentile 99.9
    """
    from mcusim.evaluating.agreement import agreement
    from mcusim.frontends.onnx.quantising import feeds, float_network_inputs, quantised_graph
    from mcusim.frontends.onnx.running import runtime_answers
    from mcusim.zoo.export import export_model

    recipe = _recipe(method, percentile, per_tensor, bits)
    refuse_same_target(output=output, json=json)
    refuse_overwriting((model, data), output=output, json=json)
    if Path(model).suffix.lower() != ".onnx":
        raise InputError(f"'{model:.200}' is no .onnx file", where="MODEL", fix="export the float network to ONNX")
    path = Path(model)
    inputs = float_network_inputs(path)
    samples = feeds(inputs, _arrays(data, list(inputs)), data)
    graph = quantised_graph(path, samples, recipe)
    answers = runtime_answers(path, samples)
    costs = agreement(graph, [[sample[name] for name in inputs] for sample in samples], answers)
    written = export_model(graph, output)
    if json is not None:
        write_output(document(_document(written, costs)), json, "--json")
    if json != STDOUT:
        lines = [f"{written.path}: {written.size_bytes:,} bytes, {len(written.graph.nodes)} operators", *written.notes]
        lines += [_cost_line(cost) for cost in costs]
        write_output("".join(f"{line}\n" for line in lines), STDOUT, "--output")


def _recipe(method: str, percentile: float, per_tensor: bool, bits: int) -> Any:
    from mcusim.frontends.onnx.quantising import Method, Recipe

    if method not in set(Method):
        raise InputError(f"'{method:.60}' is no method", where="--method", fix=f"use {', '.join(Method)}")
    if not 50 < percentile <= 100:
        raise InputError(f"{percentile:g} is no percentile", where="--percentile", fix="use more than 50, up to 100")
    if bits not in (8, 16):
        raise InputError(f"activations of {bits} bits", where="--bits", fix="use 8 or 16")
    return Recipe(Method(method), percentile, not per_tensor, bits)


def _arrays(path: str, inputs: list[str]) -> dict[str, Any]:
    arrays = read_arrays(path, path)
    if isinstance(arrays, dict):
        return {inputs[0]: next(iter(arrays.values()))} if len(arrays) == len(inputs) == 1 else arrays
    if len(inputs) != 1:
        fix = "save an .npz with one array an input"
        raise InputError(f"it holds one array, and the network has {len(inputs)} inputs", where=path, fix=fix)
    return {inputs[0]: arrays}


def _cost_line(cost: Agreement) -> str:
    sqnr = "all zero in floats" if cost.sqnr_db is None else f"{cost.sqnr_db:.1f} dB above its quantisation noise"
    same = "" if cost.same_largest is None else f", the same largest element on {100 * cost.same_largest:.1f} %"
    return f"output '{cost.name}' on {cost.samples} samples: {sqnr}{same}"


def _document(written: Exported, costs: list[Agreement]) -> QuantizeDocument:
    return {
        "schema_version": 1,
        "file": str(written.path),
        "size_bytes": written.size_bytes,
        "notes": list(written.notes),
        "outputs": [
            {
                "name": cost.name,
                "sqnr_db": None if cost.sqnr_db == float("inf") else cost.sqnr_db,
                "same_largest": cost.same_largest,
                "samples": cost.samples,
            }
            for cost in costs
        ],
    }
