"""Which faults would the tests notice? Plants one small fault at a time in a file, and runs the file's tests over it.

    .venv/bin/python scripts/mutate.py --sample 150 --seed 0            a seeded sample over all rooms below
    .venv/bin/python scripts/mutate.py --sample 40 mcusim/report.py     of one file or folder

A fault is a changed comparison, an operator, a number off by one, a condition turned round, or a term left out. Each is
tried in a process of its own: a fork of this one, in which everything is loaded already and the functions of the file's
module are given the faulty code. Nothing is written to the tree. A run without a fault notes the statements that each
test reaches: tests that reach the fault run first, the fastest of them before others, then the rest of their files, as
a test may use what another one left in a cache. Prints a line for each fault that survives, then how many of how many
were caught. A fault that hangs its tests is caught by the clock.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import gc
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

REPO = Path(__file__).resolve().parents[1]
SECONDS = 400
"""Of the processor, for all tests without a fault."""
WAITING = 5
"""A test may wait so many times as long as it may compute: others use the computer too."""
PATIENCE = 4
"""A fault with which the tests take so many times as long loops."""
LONG_SECONDS = 20
"""A test that takes longer than this without a fault is left out."""
QUIETLY = ("-q", "--few", "-p", "no:cacheprovider", "--no-header", "-W", "ignore")

TESTS = {
    "mcusim/lowering": (
        *("test_stages.py", "test_schedules.py", "test_addressing.py", "test_overwrites.py", "test_moulds.py"),
        *("test_reorder.py", "test_preparing.py", "test_hidden_memory.py", "test_uncut.py", "test_circular_buffer.py"),
        *("test_variables.py", "test_programs.py", "test_control_flow.py", "test_subgraphs.py", "test_cases.py"),
    ),
    "mcusim/memory": (
        *("test_memory.py", "test_planning.py", "test_banks.py", "test_linked_firmware.py", "test_verdicts.py"),
        *("test_thumb.py", "test_code_sizes.py", "test_sharing.py", "test_accounting.py", "test_plan_cli.py"),
        *("test_without_steps.py", "test_offline_plans.py"),
    ),
    "mcusim/planners": (
        *("test_planners.py", "test_placing.py", "test_planning.py", "test_reorder.py", "test_shared_objects.py"),
        *("test_crowds.py", "test_memory.py"),
    ),
    "mcusim/pricing": (
        *("test_pricing.py", "test_regression.py", "test_own_times.py", "test_pricing_validation.py"),
        *("test_evidence.py", "test_layer_logs.py", "test_emulated.py", "test_trace.py"),
        "test_stages.py",
    ),
    "mcusim/report.py": ("test_report.py", "test_render.py", "test_json_documents.py"),
}
"""Room -> its topical tests, run with --few."""

COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult}


Statement = tuple[str, int]
"""Path of a file, from the repository, and the line on which a statement of it begins."""


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
    in_file = []
    for path in paths:
        name = str(path.relative_to(REPO))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        in_file += [Fault(name, number) for number in range(len(dict.fromkeys(sites(tree))))]
    return in_file


def tests_of(path: str) -> list[str]:
    """The topical tests of a file."""
    room = next(room for room in TESTS if path.startswith(room))
    return [str(REPO / "tests" / name) for name in TESTS[room]]


def install(path: str, tree: ast.Module) -> None:
    """Give the functions of a loaded module the faulty code: every name that was taken from the module sees it."""
    file = str(REPO / path)
    faulty: dict[tuple[str, int], CodeType | None] = {}
    for code in codes_in(compile(tree, file, "exec")):
        key = code.co_qualname, code.co_firstlineno
        faulty[key] = None if key in faulty else code  # two lambdas of one line cannot be told apart
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == file:
            new = faulty.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
            if new is not None and new != function.__code__:
                function.__code__ = new


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of a module and of all that is defined in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes_in(inner)


class _Watched(ast.NodeTransformer):
    """Says of each statement inside a function, before it runs, that it was reached."""

    def __init__(self, path: str) -> None:
        self.path, self.depth = path, 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.depth += 1
        watched = self.generic_visit(node)
        self.depth -= 1
        return watched

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        for name in ("body", "orelse", "finalbody") if self.depth else ():
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [each for statement in statements for each in (self._said(statement), statement)])
        return node

    def _said(self, statement: ast.AST) -> ast.AST:
        line = getattr(statement, "lineno", 0)
        return ast.copy_location(
            ast.parse(f"__import__('sys')._reached.add(({self.path!r}, {line}))").body[0], statement
        )


def watch(paths: set[str]) -> set[Statement]:
    """Statements of loaded modules that have run since, of those inside functions."""
    reached: set[Statement] = set()
    vars(sys)["_reached"] = reached
    for path in paths:
        tree = ast.parse((REPO / path).read_text(encoding="utf-8"))
        install(path, ast.fix_missing_locations(_Watched(path).visit(tree)))
    return reached


class _Noting:
    """Writes down how long each test took and what it reached, in a run without a fault."""

    def __init__(self, reached: set[Statement], to: int) -> None:
        self.reached, self.to = reached, to

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and report.duration < LONG_SECONDS:
            noted = {"name": report.nodeid, "seconds": report.duration, "reached": sorted(self.reached)}
            os.write(self.to, (json.dumps(noted) + "\n").encode())
        if report.when == "teardown":
            self.reached.clear()


class _Ordered:
    """Runs some tests in an order of their own."""

    def __init__(self, names: Sequence[str]) -> None:
        self.places = {name: place for place, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self.places]
        items[:] = sorted(chosen, key=lambda item: self.places[item.nodeid])


class Test(NamedTuple):
    """seconds: that it took without a fault.   reached: statements that ran in it."""

    name: str
    seconds: float
    reached: frozenset[Statement]


def chosen(fault: Fault, tests: Sequence[Test]) -> list[Test]:
    """The tests that a fault can fail, in the order in which to run them."""
    tree = ast.parse((REPO / fault.path).read_text(encoding="utf-8"))
    site = list(dict.fromkeys(sites(tree)))[fault.number]
    inside = [
        node for node in ast.walk(tree) if isinstance(node, ast.stmt) and any(at is site for at in ast.walk(node))
    ]
    at = (fault.path, inside[-1].lineno)  # the innermost: `walk` goes from the outside in
    files = {test.name.split("::")[0] for test in tests if at in test.reached}
    near = [test for test in tests if test.name.split("::")[0] in files]
    return sorted(near, key=lambda test: (at not in test.reached, test.seconds))


def in_child(
    path: str, seconds: float, options: Sequence[str], prepare: Callable[[int], object]
) -> tuple[int, list[str]]:
    """Status of a fork that runs the tests of a file, and the lines that it wrote.

    prepare: what to do before that -> a plugin of pytest; is given where to write.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
        signal.alarm(WAITING * int(seconds))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            code = 1
            try:
                code = int(pytest.main([*QUIETLY, *options, *tests_of(path)], plugins=[prepare(writes)]))
            finally:
                os._exit(code)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as stream:
        lines = list(stream)
    return os.waitpid(child, 0)[1], lines


