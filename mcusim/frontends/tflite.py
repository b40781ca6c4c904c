"""TensorFlow Lite files (.tflite) -> Graph: the door. `tflite_model.py` does the reading."""

from __future__ import annotations

from pathlib import Path

from mcusim.errors import ModelError
from mcusim.files import reason_of
from mcusim.frontends.formats import HEAD_BYTES, missing_file, not_a_file, not_tflite
from mcusim.frontends.tflite_model import read_model
from mcusim.graph import Graph
from mcusim.limits import refuse_beyond

__all__ = ["parse_tflite", "read_tflite"]

MARK = b"TFL3"
"""Bytes 4 to 8 of every .tflite file."""
MAX_FILE_BYTES = 2**31 - 1
"""The offsets of flatbuffers end here."""


def read_tflite(path: str | Path) -> Graph:
    """The network in a .tflite file; the graph is named after the file.

    Raises ModelError where there is no such file, it is of another kind, or malformed.
    """
    path = Path(path)
    where = str(path)
    try:
        content = _content(path, where)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = reason_of(error)
        raise ModelError(
            f"it cannot be read: {reason}", where=where, fix="check the path and its permissions"
        ) from error
    return parse_tflite(content, name=path.stem, where=where)


def _content(path: Path, where: str) -> bytes:
    if not path.is_file():
        raise not_a_file(path) if path.exists() else missing_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size_bytes = file.seek(0, 2)
        if head[4:8] != MARK:
            file.seek(max(size_bytes - HEAD_BYTES, 0))
            raise not_tflite(head, file.read(HEAD_BYTES), path.suffix, where)
        if size_bytes > MAX_FILE_BYTES:
            raise ModelError(f"the file has {size_bytes:,} bytes", where=where, fix="use a network below 2 GiB")
        refuse_beyond(size_bytes, "reading it", where=where)
        file.seek(0)
        return file.read()


def parse_tflite(content: bytes, *, name: str, where: str) -> Graph:
    """The network in the bytes of a .tflite file.

    name: of the graph.   where: names the file in errors, and is the source that the graph states.
    Constants are read-only views of `content`. The graph is the file's subgraph 0; number i from 1 on is
    `graph.subgraphs[i - 1]`. Raises ModelError if the bytes are something else, or malformed: nothing else, whatever
    they are, in time and memory proportional to their number.
    """
    if content[4:8] != MARK:
        raise not_tflite(content[:HEAD_BYTES], content[-HEAD_BYTES:], "", where)
    return read_model(content, name, where)
