"""Imports point down only: each room (a package or file of the top level) stands on a floor of its own.

One room a floor makes circles between rooms impossible. Circles between files are looked for. Imports for type checkers
count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mcusim"

FLOORS = (
    # nouns that everything stands on
    "version",
    "errors",
    "boundary",
    "limits",
    "files",
    "units",
    "columns",
    "region",
    "source",
    "graph",
    "schedule",
    "report",
    "program",
    # integers, boards, operators, networks
    "arithmetic",
    "boards",
    "ops",
    "planners",
    "frontends",
    "zoo",
    # Graph -> Program, under a runtime's rules; what it takes and what it costs
    "lowering",
    "firmware",
    "runtimes",
    "conventions",
    "pricing",
    "memory",
    "question",
    # answers
    "execution",
    "evaluating",
    "searching",
    "simulation",
    "precision",
    "published",
    "designing",
    "advising",
    "sweeping",
    "gating",
    # what people see
    "render",
    "cli",
    "__init__",
    "__main__",
)
"""The rooms of mcusim from the ground up. A room imports from itself and from those above it in this list."""
FLOOR_OF = {name: floor for floor, name in enumerate(FLOORS)}

MAY_SHOW = ("cli", "render", "__main__")  # print, exit, and import what draws
MAY_FILL_TEMPLATES = ("firmware",)  # C is text too
SHOWING = {"click", "jinja2", "matplotlib", "rich", "typer"}
MAY_COMPILE = ("ops.kernels",)  # import numba
COMPILING = {"llvmlite", "numba"}
MAY_IMPORT_LATE = ("cli", "__init__", "__main__")  # own modules inside functions: what only a rare option wants
LOADS_KERNELS = ("execution", "searching.within")  # import ops.kernels late: one analytic run compiles nothing


class Import(NamedTuple):
    """`name` is dotted; mcusim's own modules without the leading `mcusim.`, and `__init__` for the facade."""

    name: str
    own: bool
    late: bool
    line: int


def modules() -> dict[str, Path]:
    """Dotted name below mcusim to file; a package goes by its own name, the facade by `__init__`."""
    paths = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        paths[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = modules()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def inside_functions(node: ast.AST, is_inside: bool = False) -> Iterator[ast.AST]:
    """Every node that lies in a function."""
    for inner in ast.iter_child_nodes(node):
        if is_inside:
            yield inner
        is_function = isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from inside_functions(inner, is_inside or is_function)


def imports(module: str) -> Iterator[Import]:
    tree = parsed(MODULES[module])
    late = {id(inner) for inner in inside_functions(tree)}
    package = ["mcusim", *module.split(".")] if module != "__init__" else ["mcusim"]
    if MODULES[module].name != "__init__.py":
        package.pop()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [
                f"{origin}.{alias.name}" for alias in node.names if origin != "mcusim" or alias.name != "__version__"
            ]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            yield Import(_own(rest) if top == "mcusim" else name, top == "mcusim", id(node) in late, node.lineno)


def _own(name: str) -> str:
    """The module that `name`, below mcusim, is or lies in."""
    first = name.split(".")[0]
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or (first if first in FLOOR_OF else "__init__")


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def faults(module: str) -> Iterator[str]:
    floor = FLOOR_OF[module.split(".")[0]]
    for name, own, late, line in imports(module):
        at = f"{MODULES[module]}:{line}: imports {name}"
        kernels = own and within(name, ("ops.kernels",))
        if own and FLOOR_OF.get(name.split(".")[0], 0) > floor:
            yield f"{at}, which is on a higher floor"
        if own and late and not within(module, MAY_IMPORT_LATE) and not (kernels and within(module, LOADS_KERNELS)):
            yield f"{at} inside a function: import it at the top, or move what is shared to a lower floor"
        if kernels and not late and not within(module, MAY_COMPILE):
            yield f"{at} at the top: numba is loaded at first execution only"
        if not own and name.split(".")[0] in COMPILING and not within(module, MAY_COMPILE):
            yield f"{at}: only {MAY_COMPILE} do"
        if name.split(".")[0] == "jinja2" and within(module, MAY_FILL_TEMPLATES):
            continue
        if not own and name.split(".")[0] in SHOWING and not within(module, MAY_SHOW):
            yield f"{at}: only {MAY_SHOW} do"
    if not within(module, MAY_SHOW):
        for node in ast.walk(parsed(MODULES[module])):
            used = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if used in {"print", "input", "exit", "quit", "sys.exit", "os._exit", "SystemExit"}:
                yield f"{MODULES[module]}:{node.lineno}: calls {used}(); only {MAY_SHOW} do"


def test_the_table_of_rooms_has_each() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Rooms")[2].partition("Where does")[0]
    rooms = [room for room in FLOORS if not room.startswith("__")]
    assert [room for room in rooms if f"`{room}/`" not in table and f"`{room}.py`" not in table] == []


@pytest.mark.parametrize("room", sorted({module.split(".")[0] for module in MODULES}))
def test_imports_point_down(room: str) -> None:
    assert room in FLOOR_OF, f"mcusim/{room} stands on no floor: give it one in FLOORS of {Path(__file__).name}"
    assert not [fault for module in MODULES if module.split(".")[0] == room for fault in faults(module)]


def file_imports() -> dict[str, set[str]]:
    """Module -> the modules that it imports. A package that merely collects names of its own files is no circle."""
    return {
        module: {name for name, own, _, _ in imports(module) if own and name != module and name in MODULES}
        for module in MODULES
    }


def test_no_circle_of_files() -> None:
    TopologicalSorter(file_imports()).prepare()  # CycleError names the circle


def test_every_floor_is_lived_on() -> None:
    assert set(FLOORS) == {module.split(".")[0] for module in MODULES}


def test_the_test_sees_a_circle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, other in (("graph", "region"), ("region", "graph")):
        (tmp_path / f"{name}.py").write_text(f"if TYPE_CHECKING:\n    from mcusim.{other} import x\n")
        monkeypatch.setitem(MODULES, name, tmp_path / f"{name}.py")
    with pytest.raises(CycleError):
        TopologicalSorter(file_imports()).prepare()


def test_the_test_sees_faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = """
import numba
from . import simulation
from .cli import main
import mcusim.ops.kernels.conv
from mcusim import __version__, units
def f():
    from mcusim.units import y
    print(y)
"""
    for name in ("graph", "simulation", "units", "cli", "ops.kernels.conv"):
        (tmp_path / f"{name}.py").write_text(source if name == "graph" else "")
        monkeypatch.setitem(MODULES, name, tmp_path / f"{name}.py")
    seen = [fault.split(":", 1)[1] for fault in faults("graph")]
    assert seen == [
        "2: imports numba: only ('ops.kernels',) do",
        "3: imports simulation, which is on a higher floor",
        "4: imports cli, which is on a higher floor",
        "5: imports ops.kernels.conv, which is on a higher floor",
        "5: imports ops.kernels.conv at the top: numba is loaded at first execution only",
        "8: imports units inside a function: import it at the top, or move what is shared to a lower floor",
        "9: calls print(); only ('cli', 'render', '__main__') do",
    ]
