"""Arrays that users hand over as files: `.npy` and `.npz`, never anything that could run code."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from mcusim.errors import InputError
from mcusim.files import reason_of
from mcusim.limits import refuse_beyond

__all__ = ["DAMAGED", "read_arrays"]

DAMAGED = (
    *(ValueError, EOFError, KeyError, OverflowError, TypeError, SyntaxError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, MemoryError),
)
"""What numpy and zipfile raise on files that are cut short, changed, encrypted or packed in an unknown way.

A header is parsed as Python, and may name more elements than there is memory.
"""


def read_arrays(path: str, where: str) -> Any:
    """One array, or those of an archive by name. Nothing that is pickled is ever loaded. Raises InputError."""
    import numpy as np

    try:
        with Path(path).open("rb") as stream:
            head = stream.read(6)
            stream.seek(0)
            if head != b"\x93NUMPY" and head[:2] != b"PK":
                fix = "save one with numpy.save, or numpy.savez for several"
                raise InputError("it is no array file (.npy or .npz)", where=where, fix=fix)
            _refuse_large(stream, where)
            stream.seek(0)
            loaded = np.load(stream, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=where, fix="check the path") from None
    except DAMAGED as error:
        what = "it is encrypted" if "encrypted" in str(error) else "it is damaged"
        if "Object arrays" in str(error):
            what = "it holds pickled objects, which may run code"
        fix = "save plain numbers again with numpy.save"
        raise InputError(what, where=where, fix=fix) from None


def _refuse_large(stream: IO[bytes], where: str) -> None:
    """Raise MemoryLimitError where the arrays would take more than is allowed: a small archive may unpack to much."""
    stream.seek(0)
    if stream.read(2) == b"PK":
        with zipfile.ZipFile(stream) as archive:
            size_bytes = sum(member.file_size for member in archive.infolist())
    else:
        size_bytes = stream.seek(0, 2)
    refuse_beyond(size_bytes, "reading it", where=where)
