"""Files that users name: looking at and reading them, whatever the name and whatever lies there.

`Path.exists()` and its like raise where a folder may not be entered, where a name is too long, or has a null byte in
it. To mcusim such a file is not there; whoever reads it learns the reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mcusim.limits import memory_limit_bytes, shown_bytes

__all__ = [
    "HERE_IS_GONE",
    "MOST_TOML_BYTES",
    "NOT_PARSED",
    "blocks_of",
    "content_of",
    "decoded",
    "exists",
    "folder_of",
    "is_circular",
    "is_dir",
    "is_file",
    "is_here_gone",
    "lies_there",
    "not_written",
    "parse_json",
    "parse_toml",
    "reason_of",
    "replace_whole",
    "text_of",
    "toml_of",
]

AnyPath = str | os.PathLike[str]
T = TypeVar("T")
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
    errno.EFBIG: "name another disk, or allow larger files (ulimit -f)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file",
    errno.EROFS: "name another disk",
    errno.ELOOP: "mend the links, or choose another name",
    errno.ENOTDIR: "choose a path whose folders are folders",
    errno.EEXIST: "choose a path whose folders are folders",
}
HERE_IS_GONE = "the folder that this runs in is gone, or may not be entered"


def is_here_gone() -> bool:
    """Whether the working directory cannot be named: every relative path leads nowhere then."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _is_for_want_of_here(error: OSError | ValueError) -> bool:
    name = getattr(error, "filename", None)
    is_absolute = isinstance(name, str | bytes) and os.path.isabs(name)
    return getattr(error, "errno", None) in (errno.ENOENT, errno.EACCES) and not is_absolute and is_here_gone()


def reason_of(error: OSError | ValueError) -> str:
    """Why a file could not be read or written, in the system's words where it has some."""
    if isinstance(error, UnicodeError):
        return "it is no UTF-8 text"
    if _is_for_want_of_here(error):
        return HERE_IS_GONE
    return getattr(error, "strerror", None) or str(error)


def not_written(error: OSError | ValueError) -> tuple[str, str]:
    """Why a file could not be written, and what helps."""
    if _is_for_want_of_here(error):
        return HERE_IS_GONE, "change to another"
    fix = "check that the folder exists and may be written to"
    return reason_of(error), _WRITTEN_IF.get(getattr(error, "errno", None) or 0, fix)


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file that then holds all of the content, or is as it was. A device or a pipe is written to.

    The content is written beside it and renamed, so that nobody ever reads half of it.
    Raises OSError, and ValueError for a name with a null byte.
    """
    there = _mode(path)
    if there is not None and not stat.S_ISREG(there):
        with path.open("wb") as stream:
            stream.write(content)
        return
    path = Path(os.path.realpath(path))  # a link stays a link
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask if there is None else there & 0o777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(path: Path) -> int | None:
    """Of what lies there; None for nothing. Raises OSError for links in a circle and names that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode
    return None


def folder_of(path: AnyPath) -> Path:
    """The folder of a file, links followed: where the paths that it names begin. It need not be there."""
    return Path(os.path.realpath(path)).parent


def is_circular(path: AnyPath) -> bool:
    """Whether links lead from there back to themselves."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def lies_there(path: AnyPath) -> bool:
    """As `exists`, and for links that lead nowhere too: the name is in its folder."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


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
    too_large = OSError(errno.EFBIG, f"it has more than {shown_bytes(most)}", os.fspath(path))
    with open(path, "rb") as stream:
        stated_bytes = os.fstat(stream.fileno()).st_size
        if stated_bytes > most:
            raise too_large
        # read() allocates beforehand what it is asked for: of a pipe or a device, which state no size, a block a time.
        content = stream.read(stated_bytes)
        if not (block := stream.read(BLOCK_BYTES)):
            return content
        grown = bytearray(content)
        while block:
            grown += block
            if len(grown) > most:
                raise too_large
            block = stream.read(BLOCK_BYTES)
    return bytes(grown)


def decoded(content: bytes) -> str:
    """Text as editors and shells save it: UTF-8, marked or not, or UTF-16 with its mark, as PowerShell redirects.

    Raises UnicodeDecodeError, a ValueError.
    """
    is_wide = content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    return content.decode("utf-16" if is_wide else "utf-8-sig")


def text_of(path: AnyPath, most_bytes: int = MOST_BYTES) -> str:
    """As `content_of`, decoded, every line's end as \\n. Raises UnicodeDecodeError, a ValueError, besides."""
    return decoded(content_of(path, most_bytes)).replace("\r\n", "\n").replace("\r", "\n")


def parse_json(content: bytes, kind: type[T]) -> T:
    """What a JSON document holds, as `kind`. Raises ValueError, whatever is wrong."""
    try:
        return msgspec.json.decode(decoded(content), type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeError as error:
        raise ValueError(reason_of(error)) from None


def toml_of(path: AnyPath) -> dict[str, Any]:
    """The tables of a TOML file. Raises OSError where it cannot be read, ValueError where it is wrong."""
    content = content_of(path, MOST_TOML_BYTES)
    try:
        return parse_toml(decoded(content))
    except UnicodeError as error:
        raise ValueError(reason_of(error)) from None


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
