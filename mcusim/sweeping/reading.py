"""The answers of a sweep's folder, read back: those that are there, of a sweep that has ended or is at work."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.errors import InputError
from mcusim.files import is_dir, reason_of

__all__ = ["Answers", "StoredRow", "read_answers"]


StoredRow = dict[str, Any]
"""Column -> value, of the columns that were asked for."""


@dataclass(frozen=True, slots=True)
class Answers:
    """folder: where they lie.   rows: in the order of their numbers.   spec: what was asked, as JSON."""

    folder: str
    rows: tuple[StoredRow, ...]
    spec: str


def read_answers(folder: str | os.PathLike[str], columns: Sequence[str]) -> Answers:
    """These columns of every answer in a folder that `mcusim sweep` wrote.

    Raises InputError for a folder without answers, and for files that no sweep wrote.
    """
    where = os.fspath(folder)
    place = Path(where)
    parts = place if place.name == "answers" and not is_dir(place / "answers") else place / "answers"
    fix = "name the folder that `mcusim sweep -o` wrote"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("pyarrow is not installed", where=where, fix="pip install 'mcusim[sweep]'") from None
    try:
        files = sorted(parts / name for name in os.listdir(parts) if name.endswith(".parquet"))
    except FileNotFoundError:
        files = []
    except (OSError, ValueError) as error:
        raise InputError(f"it cannot be read ({reason_of(error)})", where=where, fix=fix) from None
    if not files:
        raise InputError("it holds no answers of a sweep", where=where, fix=fix)
    rows: list[StoredRow] = []
    spec = ""
    for file in files:
        try:
            table = pyarrow.parquet.read_table(file, columns=list(columns), partitioning=None)
        except (pyarrow.ArrowException, OSError):
            what = f"{file.name} cannot be read: it is damaged, or no Parquet file of these columns"
            raise InputError(what, where=where, fix=fix) from None
        absent = [name for name in columns if name not in table.column_names]
        if absent:
            raise InputError(f"{file.name} has no column '{absent[0]}'", where=where, fix=fix)
        about = table.schema.metadata or {}
        spec = about.get(b"spec", b"{}").decode("utf-8", "replace")
        rows += table.to_pylist()
    return Answers(where, tuple(rows), json.dumps(json.loads(spec), indent=1, ensure_ascii=False) if spec else "{}")
