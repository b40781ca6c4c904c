"""Files that users name: looking at and reading them, whatever the name and whatever lies there.

`Path.exists()` and its like raise where a folder may not be entered, where a name is too long, or has a null byte in
it. To mcusim such a file is not there; whoever reads it learns the reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcusim.limits import memory_limit_bytes

__all__ = [
    "MOST_TOML_BYTES",
    "NOT_PARSED",
    "blocks_of",
    "content_of",
    "exists",
    "is_dir",
    "is_file",
    "not_written",
    "parse_toml",
    "replace_whole",
    "text_of",
    "toml_of",
]

AnyPath = str | os.PathLike[str]
NOT_PARSED = (ValueError, RecursionError, OverflowError)
"""What parsers of text raise: for syntax, numbers of thousands of digits, and brackets nested by the thousand."""
MOST_BYTES = 256 << 20
"""Of a document, a list or a map file. Networks and arrays have limits of their own."""
MOST_TOML_BYTES = 1 << 20
"""Python's parser takes a second for so much."""
MOST_KEY_PARTS = 50
BLOCK_BYTES = 1 << 20
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:\.[ \t]*+{_PART}){{{MOST_KEY_PARTS}}}")

_WRITTEN_IF = {
    errno.ENOSPC: "make room there, or name another disk",
    errno.EDQUOT: "make room there, or name another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file",
    errno.EROFS: "name another disk",
}


def not_written(error: OSError | ValueError) -> tuple[str, str]:
    """Why a file could not be written, in the system's words, and what helps."""
    reason = getattr(error, "strerror", None) or str(error)
    fix = "check that the folder exists and may be written to"
    return reason, _WRITTEN_IF.get(getattr(error, "errno", None) or 0, fix)


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file that then holds all of the content, or is as it was. A device or a pipe is written to.

    The content is written beside it and renamed, so that nobody ever reads half of it.
    Raises OSError, and ValueError for a name with a null byte.
    """
    if exists(path) and not is_file(path):
        with path.open("wb") as stream:
            stream.write(content)
        return
    path = path.resolve()  # a link stays a link
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, path.stat().st_mode & 0o777 if exists(path) else 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def exists(path: AnyPath) -> bool:
    """Whether something lies at `path` that this user may know of."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_file(path: AnyPath) -> bool:
    """Whether a regular file lies there."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: AnyPath) -> bool:
    """Whether a folder lies there."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def content_of(path: AnyPath, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a file, a pipe or a device.

    Raises OSError where it cannot be read, or has no end in sight; ValueError for a name with a null byte.
    """
    most = min(most_bytes, memory_limit_bytes())
    with open(path, "rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB", os.fspath(path))
    return content


def text_of(path: AnyPath, encoding: str = "utf-8", most_bytes: int = MOST_BYTES) -> str:
    """As `content_of`, decoded, every line's end as \\n. Raises UnicodeDecodeError, a ValueError, besides."""
    return content_of(path, most_bytes).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def toml_of(path: AnyPath) -> dict[str, Any]:
    """The tables of a TOML file. Raises OSError where it cannot be read, ValueError where it is wrong."""
    return parse_toml(content_of(path, MOST_TOML_BYTES).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ValueError, whatever is wrong.

    Python's parser takes time that grows with the square of the parts of a dotted key: 20,000 of them are 5 s.
    """
    if _LONG_KEY.search(text):
        raise ValueError(f"a key has more than {MOST_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def blocks_of(path: AnyPath) -> Iterator[bytes]:
    """A file piece by piece, however large. Raises OSError, and ValueError for a name with a null byte."""
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block
