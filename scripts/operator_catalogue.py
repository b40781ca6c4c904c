"""Which one-operator networks to try: for each operator its element types, shapes and options.

`catalogue()` yields (operator, network) over everything; `about("ABS")` only one operator's. Types go beyond what a
runtime takes, on purpose: what it refuses is an answer too. An operator is added by a function with `@lists("NAME")`.
"""

from __future__ import annotations

from collections.abc import Iterator

import operators_computing
import operators_custom
import operators_moving
from one_operator import OPERATORS, Network

__all__ = ["OPERATORS", "about", "catalogue"]

LISTED_BY = (operators_computing, operators_moving, operators_custom)


def about(name: str) -> Iterator[Network]:
    """Every network of one operator."""
    yield from OPERATORS[name](name)


def catalogue() -> Iterator[tuple[str, Network]]:
    """Every network of every operator."""
    for name in OPERATORS:
        for network in about(name):
            yield name, network
