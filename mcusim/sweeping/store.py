"""The folder of a sweep: what is asked, and the answers as Parquet, a file a part.

    DIR/sweep.json                  the spec, its digest, the version: what the answers are to
    DIR/sweep.lock                  held while a sweep writes here
    DIR/answers/000000000-000000250.parquet     rows of these numbers; written beside it first, then renamed

A file of `answers/` is whole or not there, whenever the machine stops. Parts depend on the spec alone, so a sweep that
was stopped and goes on writes the same files as one that was not.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcusim.errors import InputError, OutputError
from mcusim.files import content_of, exists, not_written, parse_json
from mcusim.report import SCHEMA_VERSION
from mcusim.sweeping.rows import ROW_VERSION, Row, columns
from mcusim.sweeping.spec import Sweep
from mcusim.version import __version__

__all__ = ["Store", "opened"]

_PART_NUMBERS = 250
"""Answers a file: a second's work or less, so that little is lost."""


class Store:
    """The answers of one sweep in one folder. Only what `opened` yields holds the lock."""

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self.folder, self.sweep = folder, sweep
        self.answers = folder / "answers"

    def parts(self) -> list[tuple[int, int]]:
        """Every part, as half-open ranges of numbers; whole networks as far as they go together."""
        size = max(_PART_NUMBERS // self.sweep.each, 1) * self.sweep.each
        return [(start, min(start + size, len(self.sweep))) for start in range(0, len(self.sweep), size)]

    def missing(self) -> list[tuple[int, int]]:
        """The parts that have no file yet."""
        there = {file.name for file in self.answers.iterdir()}
        return [part for part in self.parts() if _file(part) not in there]

    def write(self, part: tuple[int, int], rows: Sequence[Row]) -> None:
        """Write a part, whole. Raises OutputError where the disk is full or gone."""
        import pyarrow.parquet

        hidden, target = self.folder / f".{_file(part)}", self.answers / _file(part)
        try:
            with hidden.open("wb") as file:
                texts = [column.name for column in columns() if column.kind is str]
                pyarrow.parquet.write_table(self._table(rows), file, use_dictionary=texts, write_statistics=False)
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(target)
        except OSError as error:
            hidden.unlink(missing_ok=True)
            raise _cannot_write(error, target) from None

    def _table(self, rows: Sequence[Row]) -> Any:
        import pyarrow

        kinds: dict[type, Any] = {
            str: pyarrow.string(),
            int: pyarrow.int64(),
            float: pyarrow.float64(),
            bool: pyarrow.bool_(),
            list: pyarrow.list_(pyarrow.string()),
        }
        about = {
            "mcusim_version": __version__,
            "schema_version": str(SCHEMA_VERSION),
            "row_version": str(ROW_VERSION),
            "spec": self.sweep.document,
        }
        schema = pyarrow.schema([(column.name, kinds[column.kind]) for column in columns()], metadata=about)
        arrays = [
            pyarrow.array(values, type=kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)
        ]
        return pyarrow.Table.from_arrays(arrays, schema=schema)


@contextmanager
def opened(folder: Path, sweep: Sweep) -> Iterator[Store]:
    """The folder, held alone. Raises InputError where another sweep writes, or the answers are to another spec."""
    store = Store(folder, sweep)
    try:
        store.answers.mkdir(parents=True, exist_ok=True)
        lock = (folder / "sweep.lock").open("a")
    except OSError as error:
        raise _cannot_write(error, folder) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "wait until it has ended, or name another folder"
            raise InputError("another sweep writes into it", where=str(folder), fix=fix) from None
        _claim(folder, sweep)
        for left in folder.glob(".*.parquet"):
            left.unlink()  # of a sweep that was killed while it wrote
        yield store


def _claim(folder: Path, sweep: Sweep) -> None:
    """Write down what the answers are to, or find that they are to the same."""
    place = folder / "sweep.json"
    mine = {"digest": sweep.digest, "mcusim_version": __version__, "spec": json.loads(sweep.document)}
    if exists(place):
        theirs = _read(place)
        if theirs.get("digest") != mine["digest"] or theirs.get("mcusim_version") != __version__:
            fix = "name another folder, or remove this one"
            what = "its answers are to another spec, to other files or of another version of mcusim"
            raise InputError(what, where=str(folder), fix=fix)
        return
    if any((folder / "answers").iterdir()):
        raise InputError("it has answers and no sweep.json", where=str(folder), fix="name another folder")
    hidden = folder / ".sweep.json"
    try:
        hidden.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
        hidden.replace(place)
    except OSError as error:
        raise _cannot_write(error, place) from None


def _read(place: Path) -> dict[str, Any]:
    try:
        return parse_json(content_of(place), dict)
    except (OSError, ValueError):
        raise InputError("it is no file of a sweep", where=str(place), fix="name another folder") from None


def _file(part: tuple[int, int]) -> str:
    return f"{part[0]:09}-{part[1]:09}.parquet"


def _cannot_write(error: OSError, target: Path) -> OutputError:
    reason, fix = not_written(error)
    return OutputError(f"cannot be written ({reason})", where=str(target), fix=f"{fix}; what was written stays valid")
