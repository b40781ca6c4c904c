"""What things are called wherever they are shown: kinds of buffers, and files of one name, told apart by folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from mcusim.memory.planning import PERSISTENT, Tenant
from mcusim.program import BufferKind

__all__ = ["KIND_WORDS", "distinct_names", "kind_words"]

KIND_WORDS = {
    BufferKind.INPUT: "input",
    BufferKind.OUTPUT: "output",
    BufferKind.ACTIVATION: "activation",
    BufferKind.SCRATCH: "scratch",
    BufferKind.HELD: "scratch beside the arena",
    BufferKind.VARIABLE: "kept between calls",
    BufferKind.PERSISTENT: "persistent",
}
"""What a buffer is for, in tables and pictures."""


def kind_words(tenant: Tenant) -> str:
    """What a tenant of the plan is for."""
    is_tail = tenant.name == PERSISTENT and tenant.index < 0
    return KIND_WORDS[BufferKind.PERSISTENT if is_tail else tenant.kind]


def distinct_names(named: Sequence[tuple[str, str]]) -> list[str]:
    """A name each: as it is where no other file has it, else after its last folders.

    named: the name and the source (a file's path) of each; equal pairs are one thing.

    >>> distinct_names([("m", "a/m.tflite"), ("m", "b/m.tflite"), ("n", "a/n.tflite"), ("m", "a/m.tflite")])
    ['a/m', 'b/m', 'n', 'a/m']
    """
    return [_distinct(name, source, {other for called, other in named if called == name}) for name, source in named]


def _distinct(name: str, source: str, sources: set[str]) -> str:
    if len(sources) == 1:
        return name
    folders = PurePath(source).parts[:-1]
    for count in range(1, len(folders) + 1):
        if sum(PurePath(other).parts[:-1][-count:] == folders[-count:] for other in sources) == 1:
            return "/".join([*folders[-count:], name]).replace("//", "/")
    return name
