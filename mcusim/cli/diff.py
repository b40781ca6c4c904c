"""`mcusim diff`: two runs compared layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.exec import KEY_LENGTH, RANDOM, load_network, read_arrays, read_inputs
from mcusim.cli.options import JSON, option
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    pass_on_notices,
    refuse_overwriting,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError
from mcusim.execution import execute
from mcusim.execution.comparison import (
    LayerDifference,
    LayerNoise,
    Recording,
    compare,
    quantization_noise,
    recorded,
    restored,
    stored_inputs,
)
from mcusim.execution.preparation import numerics_of
from mcusim.graph import Graph
from mcusim.ops.registry import Numerics
from mcusim.render.comparison import difference_lines, noise_lines
from mcusim.render.naming import distinct_names

__all__ = ["DiffDocument", "FloatDocument", "diff"]


class DifferenceDocument(TypedDict):
    """A layer in both runs. max_abs, mean_abs: of all elements' differences; None where they are infinite.

    first: the first element that differs, with its `values`; None where all are equal.
    """

    name: str
    op: str
    shape: Sequence[int]
    elements: int
    differing: int
    max_abs: float | None
    mean_abs: float | None
    first: Sequence[int] | None
    values: list[float | None] | None


class NoiseDocument(TypedDict):
    """A layer against float32. sqnr_db: None where there is no signal, or no noise."""

    name: str
    op: str
    shape: Sequence[int]
    sqnr_db: float | None
    saturated: float | None
    dead_channels: int
    channels: int
    is_restarted: bool


class DiffDocument(Versioned):
    """What `mcusim diff` answers. input: what both ran on.   unpaired: layers that the other run lacks."""

    input: str | None
    unpaired_a: int
    unpaired_b: int
    layers: list[DifferenceDocument]


class FloatDocument(Versioned):
    """What `mcusim diff --float` answers."""

    input: str | None
    layers: list[NoiseDocument]


_NORMAL = (
    "That tflm and litert differ is normal: the device rounds twice where Python's interpreter rounds float products, "
    "a step or two a layer. Compare a device with tflm, and Python with litert."
)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A network, or a trace that `mcusim exec --trace` wrote.")],
    b: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The other; left out: A again, in another numeric mode.", show_default=False),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="FILE", help="What both run on, as for `exec`. Default: a trace's; else random."
        ),
    ] = None,
    numerics: Annotated[
        str | None,
        option(metavar="MODE[,MODE]", help="The arithmetic, as for `exec`. Two modes: A in both. Default: tflm."),
    ] = None,
    seed: Annotated[
        int | None, option(min=0, metavar="N", help="Draws weights where there are none, and inputs.")
    ] = None,
    float_: Annotated[
        bool, typer.Option("--float", help="What quantising cost each layer of A, against a float32 run.")
    ] = False,
    onnxruntime: Annotated[
        bool, typer.Option("--onnxruntime", help="An .onnx network's outputs against ONNX Runtime's.")
    ] = False,
    json: Annotated[str | None, JSON] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 when a layer differs, or has no partner in the other run."),
    ] = False,
) -> None:
    """Compare two runs: the first layer and element that differ, and how the error grows from there.

    An answer of a device with TFLM or CMSIS-NN is `tflm`; one of Python's interpreter is `litert`, and differs.

    \b
    Examples:
      mcusim diff mcunet-vww0 --seed 1 --numerics tflm,litert
      mcusim diff mcunet-vww0 --seed 1 --float
      mcusim diff mcunet-vww0 --seed 1 --numerics tflm,tinyengine-float --check
    """
    if onnxruntime:
        _against_runtime(a, b, inputs, numerics, seed, float_, json, check)
        return
    modes = [mode.strip() for mode in (numerics or "tflm").split(",")]
    _refuse_nonsense(a, b, inputs, numerics, modes, seed, float_)
    if check and float_:
        fix = "leave --check or --float out"
        raise InputError("quantised layers always differ from float32", where="--check", fix=fix)
    given = inputs or [RANDOM]
    refuse_overwriting((a, b, *given), json=json)
    pass_on_notices()
    if float_:
        _tell_noise(a, given, modes[0], seed, json)
        return

    first, second, note = _both(a, b, given, modes, seed)
    comparison = compare(first, second)
    if b is None and {*map(numerics_of, modes)} == {Numerics.TFLM, Numerics.LITERT} and not comparison.is_same:
        note = f"{note}. {_NORMAL}".removeprefix(". ")
    if json is not None:
        json_document: DiffDocument = {
            "schema_version": 1,
            "input": note or None,
            "unpaired_a": comparison.unpaired_a,
            "unpaired_b": comparison.unpaired_b,
            "layers": [_difference(layer) for layer in comparison.layers],
        }
        write_output(document(json_document), json, "--json")
    if json != STDOUT:
        show(difference_lines(f"{first.label} against {second.label}", comparison, note, terminal_width(), glyphs()))
    if check and not comparison.is_same:
        raise typer.Exit(1)


def _against_runtime(
    a: str,
    b: str | None,
    inputs: list[str] | None,
    numerics: str | None,
    seed: int | None,
    float_: bool,
    json: str | None,
    check: bool,
) -> None:
    if b is not None or numerics is not None or float_:
        raise InputError("it compares A alone, as TFLM has it", where="--onnxruntime", fix="leave B and modes out")
    refuse_overwriting((a, *(inputs or [])), json=json)
    pass_on_notices()
    from mcusim.cli.runtime_diff import tell_runtime_diff

    differences = tell_runtime_diff(a, inputs or [RANDOM], seed or 0, json)
    if check and any(each.equal < 1 for each in differences):
        raise typer.Exit(1)


def _refuse_nonsense(
    a: str,
    b: str | None,
    inputs: list[str] | None,
    numerics: str | None,
    modes: list[str],
    seed: int | None,
    float_: bool,
) -> None:
    """One sentence for arguments of which some would be ignored."""

    def refuse(what: str, where: str, fix: str) -> None:
        raise InputError(what, where=where, fix=fix)

    only_traces = _is_trace(a) and (b is None or _is_trace(b))
    if len(modes) > 2:
        refuse(f"'{numerics}' names {len(modes)} modes", "--numerics", "name one or two")
    for mode in modes:
        numerics_of(mode)
    if float_:
        if _is_trace(a):
            refuse("a saved trace cannot be run in float", a, "name the network itself: a trace has no weights")
        if b is not None:
            refuse("it compares A with A in float32, and B is given", "--float", "leave B or --float out")
        if len(modes) > 1:
            refuse("it compares one mode with float32", "--float", "name one mode in --numerics")
        return
    if b is None and (_is_trace(a) or len(modes) == 1):
        fix = "name B, a network or another trace" if _is_trace(a) else "name B, or two modes: --numerics tflm,litert"
        refuse("what should it be compared with?", "mcusim diff", fix)
    if only_traces:
        for option, value in (("--numerics", numerics), ("--input", inputs), ("--seed", seed)):
            if value is not None:
                refuse("saved traces are not run again, so it would change nothing", option, "leave it out")
    if b is not None and len(modes) > 1:
        refuse("two modes are for A alone, and B is given", "--numerics", "name one mode, or leave B out")
    if inputs and RANDOM in inputs and (_is_trace(a) or (b is not None and _is_trace(b))):
        fix = "leave it out for the trace's own input, or name its file"
        refuse("a saved trace is never compared with a run on random data", "--input", fix)


def _is_trace(name: str) -> bool:
    return Path(name).suffix.lower() == ".npz"


def _both(
    a: str, b: str | None, inputs: list[str], modes: list[str], seed: int | None
) -> tuple[Recording, Recording, str]:
    """Both runs, and a note on what they ran."""

    names = a, a if b is None else b
    saved = [_saved(name) if _is_trace(name) else None for name in names]
    labels = distinct_names([(Path(name).name, name) for name in names])
    if saved[0] is not None and saved[1] is not None:
        return restored(saved[0], labels[0]), restored(saved[1], labels[1]), ""
    if saved[0] is None and saved[1] is None:
        graph = load_network(names[0], seed)
        other = graph if names[0] == names[1] else load_network(names[1], seed)
        _refuse_other_inputs(graph, other)
        called = distinct_names([(graph.name, names[0]), (other.name, names[1])])
        runs = [
            _run(each, name, read_inputs(each, inputs, seed or 0), mode)
            for each, name, mode in zip((graph, other), called, (modes[0], modes[-1]), strict=True)
        ]
        return runs[0], runs[1], _note(inputs, seed)
    place = 0 if saved[0] is not None else 1
    trace = saved[place] or {}
    graph = load_network(names[1 - place], seed)
    if inputs == [RANDOM]:
        keys = stored_inputs(graph, trace, names[place])
        given: Any = {name: trace[key] for name, key in keys.items()}
        note, besides = "on the input that the trace holds", set(keys.values())
    else:
        given, note = read_inputs(graph, inputs, seed or 0), ""
        besides = {f"{index}:{graph.tensors[index].name[:KEY_LENGTH]}" for index in graph.inputs}
    run, kept = _run(graph, graph.name, given, modes[0]), restored(trace, labels[place], besides)
    return (kept, run, note) if place == 0 else (run, kept, note)


def _saved(name: str) -> dict[str, Any]:
    arrays = read_arrays(name, name)
    if not isinstance(arrays, dict):
        raise InputError("it is no trace", where=name, fix="write one with `mcusim exec --trace FILE.npz`")
    return arrays


def _refuse_other_inputs(a: Graph, b: Graph) -> None:
    shapes = [
        ", ".join(f"{g.tensors[i].dtype} {'x'.join(map(str, g.tensors[i].shape)) or 'scalar'}" for i in g.inputs)
        for g in (a, b)
    ]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"they take different inputs, {shapes[0]} and {shapes[1]}",
            where=f"{a.name} and {b.name}",
            fix="compare networks that run on the same input",
        )


def _run(graph: Graph, name: str, inputs: Any, mode: str) -> Recording:
    return recorded(graph, execute(graph, inputs, numerics=mode, trace=True), f"{name} ({mode})")


def _note(inputs: list[str], seed: int | None) -> str:
    return f"on random input, seed {seed or 0}; --input FILE for real data" if inputs == [RANDOM] else ""


def _difference(layer: LayerDifference) -> DifferenceDocument:
    return {
        "name": layer.name,
        "op": layer.op,
        "shape": layer.shape,
        "elements": layer.elements,
        "differing": layer.differing,
        "max_abs": _finite(layer.max_abs),
        "mean_abs": _finite(layer.mean_abs),
        "first": layer.first,
        "values": None if layer.values is None else [_finite(value) for value in layer.values],
    }


def _noise(layer: LayerNoise) -> NoiseDocument:
    return {
        "name": layer.name,
        "op": layer.op,
        "shape": layer.shape,
        "sqnr_db": _finite(layer.sqnr_db),
        "saturated": _finite(layer.saturated),
        "dead_channels": layer.dead_channels,
        "channels": layer.channels,
        "is_restarted": layer.is_restarted,
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _tell_noise(name: str, inputs: list[str], mode: str, seed: int | None, json: str | None) -> None:

    graph = load_network(name, seed)
    traced = execute(graph, read_inputs(graph, inputs, seed or 0), numerics=mode, trace=True)
    layers, note = quantization_noise(graph, traced), _note(inputs, seed)
    if json is not None:
        json_document = FloatDocument(schema_version=1, input=note or None, layers=[_noise(layer) for layer in layers])
        write_output(document(json_document), json, "--json")
    if json != STDOUT:
        show(noise_lines(f"{graph.name} against float32", layers, note, terminal_width(), glyphs()))
