"""Calls of the operators that enter subgraphs: what a subgraph is given is copied in, what it answers is copied out."""

from __future__ import annotations

from collections.abc import Iterable

from mcusim.firmware.steps import StepText
from mcusim.ops.registry import entered_subgraphs
from mcusim.program import Part

__all__ = ["write_if", "write_while"]


def _copies(s: StepText, pairs: Iterable[tuple[str, str, int]]) -> list[str]:
    """pairs: target, source and bytes."""
    return [f"mcu_copy({to}, {source}, {size_bytes}u);" for to, source, size_bytes in pairs]


def _given(s: StepText, part: Part, sources: list[str]) -> list[str]:
    sizes = [s.graph.tensors[tensor].size_bytes for tensor in part.inputs]
    return _copies(s, zip([s.home(tensor) for tensor in part.inputs], sources, sizes, strict=True))


def _answered(s: StepText, part: Part, targets: list[str]) -> list[str]:
    sizes = [s.graph.tensors[tensor].size_bytes for tensor in part.outputs]
    return _copies(s, zip(targets, [s.home(tensor) for tensor in part.outputs], sizes, strict=True))


def _parts(s: StepText) -> list[tuple[Part, str]]:
    """What a step enters, and the calls that run it."""
    numbers = entered_subgraphs(s.step.signature)
    return [(s.program.parts[number], f"{s.part_function(number)}();") for number in numbers]


def _places(s: StepText) -> tuple[list[str], list[str]]:
    inputs = [s.whole(position) for position in range(len(s.step.signature.inputs))]
    return inputs, [s.home(tensor) for tensor in s.graph.nodes[s.step.node].outputs]


def write_if(s: StepText) -> None:
    """The first subgraph where the condition is true, else the second."""
    (condition, *given), outputs = _places(s)
    for head, (part, run) in zip((f"if (*({condition})) {{", "} else {"), _parts(s), strict=True):
        body = [*_given(s, part, given), run, *_answered(s, part, outputs)]
        s.lines += [head, *(f"    {line}" for line in body)]
    s.lines.append("}")


def write_while(s: StepText) -> None:
    """The body as long as the condition answers true."""
    given, outputs = _places(s)
    (condition, asks), (body, runs) = _parts(s)
    sizes = [s.graph.tensors[tensor].size_bytes for tensor in s.graph.nodes[s.step.node].outputs]
    # A WHILE of no rounds answers its inputs.
    s.lines += _copies(s, zip(outputs, given, sizes, strict=True))
    turn = [*_given(s, body, outputs), runs, *_answered(s, body, outputs)]
    s.lines += [*_given(s, condition, outputs), asks]
    s.lines.append(f"while (*({s.home(condition.outputs[0])})) {{")
    s.lines += [f"    {line}" for line in (*turn, *_given(s, condition, outputs), asks)]
    s.lines.append("}")
