"""Structured mutations of JSON, TOML and CSV documents: values, keys and rows that nobody foresaw, never raw bytes."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["as_toml", "mutated_rows", "mutated_tree"]

Random = np.random.Generator
Tree = Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, -0.0, 1e300, math.inf, math.nan, 2**31, 2**63, 2**64, -(2**63), 10**30,
    "", " ", "0", "-1", "1e999", "nan", "x" * 5000, "=1+1", "@SUM(A1)", "\x1b[31mred", "$\\frac$",
    "../../etc", "/dev/null",    "\u202e", "a\nb", "\x00", "12KiB", "-5KiB", "1e400MHz", [], [[]], [None], {}, {"": {}},
    [0] * 300, {"a": [1, {"b": 2}]},
)  # fmt: skip
CELLS = (
    "",
    " ",
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "1" * 400,
    "=1+1",
    "x" * 200_000,
    "\x1b[31m",
    '"',
    "\u202e",
    "a,b",
    "\x00",
)


def mutated_tree(tree: Tree, rng: Random) -> Tree:
    """A copy with one to three changes."""
    changed = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            return VALUES[int(rng.integers(len(VALUES)))]
        holder, key = places[int(rng.integers(len(places)))]
        way = int(rng.integers(5))
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, dict):
            holder[("surplus", "", key + "x")[int(rng.integers(3))]] = _value(rng)
        elif way == 1:
            holder.append(copy.deepcopy(holder[key]))
        elif way == 2 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            number = holder[key]
            near = (number + 1, -number, number * 10**6, number / 3, str(number), number * 10**40)
            holder[key] = near[int(rng.integers(len(near)))]
        else:
            holder[key] = _value(rng)
    return changed


def _value(rng: Random) -> Any:
    return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def _places(tree: Tree) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


def mutated_rows(text: str, rng: Random) -> str:
    """A CSV text with one to three changes: cells, rows, columns."""
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))]
        at = int(rng.integers(len(row))) if row else 0
        way = int(rng.integers(5))
        if way == 0 and row:
            row.pop(at)
        elif way == 1:
            row.insert(at, CELLS[int(rng.integers(len(CELLS)))])
        elif way == 2:
            rows.insert(int(rng.integers(len(rows) + 1)), list(row))
        elif way == 3 and len(rows) > 1:
            rows.remove(row)
        elif row:
            row[at] = CELLS[int(rng.integers(len(CELLS)))]
    return "\n".join(",".join(row) for row in rows)


def as_toml(tree: Tree) -> str:
    """TOML, of inline tables, that reads as the tree; what TOML lacks (null) becomes a string."""
    items = tree.items() if isinstance(tree, dict) else [("value", tree)]
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in items)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    if value is None or isinstance(value, str):
        return json.dumps(value or "").replace("\x7f", "\\u007f")
    return json.dumps(value)
