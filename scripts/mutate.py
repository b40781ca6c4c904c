"""Which faults would the tests notice? Plants one small fault at a time in a file, and runs the file's tests over it.

    .venv/bin/python scripts/mutate.py --sample 150 --seed 0            a seeded sample over all rooms below
    .venv/bin/python scripts/mutate.py --sample 40 mcusim/report.py     of one file or folder

A fault is a changed comparison, an operator, a number off by one, a condition turned round, or a term left out. Each is
tried in a process of its own: a fork of this one, in which everything is loaded already and the functions of the file's
module are given the faulty code. Nothing is written to the tree. The fastest tests run first. Prints a line for each
that survives, then how many of how many were caught. A fault that hangs its tests is caught by the clock.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import gc
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

REPO = Path(__file__).resolve().parents[1]
SECONDS = 400
"""Of a computer that others use too: for all tests without a fault."""
PATIENCE = 4
"""A fault with which the tests take so many times as long loops."""
LONG_SECONDS = 20
"""A test that takes longer than this without a fault is left out."""
QUIETLY = ("-q", "-x", "--quick", "-p", "no:cacheprovider", "--no-header", "-W", "ignore")

TESTS = {
    "mcusim/lowering": (
        *("test_stages.py", "test_schedules.py", "test_addressing.py", "test_overwrites.py", "test_moulds.py"),
        *("test_reorder.py", "test_preparing.py", "test_hidden_memory.py", "test_uncut.py", "test_circular_buffer.py"),
        *("test_variables.py", "test_programs.py", "test_control_flow.py", "test_subgraphs.py", "test_cases.py"),
    ),
    "mcusim/memory": (
        *("test_memory.py", "test_planning.py", "test_banks.py", "test_linked_firmware.py", "test_verdicts.py"),
        *("test_thumb.py", "test_code_sizes.py", "test_sharing.py", "test_accounting.py"),
    ),
    "mcusim/planners": (
        *("test_planners.py", "test_placing.py", "test_planning.py", "test_reorder.py", "test_shared_objects.py"),
    ),
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
    change = changed(site)
    assert change is not None
    what, fault = change
    line = getattr(site, "lineno", 0)
    return ast.fix_missing_locations(_Plant(site, fault).visit(tree)), f"{path}:{line}: {what}"


def faults(where: str) -> list[Fault]:
    """All faults of a file or folder."""
    root = REPO / where
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    each = []
    for path in paths:
        name = str(path.relative_to(REPO))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        each += [Fault(name, number) for number in range(len(dict.fromkeys(sites(tree))))]
    return each


def tests_of(path: str) -> list[str]:
    """The topical tests of a file."""
    room = next(room for room in TESTS if path.startswith(room))
    return [str(REPO / "tests" / name) for name in TESTS[room]]


def install(path: str, tree: ast.Module) -> None:
    """Give the functions of a loaded module the faulty code: every name that was taken from the module sees it."""
    file = str(REPO / path)
    faulty = {(code.co_qualname, code.co_firstlineno): code for code in codes_in(compile(tree, file, "exec"))}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == file:
            code = faulty.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
            if code is not None and code != function.__code__:
                function.__code__ = code


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of a module and of all that is defined in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes_in(inner)


class FastFirst:
    """Runs tests in order of the time that they took without a fault. That is written down in a run of its own."""

    def __init__(self, seconds: dict[str, float] | None, to: int) -> None:
        self.seconds, self.to = seconds, to

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.seconds is not None:
            known = self.seconds
            items[:] = sorted((item for item in items if item.nodeid in known), key=lambda item: known[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.seconds is None and report.when == "call" and report.passed and report.duration < LONG_SECONDS:
            os.write(self.to, f"{report.duration} {report.nodeid}\n".encode())


def outcome(path: str, number: int | None, seconds: dict[str, float] | None = None) -> tuple[bool, dict[str, float]]:
    """Whether a test fails, or the clock ends it, with a fault in the file; with none if there is no number.

    And how long each test took that passed, in a run without `seconds`.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS if seconds is None else min(SECONDS, 30 + int(PATIENCE * sum(seconds.values()))))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            code = 1
            try:
                if number is not None:
                    install(path, planted(path, number)[0])
                code = int(pytest.main([*QUIETLY, *tests_of(path)], plugins=[FastFirst(seconds, writes)]))
            finally:
                os._exit(code)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split(" ", 1) for line in lines]
    _, status = os.waitpid(child, 0)
    return status != 0, {name: float(taken) for taken, name in pairs}


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
    os.chdir(REPO)
    draw, started = random.Random(asked.seed), time.monotonic()
    caught = tried = 0
    for where in asked.where:
        each = faults(where)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            pytest.main([*QUIETLY, "--collect-only", *tests_of(each[0].path)])  # loads tests, and what they import
        is_broken, seconds = outcome(each[0].path, None)
        if is_broken:
            sys.exit(f"{where}: its tests fail, or take more than {SECONDS} s, without a fault too")
        for fault in draw.sample(each, min(-(-asked.sample // len(asked.where)), len(each))):
            was_caught, _ = outcome(fault.path, fault.number, seconds)
            caught, tried = caught + was_caught, tried + 1
            if not was_caught:
                print(f"survives: {planted(fault.path, fault.number)[1]}", flush=True)
            print(f"{tried} tried, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        print(f"{caught} of {tried} faults were caught up to {where}", flush=True)


if __name__ == "__main__":
    main()
