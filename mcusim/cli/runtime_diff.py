"""`mcusim diff NET.onnx --onnxruntime`: whose answer? Ours against ONNX Runtime's, in steps of each output's scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcusim.cli.documents import Versioned
from mcusim.cli.exec import read_inputs
from mcusim.cli.shell import STDOUT, document, write_output
from mcusim.errors import InputError
from mcusim.evaluating.agreement import StepsApart, real_input, steps_apart
from mcusim.frontends.onnx import read_onnx
from mcusim.frontends.onnx.running import runtime_answers

__all__ = ["RuntimeDiffDocument", "tell_runtime_diff"]


class RuntimeDiffDocument(Versioned):
    """What `mcusim diff --onnxruntime` answers, an entry an output."""

    outputs: Sequence[StepsApart]


def tell_runtime_diff(model: str, inputs: list[str], seed: int, json: str | None) -> Sequence[StepsApart]:
    """Print or write the comparison, and return it."""
    if Path(model).suffix.lower() != ".onnx":
        raise InputError(f"'{model:.200}' is no .onnx file", where="--onnxruntime", fix="name an .onnx file as A")
    path = Path(model)
    graph = read_onnx(path)
    arrays = read_inputs(graph, inputs, seed)
    given = [arrays[graph.tensors[i].name] for i in graph.inputs] if isinstance(arrays, dict) else list(arrays)
    feed = {
        graph.tensors[index].name: real_input(graph, index, array)
        for index, array in zip(graph.inputs, given, strict=True)
    }
    differences = steps_apart(graph, [given], runtime_answers(path, [feed]))
    if json is not None:
        write_output(document(RuntimeDiffDocument(schema_version=1, outputs=differences)), json, "--json")
    if json != STDOUT:
        write_output("".join(f"{_line(each)}\n" for each in differences), STDOUT, "--json")
    return differences


def _line(each: StepsApart) -> str:
    gap = "" if each.equal == 1 else f", the largest difference {each.largest} step{'s' * (each.largest != 1)}"
    return f"output '{each.name}': {100 * each.equal:.1f} % of {each.elements:,} elements equal ONNX Runtime's{gap}"
