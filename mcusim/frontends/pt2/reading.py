"""A .pt2 archive, or an exported program in memory -> Network -> Graph."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.onnx.reading import MAX_NODES, file_content
from mcusim.frontends.pt2.archive import DTYPES, Archive, opened, tensors
from mcusim.frontends.pt2.calls import AtenCall, Program
from mcusim.frontends.pt2.operators import RULES
from mcusim.frontends.qdq import Network, Step, Value, import_network
from mcusim.frontends.qdq.network import Array
from mcusim.graph import DType, Graph

__all__ = ["from_torch", "parse_pt2", "read_pt2"]

_SAVE_AGAIN = "save it again: torch.export.save(program, FILE)"
_FIXED = "export it with fixed shapes: torch.export.export without dynamic_shapes"


def read_pt2(path: str | Path) -> Graph:
    """The network in a .pt2 file; the graph is named after the file. torch is not needed, and nothing is unpickled.

    Raises ModelError where there is no such file, it is of another kind, malformed, or cannot be expressed in
    TFLite's integers.
    """
    path = Path(path)
    return parse_pt2(file_content(path), name=path.stem, where=str(path))


def from_torch(program: Any, name: str = "network") -> Graph:
    """The network of a `torch.export.ExportedProgram`, quantised by PT2E (`convert_pt2e`, then exported again).

    name: of the graph. Raises ModelError for another object, and for what cannot be expressed in TFLite's integers.
    """
    if not hasattr(program, "graph_signature"):
        what = f"this is {type(program).__name__}, no exported program"
        fix = "export it first: torch.export.export(converted, example_inputs)"
        raise ModelError(what, where="from_torch", fix=fix)
    stream = io.BytesIO()
    import_module("torch.export").save(program, stream)
    return parse_pt2(stream.getvalue(), name=name, where=name)


def parse_pt2(content: bytes, *, name: str, where: str) -> Graph:
    """The network in the bytes of a .pt2 file."""
    archive = opened(content, where)
    try:
        network = _network(archive, name)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ModelError(f"the program is malformed: {error!r:.200}", where=where, fix=_SAVE_AGAIN) from error
    return import_network(network, where)


def _network(archive: Archive, name: str) -> Network:
    module = archive.model["graph_module"]
    graph, signature = module["graph"], module["signature"]
    nodes = graph["nodes"]
    if len(nodes) > MAX_NODES:
        what = f"the network has {len(nodes):,} nodes, and {MAX_NODES:,} are taken at most"
        raise ModelError(what, where=archive.where, fix="use a smaller network")
    stored = {**tensors(archive, "weights"), **tensors(archive, "constants")}
    inputs, constants = _inputs(signature["input_specs"], stored, archive.where)
    values = {value: _value(meta) for value, meta in graph["tensor_values"].items()}
    program = Program({value: described for value, described in values.items() if described is not None}, constants)
    for node in nodes:
        _read(node, program)
    for value in inputs:
        if value not in program.values:
            raise ModelError("has a dynamic axis", where=f"{archive.where}, input '{value[:80]}'", fix=_FIXED)
    outputs = tuple(str(each["as_tensor"]["name"]) for each in graph["outputs"] if "as_tensor" in each)
    if not inputs or not outputs or not program.steps:
        lacks = "inputs" if not inputs else "outputs" if not outputs else "operators"
        raise ModelError(f"the network has no {lacks}", where=archive.where, fix="export a whole network")
    return Network(name, tuple(program.steps), inputs, outputs, program.values, program.constants)


def _inputs(
    specs: Sequence[Mapping[str, Any]], stored: Mapping[str, Array], where: str
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """What a user gives, and the constants by the names that the graph has for them."""
    inputs, constants = [], {}
    for spec in specs:
        (kind, held), *_ = spec.items()
        if kind == "user_input":
            inputs.append(str(held["arg"]["as_tensor"]["name"]))
            continue
        key = next(
            (held[part] for part in ("parameter_name", "buffer_name", "tensor_constant_name") if part in held), ""
        )
        if key not in stored:
            what = f"has no elements in the file: {kind} '{key:.60}'"
            raise ModelError(what, where=where, fix="save plain tensors on the CPU")
        constants[str(held["arg"]["name"])] = stored[key]
    return tuple(inputs), constants


def _value(meta: Mapping[str, Any]) -> Value | None:
    """Shape and type of a tensor; None where a size is open, or TFLite has no such type."""
    kind = DTYPES.get(meta["dtype"])
    if kind is None or any("as_int" not in size for size in meta["sizes"]):
        return None
    return Value(tuple(int(size["as_int"]) for size in meta["sizes"]), DType(np.dtype(kind).name))


_IGNORED = ("_assert", "sym_", "_guards_fn")


_NAMESPACES = frozenset({"", "aten", "prims", "quantized_decomposed", "dim_order_ops", "higher_order"})
"""Whose operators are PyTorch's own; "" for what is no operator of a library."""


def _named(target: str) -> tuple[str, str]:
    """The namespace and the name in `torch.ops.aten.conv2d.default`."""
    parts = target.split(".")
    return (parts[2], parts[3]) if target.startswith("torch.ops.") and len(parts) > 3 else ("", target)


def _read(node: Mapping[str, Any], program: Program) -> None:
    target = str(node["target"])
    namespace, op = _named(target)
    if op.startswith(_IGNORED):
        return
    outputs: list[str] = []
    for each in node["outputs"]:
        outputs += [str(one["name"]) for one in each.get("as_tensors", ())]
        if "as_tensor" in each:
            outputs.append(str(each["as_tensor"]["name"]))
    if not outputs:
        return
    arguments = {str(each["name"]): each["arg"] for each in node["inputs"]}
    call = AtenCall(str(node.get("name") or outputs[0]), op, arguments, tuple(outputs), program)
    if namespace not in _NAMESPACES:
        what = f"operator {op[:60]} belongs to the custom domain '{namespace[:60]}'"
        raise call.refuse(what, "export it with PyTorch's own operators")
    rule = RULES.get(op) or RULES.get(op.removesuffix("_"))
    if rule is None:
        program.steps.append(Step(call.name, op, (), call.outputs, {}))
    else:
        rule(call)