def without_fault(each: Sequence[Fault]) -> list[Test] | None:
    """The topical tests of a room and what they reach; None if one fails."""
    paths = {fault.path for fault in each}
    status, lines = in_child(each[0].path, SECONDS, (), lambda to: _Noting(watch(paths), to))
    if status:
        return None
    noted = [json.loads(line) for line in lines]
    return [Test(one["name"], one["seconds"], frozenset(map(tuple, one["reached"]))) for one in noted]


def is_caught(fault: Fault, tests: Sequence[Test]) -> bool:
    """Whether a test fails with a fault, or the clock ends it."""
    run = chosen(fault, tests)
    if not run:
        return False

    def plant(_: int) -> _Ordered:
        install(fault.path, planted(fault.path, fault.number)[0])
        return _Ordered([test.name for test in run])

    seconds = min(SECONDS, 30 + PATIENCE * sum(test.seconds for test in run))
    return in_child(fault.path, seconds, ("-x",), plant)[0] != 0


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
        drawn_from = faults(where)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            pytest.main(
                [*QUIETLY, "--collect-only", *tests_of(drawn_from[0].path)]
            )  # loads tests, and what they import
        tests = without_fault(drawn_from)
        if tests is None:
            sys.exit(f"{where}: its tests fail, or take more than {SECONDS} s, without a fault too")
        for fault in draw.sample(drawn_from, min(-(-asked.sample // len(asked.where)), len(drawn_from))):
            was_caught = is_caught(fault, tests)
            caught, tried = caught + was_caught, tried + 1
            if not was_caught:
                print(f"survives: {planted(fault.path, fault.number)[1]}", flush=True)
            print(f"{tried} tried, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        print(f"{caught} of {tried} faults were caught up to {where}", flush=True)


if __name__ == "__main__":
    main()
