"""What a search has evaluated so far, on disk: a line a network, so that a search that was stopped goes on.

Optimisers are deterministic: asked again from the start with the same seed they ask for the same networks, and what
the journal knows needs no evaluation. A last line that was cut off is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO

import msgspec

from mcusim.designing.optimising.candidates import Candidate, Known
from mcusim.errors import InputError, OutputError
from mcusim.files import NOT_PARSED, content_of, exists, is_file, not_written

__all__ = ["Journal"]

_KIND = "mcusim search journal"


class _Entry(msgspec.Struct, frozen=True):
    """A line."""

    picks: dict[str, int]
    excess: float
    score: float | None


class Journal:
    """A context that appends to a file. asked: all that decides what networks are asked for, and what they score."""

    def __init__(self, path: str, asked: Mapping[str, Any]) -> None:
        self.path, self._asked = Path(path), {"kind": _KIND, **asked}
        self.known: Known = {}
        self._file: TextIO | None = None

    def __enter__(self) -> Journal:
        try:
            whole = self._read() if exists(self.path) else 0
            if whole:
                with self.path.open("r+b") as file:
                    file.truncate(whole)
            self._file = self.path.open("a", encoding="utf-8")
            if not whole:
                self._line(self._asked)
        except (OSError, ValueError) as error:
            raise self._not_written(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            with suppress(OSError):  # what could not be written was told when it was
                self._file.close()

    def add(self, candidate: Candidate) -> None:
        """Write down what was found of a network, unless it is known."""
        if candidate.key not in self.known:
            self.known[candidate.key] = candidate.excess, candidate.score
            try:
                self._line({"picks": dict(candidate.picks), "excess": candidate.excess, "score": candidate.score})
            except OSError as error:
                raise self._not_written(error) from None

    def _line(self, value: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def _read(self) -> int:
        """Fill `known`; the bytes of whole lines. Raises InputError for a journal of another search."""
        if not is_file(self.path):  # it is added to, and read again
            self._refuse("it is no regular file")
        content = content_of(self.path)
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if not lines:
            if content:
                self._refuse("it is no journal of a search")
            return 0
        first = self._parsed(lines[0])
        if first.get("kind") != _KIND:
            self._refuse("it is no journal of a search")
        for key, value in self._asked.items():
            if first.get(key) != value:
                self._refuse(f"it is of another search: its {key} is {first.get(key)!r:.60}, not {value!r:.60}")
        for line in lines[1:]:
            entry = self._parsed(line)
            try:
                known = msgspec.convert(entry, _Entry)
            except msgspec.ValidationError:
                self._refuse("it is no journal of a search")
            self.known[tuple(known.picks.items())] = known.excess, known.score
        return len(whole)

    def _parsed(self, line: str) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except NOT_PARSED:
            content = None
        if not isinstance(content, dict):
            self._refuse("it is no journal of a search")
        return content

    def _not_written(self, error: OSError | ValueError) -> OutputError:
        reason, fix = not_written(error)
        return OutputError(f"cannot be written ({reason})", where=f"--journal {self.path}", fix=fix)

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(what, where=str(self.path), fix="name another file for --journal, or remove this one")
