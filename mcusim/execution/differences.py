"""Two runs compared, from names: what `mcusim.diff` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from mcusim.errors import InputError
from mcusim.execution import execute
from mcusim.execution.comparison import Comparison, Recording, compare, recorded
from mcusim.graph import Graph
from mcusim.ops.registry import Numerics
from mcusim.zoo.loading import load

__all__ = ["diff"]

Model = Graph | str | PathLike[str] | Mapping[str, Any]


def diff(
    a: Model,
    b: Model | None = None,
    *,
    inputs: Any,
    numerics: Numerics | str | Sequence[Numerics | str] = "tflm",
) -> Comparison:
    """Where two runs on the same input part, layer by layer.

    b: another network; None: `a` again, in the second of two `numerics`.   inputs: as in `execute`.
    numerics: `tflm` (a device), `litert` (Python's interpreter) or `tinyengine-float`; one for both, or one each
        (a pair, or "tflm,litert").

    That `tflm` and `litert` differ by a step or two a layer is normal. `is_same` tells whether nothing differs,
    `layers` or `to_frame()` has every layer.
    Raises McusimError where a network has no weights, or the inputs do not fit both.

        >>> differences = mcusim.diff("net.tflite", inputs=images, numerics=("tflm", "litert"))  # doctest: +SKIP
        >>> differences.to_frame().query("differing > 0").head()                                # doctest: +SKIP
    """
    modes = [mode.strip() for mode in numerics.split(",")] if isinstance(numerics, str) else list(numerics)
    if not 1 <= len(modes) <= 2:
        raise InputError(f"{len(modes)} modes are given", where="numerics", fix="give one, or one for each run")
    if b is None and len(modes) < 2:
        fix = 'give b, or two modes: numerics=("tflm", "litert")'
        raise InputError("there is nothing to compare it with", where="mcusim.diff", fix=fix)
    first = _run(a, inputs, modes[0])
    return compare(first, _run(a if b is None else b, inputs, modes[-1]))


def _run(model: Model, inputs: Any, mode: Numerics | str) -> Recording:
    graph = model if isinstance(model, Graph) else load(model)
    return recorded(graph, execute(graph, inputs, numerics=mode, trace=True), f"{graph.name} ({mode})")
