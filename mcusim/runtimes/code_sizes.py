"""Code that kernels bring into an image, itemised without one: TFLM's operator by operator, TinyEngine's one by one.

Linking an operator links every variant of its kernel, and helpers that operators share are linked once: the code of a
network is the union over its operators, not a sum.

    arm.csv    measured on an image for Arm with CMSIS-NN kernels, for a core with MVE
    dsp.csv    functions that are others on cores without it, compiled for Cortex-M4
    tinyengine.csv   kernels of TinyEngine, compiled for Cortex-M7
    host.csv   measured on an image for x86-64 with reference kernels; scaled by what the operators of both images
               take in the one and in the other (A12)

Source: the head of each table; `scripts/code_table.py` makes such tables from linked images.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from statistics import median
from typing import NamedTuple

from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes.registry import CodeItem

__all__ = ["Kernels", "function_bytes", "host_scale", "linked_operator_names", "network_code"]

INTERPRETER = "*"
ARM_IMAGE, HOST_IMAGE = "an image for Cortex-M55", "an image for x86-64"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CUSTOM = {"CUSTOM:TFLite_Detection_PostProcess": "DETECTION_POSTPROCESS"}


class Kernels(NamedTuple):
    """A build of TFLM. is_reference: without CMSIS-NN.   image_bytes: published code of one with `image_operators`."""

    is_reference: bool
    image_bytes: int
    image_operators: frozenset[str]


class _Row(NamedTuple):
    """function: of CMSIS-NN, or "" for all others that serve the same operators."""

    function: str
    size_bytes: int
    operators: frozenset[str]


def linked_operator_names(graph: Graph) -> frozenset[str]:
    """Operators that a network's resolver must hold, as TFLM's `Register_...` functions name them."""
    return _named(graph.operators)


@lru_cache(1024)
def _named(kinds: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_registered_name, kinds))


def _registered_name(kind: str) -> str:
    """CUSTOM:SignalFilterBankLog -> FILTER_BANK_LOG."""
    if not kind.startswith("CUSTOM:"):
        return kind
    words = _WORDS.findall(kind.removeprefix("CUSTOM:").removeprefix("Signal"))
    return _CUSTOM.get(kind, "_".join(words).upper())


@lru_cache(1024)
def network_code(operators: frozenset[str], kernels: Kernels) -> tuple[CodeItem, ...]:
    """Items that add up to the code of a network: its operators, what they share, interpreter, application."""
    items = _linked(operators, kernels.is_reference)
    published = _linked(kernels.image_operators, kernels.is_reference)
    left = kernels.image_bytes - sum(item.size_bytes or 0 for item in published)
    why = "start-up, drivers, C library: what a published total leaves beside these items"
    return (*items, CodeItem("application", left, Basis.CALIBRATED, why))


@cache
def function_bytes(name: str) -> int | None:
    """Bytes of a function of CMSIS-NN or a kernel of TinyEngine; None where nothing told."""
    sizes = [row.size_bytes for row in (*_arm(), *_table("tinyengine.csv")) if row.function == name]
    return sum(sizes) if sizes else None


@cache
def host_scale() -> float:
    """Bytes for Arm of a byte for x86-64: the median over operators whose kernels are the same in both images."""
    arm, host = _arm(), _table("host.csv")
    same = (_operators(arm) & _operators(host)) - _optimised() - {INTERPRETER}
    return median(_brought(arm, operator) / _brought(host, operator) for operator in same)


def _linked(operators: frozenset[str], is_reference: bool) -> tuple[CodeItem, ...]:
    arm, host = _arm(), _table("host.csv")
    on_arm = operators & _operators(arm) - (_optimised() if is_reference else frozenset())
    on_host = (operators - on_arm) & _operators(host)
    rows = [_Row(r.function, r.size_bytes, r.operators & on_arm) for r in arm if r.operators & on_arm]
    for row in host:
        if row.operators & on_host and not row.operators & on_arm:  # else it is a helper, counted from arm.csv
            rows.append(_Row("", round(row.size_bytes * host_scale()), row.operators & on_host))
    items = [_operator_item(name, rows, name in on_arm) for name in sorted(on_arm | on_host)]
    items.sort(key=lambda item: -(item.size_bytes or 0))
    items += [CodeItem(name, None, Basis.CALIBRATED, "no image told") for name in sorted(operators - on_arm - on_host)]
    shared = sum(row.size_bytes for row in rows if len(row.operators) > 1)
    interpreter = sum(row.size_bytes for row in arm if INTERPRETER in row.operators)
    return (
        *items,
        CodeItem("shared by operators", shared, _basis(not on_host), "helpers that more than one of them needs"),
        CodeItem(
            "interpreter", interpreter, Basis.MEASURED, f"planner, allocator, reader of the file, as in {ARM_IMAGE}"
        ),
    )


def _operator_item(operator: str, rows: Iterable[_Row], is_measured: bool) -> CodeItem:
    own = [row for row in rows if row.operators == {operator}]
    named = {row.function: row.size_bytes for row in own if row.function}
    size_bytes = sum(row.size_bytes for row in own)
    if not is_measured:
        return CodeItem(operator, size_bytes, Basis.CALIBRATED, f"scaled from {HOST_IMAGE}")
    largest = sorted(named, key=lambda name: -named[name])[:2]
    listed = ", ".join(f"{name} {named[name]:,}" for name in largest)
    return CodeItem(operator, size_bytes, Basis.MEASURED, f"as in {ARM_IMAGE}{': ' if listed else ''}{listed}", named)


def _basis(is_measured: bool) -> Basis:
    return Basis.MEASURED if is_measured else Basis.CALIBRATED


@cache
def _optimised() -> frozenset[str]:
    """Operators whose kernels for Arm are CMSIS-NN's: that image does not tell the reference kernels."""
    return frozenset(op for row in _arm() if row.function for op in row.operators)


def _operators(rows: Iterable[_Row]) -> frozenset[str]:
    return frozenset(op for row in rows for op in row.operators)


def _brought(rows: Iterable[_Row], operator: str) -> int:
    return sum(row.size_bytes for row in rows if operator in row.operators)


@cache
def _arm() -> tuple[_Row, ...]:
    """The image for Arm, as it would be for a core with the DSP extension only, where that is known (A13)."""
    others = _table("dsp.csv")
    replaced = {row.function for row in others}
    kept = [row for row in _table("arm.csv") if row.function not in replaced]
    return (*kept, *(row for row in others if row.size_bytes))


@cache
def _table(name: str) -> tuple[_Row, ...]:
    text = resources.files("mcusim.runtimes").joinpath("data", "code_sizes", name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        _Row(row["function"], int(row["bytes"]), frozenset(row["operators"].split())) for row in csv.DictReader(lines)
    )
