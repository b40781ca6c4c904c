"""Errors that a user can cause. Each says where, what and how to fix it.

    McusimError            base: catch this one
    |- ModelError          a model file or graph is malformed, unsupported or unknown
    |- ProfileError        a board profile is wrong or unknown
    |- RuntimeNameError    a runtime or convention is unknown
    |- ScheduleError       a schedule is malformed or does not fit the network
    |- PlanError           buffers overlap, or do not fit
    |- InputError          an input array or an option has the wrong shape, type or value
    |- MemoryLimitError    it would take more memory of the host than is allowed
    `- OutputError         a result cannot be written where it should go

The command line catches `McusimError` once, prints one sentence and exits with code 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "InputError",
    "McusimError",
    "MemoryLimitError",
    "ModelError",
    "OutputError",
    "PlanError",
    "ProfileError",
    "RuntimeNameError",
    "ScheduleError",
    "did_you_mean",
]


class McusimError(Exception):
    """Base of every error a user can cause: says where, what, and how to fix it."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        self.what, self.where = _printable(_LONG_WORD.sub(r"\1...\2", what), WHAT_MOST), _printable(where, WHERE_MOST)
        self.fix = _printable(fix, WHAT_MOST)
        super().__init__(f"{self.where}: {self.what}\n  fix: {self.fix}")

    def reword(self, worded: Callable[[str], str]) -> None:
        """Say the same in other words: of the shell, or of Python."""
        self.what, self.where, self.fix = worded(self.what), worded(self.where), worded(self.fix)
        self.args = (f"{self.where}: {self.what}\n  fix: {self.fix}",)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, and worker processes pickle errors.
        return (_rebuild, (type(self), self.what, self.where, self.fix))


WHAT_MOST, WHERE_MOST = 1000, 500
"""Characters of a sentence. Names in a file, and arguments, may be as long as they like."""
_LONG_WORD = re.compile(r"(?<!\S)(\S{60})\S{41,}(\S{60})(?!\S)")
"""A word above 160 characters: the names of layers that some converters give are whole paths, several times over."""


def _printable(text: str, most: int) -> str:
    """Safe to print: no control characters, and the middle left out where it is too long."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def _rebuild(kind: type[McusimError], what: str, where: str, fix: str) -> McusimError:
    return kind(what, where=where, fix=fix)


class ModelError(McusimError):
    """A model file or graph is malformed, unsupported or unknown."""


class ProfileError(McusimError):
    """A board profile is wrong or unknown."""


class RuntimeNameError(McusimError):
    """A runtime or a counting convention is unknown."""


class ScheduleError(McusimError):
    """A schedule is malformed or does not fit the network."""


class PlanError(McusimError):
    """Buffers overlap, or do not fit."""


class InputError(McusimError):
    """An input array or an option has the wrong shape, type or value."""


class MemoryLimitError(McusimError):
    """It would take more memory of the host than is allowed."""


class OutputError(McusimError):
    """A result cannot be written where it should go."""


def did_you_mean(name: str, known: Iterable[str], *, listed_by: str) -> str:
    """A `fix` sentence for an unknown name: the nearest known names, or the command that lists them all."""
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}? (`{listed_by}` lists them all)"
    return f"`{listed_by}` lists the known names"


def key_fix(message: str, keys: Mapping[str, Iterable[str]], *, listed_by: str) -> str:
    """A `fix` sentence for what msgspec says of a document: the nearest key, where the message is about an unknown one.

    keys: of each kind of table, by how its path begins (`$.budgets`); those of the document itself by `$`.
    """
    name = message.partition("unknown field `")[2].partition("`")[0]
    place = message.partition(" - at `")[2].rstrip("`") or "$"
    known = list(keys[max([start for start in keys if place.startswith(start)], key=len)])
    near = did_you_mean(name, known, listed_by=listed_by) if name else ""
    return near if near.startswith("did") else f"its keys are {', '.join(known)}, as {listed_by} shows"
