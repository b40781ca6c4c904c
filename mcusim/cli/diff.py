"""`mcusim diff`: two runs compared layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcusim.cli.exec import RANDOM, load_network, read_arrays, read_inputs
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

if TYPE_CHECKING:
    from mcusim.execution.comparison import LayerDifference, LayerNoise, Recording
    from mcusim.execution.sessions import Trace

__all__ = ["diff"]


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A network, or a trace that `mcusim exec --trace` wrote.")],
    b: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The other; left out: A again, in another numeric mode.", show_default=False),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="FILE", help="What both run on, as for `exec`. Default: random."),
    ] = None,
    numerics: Annotated[
        str, typer.Option(metavar="MODE[,MODE]", help="Whose arithmetic: of both, or of A and of B.")
    ] = "tflm",
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Draws weights where there are none, and inputs.", show_default=False),
    ] = None,
    float_: Annotated[
        bool, typer.Option("--float", help="What quantising cost each layer of A, against a float32 run.")
    ] = False,
    json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a JSON document; - is standard output.", show_default=False),
    ] = None,
) -> None:
    """Where do two runs part: the first layer and element that differ, and how the error grows from there.

    \b
    Examples:
      mcusim diff mcunet-vww0 --seed 1 --numerics tflm,single-rounding
      mcusim diff mcunet-vww0 --seed 1 --float
    """
    modes = [mode.strip() for mode in numerics.split(",")]
    if len(modes) > 2:
        raise InputError(f"'{numerics}' names {len(modes)} modes", where="--numerics", fix="name one or two")
    if b is None and len(modes) == 1 and not float_:
        fix = "name B, or two modes: --numerics tflm,single-rounding"
        raise InputError("what should it be compared with?", where="mcusim diff", fix=fix)
    given = inputs or [RANDOM]
    refuse_overwriting((a, b, *given), json=json)
    pass_on_notices()
    if float_:
        _tell_noise(a, given, modes[0], seed, json)
        return
    from mcusim.execution.comparison import compare

    first = _recording(a, given, modes[0], seed)
    second = _recording(a if b is None else b, given, modes[-1], seed)
    layers = compare(first, second)
    if json is not None:
        write_output(document({"schema_version": 1, "layers": [_plain(layer) for layer in layers]}), json, "--json")
    if json != STDOUT:
        from mcusim.render.comparison import difference_lines

        show(difference_lines(f"{first.label} against {second.label}", layers, terminal_width(), glyphs()))


def _plain(layer: LayerDifference | LayerNoise) -> dict[str, Any]:
    import math

    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in layer._asdict().items()
    }


def _recording(name: str, inputs: list[str], mode: str, seed: int | None) -> Recording:
    from mcusim.execution.comparison import recorded, restored

    if Path(name).suffix.lower() == ".npz":
        arrays = read_arrays(name, name)
        if not isinstance(arrays, dict):
            raise InputError("it is no trace", where=name, fix="write one with `mcusim exec --trace FILE.npz`")
        return restored(arrays, Path(name).name)
    traced = _traced(name, inputs, mode, seed)
    return recorded(traced.graph, traced, f"{traced.graph.name} ({mode})")


def _traced(name: str, inputs: list[str], mode: str, seed: int | None) -> Trace:
    from mcusim.execution import execute

    graph = load_network(name, seed)
    return execute(graph, read_inputs(graph, inputs, seed or 0), numerics=mode, trace=True)


def _tell_noise(name: str, inputs: list[str], mode: str, seed: int | None, json: str | None) -> None:
    from mcusim.execution.comparison import quantization_noise

    if Path(name).suffix.lower() == ".npz":
        fix = "name the network itself: a trace has no weights"
        raise InputError("a saved trace cannot be run in float", where=name, fix=fix)
    traced = _traced(name, inputs, mode, seed)
    layers = quantization_noise(traced.graph, traced)
    if json is not None:
        write_output(document({"schema_version": 1, "layers": [_plain(layer) for layer in layers]}), json, "--json")
    if json != STDOUT:
        from mcusim.render.comparison import noise_lines

        show(noise_lines(f"{traced.graph.name} against float32", layers, terminal_width(), glyphs()))
