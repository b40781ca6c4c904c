"""Names that can be told apart: files called alike are shown with as much of their folder as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

__all__ = ["distinct_names"]


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
    return name if PurePath(source).stem == name and not folders else source
