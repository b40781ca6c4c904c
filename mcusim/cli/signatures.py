"""A command as far as its help goes: its options and its words, without what answers it.

A command's module imports at its top all that the command works with, and half a second of that is of no use to
`mcusim fit --help`. So help takes from the module's source what the function's head names, and leaves out the rest:

    from mcusim.advising.remedies import remedies      left out: only the body calls it
    from mcusim.cli.options import JSON, bytes_option  JSON only
    def fit(model: ..., json: Annotated[str | None, JSON] = None) -> None:
        \"\"\"What to do when a network does not fit ...\"\"\"
        diagnosis = remedies(...)                      `return UNANSWERED`

`tests/test_cli.py` holds every command's help against that of its whole module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.abc import InspectLoader
from importlib.util import find_spec
from typing import Any

__all__ = ["UNANSWERED", "signature_of"]

UNANSWERED = object()
"""What a command returns that was asked for more than its help."""


def signature_of(module: str, attribute: str) -> Any:
    """The function or the Typer app called `attribute` of a module, with bodies that answer nothing.

    None where the module's source is not at hand.
    """
    spec = find_spec(module)
    loader = spec.loader if spec is not None else None
    source = loader.get_source(module) if isinstance(loader, InspectLoader) else None
    if source is None:
        return None
    shown = _shown(ast.parse(source), attribute)
    namespace: dict[str, Any] = {"__name__": module, "UNANSWERED": UNANSWERED}
    exec(compile(ast.Module(shown, []), f"<help of {module}>", "exec"), namespace)
    return namespace[attribute]


def _shown(tree: ast.Module, attribute: str) -> list[ast.stmt]:
    """The statements that the help needs, in their order; commands without their bodies."""
    whole = [_without_body(statement) if _is_command(statement, attribute) else statement for statement in tree.body]
    commands = [statement for statement in whole if _is_command(statement, attribute)]
    wanted = {attribute}.union(*map(_names_in, commands))
    binding = [(statement, set(_bound(statement))) for statement in whole]
    while True:
        needed = [statement for statement, bound in binding if bound & wanted and not isinstance(statement, _IMPORTS)]
        grown = wanted.union(*map(_names_in, needed))
        if grown == wanted:
            break
        wanted = grown
    kept = [_only(statement, wanted) for statement, bound in binding if bound & wanted or statement in commands]
    return [*ast.parse("from __future__ import annotations").body, *kept]


_IMPORTS = (ast.Import, ast.ImportFrom)


def _is_command(statement: ast.stmt, attribute: str) -> bool:
    """Whether Typer makes a command of it: the function itself, or one that is handed to an app by a decorator."""
    return isinstance(statement, ast.FunctionDef) and (
        statement.name == attribute
        or any(isinstance(each, ast.Call) and attribute in _names_in(each.func) for each in statement.decorator_list)
    )


def _without_body(statement: ast.stmt) -> ast.stmt:
    assert isinstance(statement, ast.FunctionDef)
    words = [line for line in statement.body[:1] if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)]
    statement.body = [*words, *ast.parse("return UNANSWERED").body]
    return ast.fix_missing_locations(statement)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of the top level binds. What only type checkers import binds none."""
    if isinstance(statement, _IMPORTS):
        yield from map(_name_of, statement.names)
    elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets: Iterable[ast.expr] = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _name_of(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _only(statement: ast.stmt, wanted: set[str]) -> ast.stmt:
    """An import of the wanted names only; any other statement as it is."""
    if isinstance(statement, _IMPORTS):
        statement.names = [alias for alias in statement.names if _name_of(alias) in wanted]
    return statement
