"""What was computed so far, in a file of lines: a head that says of what, then one line a finished sample.

Lines are only ever added, so a run that is killed loses the sample it was at and no other. A file of another network,
data set or preprocessing is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mcusim.errors import InputError, OutputError
from mcusim.evaluating.dataset import Dataset
from mcusim.evaluating.decoding import Prediction
from mcusim.files import NOT_PARSED, content_of, exists, is_file, not_written, reason_of

__all__ = ["State", "data_key", "read_state"]

VERSION = 1


class State:
    """A state file that finished samples are added to.   done: what it already held, by the sample's name."""

    def __init__(self, path: Path, key: Mapping[str, str], done: Mapping[str, Prediction]) -> None:
        self.path, self.key, self.done = path, dict(key), dict(done)
        self._stream: io.TextIOWrapper | None = None

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Write finished samples, at once. Raises OutputError where that cannot be."""
        try:
            if self._stream is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                whole = _whole_lines(self.path) if self.done or exists(self.path) else b""
                self._stream = self.path.open("r+" if whole else "w", encoding="utf-8")
                self._stream.truncate(len(whole))
                self._stream.seek(0, io.SEEK_END)
                if not whole:
                    self._stream.write(json.dumps({"mcusim_evaluation": VERSION, **self.key}) + "\n")
            finished = list(predictions)
            for prediction in finished:
                self._stream.write(msgspec.json.encode(prediction).decode() + "\n")
            self._stream.flush()
            self.done.update((prediction.name, prediction) for prediction in finished)
        except (OSError, ValueError) as error:
            reason, fix = not_written(error)
            raise OutputError(f"cannot write {self.path} ({reason})", where="--resume", fix=fix) from None

    def close(self) -> None:
        if self._stream is not None:
            with suppress(OSError):  # what could not be written was told when it was
                self._stream.close()
            self._stream = None


def _whole_lines(path: Path) -> bytes:
    """The file without a last line that was cut off."""
    content = content_of(path)
    return content[: content.rfind(b"\n") + 1]


def read_state(path: Path, key: Mapping[str, str]) -> State:
    """The state at a path, empty where there is none. Raises InputError for one of something else."""
    if not exists(path):
        return State(path, key, {})
    where = f"--resume {path}"
    if not is_file(path):  # it is added to, and read again
        raise InputError("it is no regular file", where=where, fix="name another file")
    try:
        lines = _whole_lines(path).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=where, fix="name another file") from None
    if not lines:
        if path.stat().st_size:
            raise InputError("it is no state of an evaluation", where=where, fix="name another file")
        return State(path, key, {})
    head = _head(lines[0], where)
    other = next((name for name, value in key.items() if head.get(name) != value), None)
    if other is not None:
        words = {"network": "another network", "data": "another data set", "reading": "other preprocessing or labels"}
        fix = "name another file for this run, or delete that one"
        raise InputError(f"it was computed with {words.get(other, 'another ' + other)}", where=where, fix=fix)
    done = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            prediction = msgspec.json.decode(line, type=Prediction)
        except msgspec.DecodeError:
            fix = "delete that line, or the file"
            raise InputError(f"line {number} is damaged", where=where, fix=fix) from None
        done[prediction.name] = prediction
    return State(path, key, done)


def _head(line: str, where: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
        version = head["mcusim_evaluation"]
    except (*NOT_PARSED, KeyError, TypeError):
        raise InputError("it is no state of an evaluation", where=where, fix="name another file") from None
    if version != VERSION:
        raise InputError(f"it has version {version}", where=where, fix="begin anew: name another file")
    return dict(head)


def data_key(dataset: Dataset, classes: Sequence[str]) -> str:
    """By what a data set is known again: names, labels and sizes of its samples; all of its arrays."""
    digest = hashlib.sha256()
    for sample in dataset.samples:
        size = sample.path.stat().st_size if sample.path is not None and exists(sample.path) else 0
        digest.update(repr((sample.name, sample.label, size, sample.boxes, sample.group)).encode())
    digest.update(repr(tuple(classes)).encode())
    if dataset.arrays is not None:
        digest.update(str(dataset.arrays.dtype).encode())
        digest.update(np.ascontiguousarray(dataset.arrays).view(np.uint8).data)
    return digest.hexdigest()
