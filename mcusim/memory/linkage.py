"""Which operators of TensorFlow Lite Micro brought which functions into a firmware.

Whoever adds an operator to the resolver links its `Register_...` function, and with it all that this one reaches:
every variant of the kernel, whichever a network runs. What the interpreter itself reaches is the runtime's.

    Register_CONV_2D -> Init, Prepare, Eval -> arm_convolve_s8 -> arm_nn_mat_mult_... -> ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["RUNTIME", "Function", "registered", "serving"]

RUNTIME = "*"
"""Stands for the interpreter, which every network needs."""

MOST_OPERATORS = 1000
"""That a firmware registers. TFLM has 130; with more it is something else, and nothing is told of its functions."""

_REGISTER = re.compile(r"^_ZN6tflite.*?\d+Register_(\w+?)Ev(?:\.|$)")
_INTERPRETER = re.compile(
    r"^_ZNK?6tflite(?:5micro)?\d+(?:Micro(?:Interpreter|Allocator|Graph|Context)|GreedyMemoryPl)\w*?\d"
)


class Function(NamedTuple):
    """A linked function. name: its symbol.   reaches: addresses of the functions that it calls or holds."""

    name: str
    size_bytes: int
    reaches: frozenset[int]


def registered(name: str) -> str | None:
    """The operator that the function `name` registers; None if it is none of these."""
    match = _REGISTER.match(name)
    return match[1] if match else None


def serving(functions: Mapping[int, Function]) -> dict[int, frozenset[str]]:
    """For each function, by address, the operators that need it, or {RUNTIME}; without those that serve neither."""
    runtime = _closure(functions, (at for at, function in functions.items() if _INTERPRETER.match(function.name)))
    operators_of: dict[int, set[str]] = {at: {RUNTIME} for at in runtime}
    registering = {at: name for at, function in functions.items() if (name := registered(function.name)) is not None}
    if len(registering) > MOST_OPERATORS:
        return {}
    for at, operator in registering.items():
        # What the interpreter reaches by itself is there without any operator, so no operator is charged for it.
        for reached in _closure(functions, (at,)) - runtime:
            operators_of.setdefault(reached, set()).add(operator)
    return {at: frozenset(operators) for at, operators in operators_of.items()}


def _closure(functions: Mapping[int, Function], roots: Iterable[int]) -> set[int]:
    """All that is linked because of `roots`, themselves included."""
    waiting = list(roots)
    reached = set(waiting)
    while waiting:
        new = functions[waiting.pop()].reaches - reached
        reached |= new
        waiting += new
    return reached
