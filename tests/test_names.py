"""A local variable is named for what it holds: `allocation`, `sentence`, `outputs`; no word that suits everything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from commands import REPO

EMPTY = ("found", "told", "thing", "things", "stuff", "res", "tmp", "foo")
BOUND = re.compile(rf"\b({'|'.join(EMPTY)})\b(\)| in | as |[:,]| *=[^=])")
"""What may bind such a name; the files in which it occurs are parsed."""


def empty_names(source: str) -> Iterator[str]:
    """Variables and parameters of functions that are called so; fields of a document are named by its schema."""
    tree = ast.parse(source)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)):
        for node in ast.walk(function):
            if isinstance(node, ast.arg) and node.arg in EMPTY:
                yield f"{node.lineno}: {node.arg}"
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in EMPTY:
                yield f"{node.lineno}: {node.id}"


def test_no_local_is_named_by_an_empty_word() -> None:
    sources = (path for room in ("mcusim", "scripts", "tests") for path in sorted((REPO / room).rglob("*.py")))
    wrong = [
        f"{path.relative_to(REPO)}:{name}"
        for path in sources
        if "vendored" not in path.parts and BOUND.search(text := path.read_text(encoding="utf-8"))
        for name in empty_names(text)
    ]
    assert not wrong, "name these for what they hold"


def test_the_test_sees_them() -> None:
    source = "def f(told):\n    for found in told:\n        pass\n    with x as res:\n        pass\n"
    assert BOUND.search(source)
    assert [*empty_names(source)] == ["1: told", "2: found", "4: res"]
