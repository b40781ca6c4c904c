"""Which faults would the tests notice? Plants one small fault at a time in a file, and runs the file's tests over it.

    .venv/bin/python scripts/mutate.py --sample 150 --seed 0            a seeded sample over all rooms below
    .venv/bin/python scripts/mutate.py --sample 40 mcusim/report.py     of one file or folder

A fault is a changed comparison, an operator, a number off by one, a condition turned round, or a term left out. Each is
tried in a process of its own: a fork of this one, in which everything is loaded already and the file's module is
executed again from the changed source. Nothing is written to the tree. Prints a line for each that survives, then
how many of how many were caught. A fault that hangs its tests is caught by the clock.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

import numpy
import pytest

LOADED = numpy, pytest
"""What no fault is planted in is loaded once, before the forks."""
REPO = Path(__file__).resolve().parents[1]
SECONDS = 240
"""Of a computer that others use too. A fault that takes longer than this loops."""

TESTS = {
    "mcusim/lowering": ("test_stages.py", "test_schedules.py", "test_addressing.py", "test_overwrites.py"),
    "mcusim/memory": ("test_memory.py", "test_planning.py", "test_banks.py", "test_images.py", "test_verdicts.py"),
    "mcusim/planners": ("test_planners.py", "test_planning.py", "test_reorder.py"),
    "mcusim/pricing": ("test_pricing.py", "test_evidence.py", "test_layer_logs.py"),
    "mcusim/report.py": ("test_report.py", "test_render.py", "test_json_documents.py"),
}
"""Room -> its topical tests, run with --quick."""

COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult}


class Fault(NamedTuple):
    """path: of the file, from the repository.   number: of the fault in it."""

    path: str
    number: int


def changed(node: ast.AST) -> tuple[str, ast.AST] | None:
    """What may go wrong at a node, and the node with that fault."""
    fault = copy.deepcopy(node)
    match fault:
        case ast.Compare(ops=[op, *_]) if type(op) in COMPARISONS:
            fault.ops[0] = COMPARISONS[type(op)]()
        case ast.BinOp(op=op, left=left) if type(op) in OPERATORS and not isinstance(left, ast.JoinedStr):
            fault.op = OPERATORS[type(op)]()
        case ast.BoolOp(op=op):
            fault.op = ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            fault.value = value + 1
        case ast.If(test=test) | ast.IfExp(test=test):
            fault.test = ast.UnaryOp(ast.Not(), test)
        case ast.AugAssign(op=ast.Add()):
            fault = ast.Pass()
        case _:
            return None
    shown = ast.unparse(node).splitlines()[0], ast.unparse(fault).splitlines()[0]
    return f"{shown[0]:.60}  ->  {shown[1]:.60}", ast.copy_location(fault, node)


def sites(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes inside functions where a fault can be planted; annotations are no code."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                for node in ast.walk(statement):
                    if not isinstance(node, ast.FunctionDef) and changed(node) is not None:
                        yield node


class _Plant(ast.NodeTransformer):
    def __init__(self, at: ast.AST, fault: ast.AST) -> None:
        self.at, self.fault = at, fault

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return self.fault if node is self.at else super().generic_visit(node)


def planted(path: str, number: int) -> tuple[ast.Module, str]:
    """A file's tree with one fault, and what it is."""
    tree = ast.parse((REPO / path).read_text(encoding="utf-8"))
    site = list(dict.fromkeys(sites(tree)))[number]
    found = changed(site)
    assert found is not None
    what, fault = found
    line = getattr(site, "lineno", 0)
    return ast.fix_missing_locations(_Plant(site, fault).visit(tree)), f"{path}:{line}: {what}"


def faults(where: str) -> list[Fault]:
    """All faults of a file or folder."""
    root = REPO / where
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    found = []
    for path in paths:
        name = str(path.relative_to(REPO))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [Fault(name, number) for number in range(len(dict.fromkeys(sites(tree))))]
    return found


def tests_of(path: str) -> list[str]:
    """The topical tests of a file."""
    room = next(room for room in TESTS if path.startswith(room))
    return [str(REPO / "tests" / name) for name in TESTS[room]]


def install(path: str, tree: ast.Module) -> None:
    """Execute the file's module again, from the faulty tree, before anything has taken names from it."""
    name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    source = ast.unparse(tree)

    class Loader(importlib.abc.SourceLoader):
        def get_filename(self, fullname: str) -> str:
            return str(REPO / path)

        def get_data(self, path: str | bytes) -> bytes:
            return source.encode()

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname: str, path_: object, target: object = None) -> ModuleSpec | None:
            if fullname != name:
                return None
            folder = [str((REPO / path).parent)] if path.endswith("__init__.py") else None
            return importlib.util.spec_from_file_location(
                fullname, REPO / path, loader=Loader(), submodule_search_locations=folder
            )

    sys.meta_path.insert(0, Finder())
    sys.dont_write_bytecode = True


def fails(path: str, number: int | None) -> bool:
    """Whether a test fails, or the clock ends it, with a fault in the file; with none if there is no number."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            code = 1
            try:
                if number is not None:
                    install(path, planted(path, number)[0])
                quietly = ["-q", "-x", "--quick", "-p", "no:cacheprovider", "--no-header"]
                code = int(pytest.main([*quietly, *tests_of(path)]))
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)
    return status != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("where", nargs="*", default=list(TESTS), help="files or folders; all rooms if left out")
    parser.add_argument("--sample", type=int, default=150, help="so many faults, spread evenly over the rooms")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for where in asked.where:
        if not (REPO / where).exists() or not where.startswith(tuple(TESTS)):
            parser.error(f"{where} is no file or folder in {', '.join(TESTS)}")
    os.environ.setdefault("MCUSIM_CORPUS", "")
    draw = random.Random(asked.seed)
    chosen: list[Fault] = []
    for where in asked.where:
        each = faults(where)
        if fails(each[0].path, None):
            sys.exit(f"{where}: its tests fail, or take more than {SECONDS} s, without a fault too")
        chosen += draw.sample(each, min(-(-asked.sample // len(asked.where)), len(each)))
    caught, started = 0, time.monotonic()
    for done, fault in enumerate(chosen, start=1):
        was_caught = fails(fault.path, fault.number)
        caught += was_caught
        if not was_caught:
            print(f"survives: {planted(fault.path, fault.number)[1]}", flush=True)
        print(f"{done} of {len(chosen)}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{caught} of {len(chosen)} faults were caught")


if __name__ == "__main__":
    main()
