"""Between mcusim and the terminal: width, colours, characters, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from mcusim.errors import InputError, OutputError
from mcusim.files import is_dir, not_written, replace_whole

if TYPE_CHECKING:
    from rich.text import Text

    from mcusim.render.text import Glyphs

__all__ = [
    "STDOUT",
    "check_exit",
    "complain",
    "document",
    "glyphs",
    "one_thread",
    "pass_on_notices",
    "refuse_other_ending",
    "refuse_overwriting",
    "refuse_same_target",
    "replace_unprintable",
    "show",
    "silence",
    "terminal_width",
    "write_bytes",
    "write_output",
]

MISSED, CANNOT_KNOW = 1, 3
"""Exit codes of a check."""

STDOUT = "-"
"""As a file name: standard output."""

PIPE_WIDTH, LEAST_WIDTH, MOST_WIDTH = 100, 40, 160


def check_exit(
    where: str,
    fits: Sequence[bool | None],
    no: str = "it does not fit",
    unknown: str = "it cannot be known whether it fits",
) -> None:
    """End a command that was asked to `--check`, with 3 where it cannot be known whether anything fits, or with 1.

    fits: of each answer; where one fits all is well. What is not fine is said on standard error: `no` or `unknown`.
    """
    if any(fits):
        return
    is_unknown = None in fits
    complain(f"{where}: check: {unknown if is_unknown else no}")
    raise typer.Exit(CANNOT_KNOW if is_unknown else MISSED)


def one_thread() -> None:
    """Keep linear algebra on one core: many small matrices are slower on several, most of all on a busy machine.

    Only before numpy is loaded; what the user has set stays.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def terminal_width() -> int:
    """Columns to use: the terminal's (or COLUMNS), within reason; 100 where there is no terminal."""
    columns = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if _is_terminal() or _columns_said() else PIPE_WIDTH
    return min(max(columns, LEAST_WIDTH), MOST_WIDTH)


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _columns_said() -> bool:
    return os.environ.get("COLUMNS", "").isdigit()


def glyphs() -> Glyphs:
    """Characters that standard output can show."""
    from mcusim.render.text import ASCII, UNICODE

    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return UNICODE if encoding in ("utf8", "utf8sig", "utf16") else ASCII


def show(lines: Sequence[Text]) -> None:
    """Print lines that are already as wide as they should be. On a terminal in colour; with NO_COLOR as plain text."""
    if not _is_terminal() or os.environ.get("NO_COLOR"):
        _write(sys.stdout, "".join(f"{line.plain.rstrip()}\n" for line in lines))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, width=MOST_WIDTH)
    with console.capture() as capture:
        for line in lines:
            console.print(line, no_wrap=True, overflow="ignore", crop=False)
    _write(sys.stdout, capture.get())


def document(value: Mapping[str, object], indent: int | None = 2) -> str:
    """A JSON document as ASCII text, with a final newline. indent: None puts all on one line."""
    from mcusim.cli.documents import plain  # only a document needs the report's types

    value = plain(value)
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=True)
    if "\\ud" in text:  # half a character, of a file name in another encoding, is no JSON text
        whole = _whole_characters(json.dumps(value, allow_nan=False, ensure_ascii=False))
        text = json.dumps(json.loads(whole), indent=indent, allow_nan=False, ensure_ascii=True)
    return text + "\n"


def _whole_characters(text: str) -> str:
    """The bytes of a file name that Python could not read, as the UTF-8 that they mostly are."""
    if text.isascii():
        return text
    readable = re.sub("[\ud800-\udc7f\udd00-\udfff]", "?", text)
    return readable.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def refuse_same_target(**targets: str | None) -> None:
    """Refuse two documents in one place. targets: option name -> file. Raises InputError."""
    options: dict[str, list[str]] = {}
    for name, target in targets.items():
        if target:
            options.setdefault(target if target == STDOUT else os.path.realpath(target), []).append(name)
    for place, names in options.items():
        if len(names) > 1:
            shared = "standard output" if place == STDOUT else f"the file {targets[names[0]]}"
            both = " and ".join(f"--{name}" for name in names)
            raise InputError(
                f"two documents cannot share {shared}", where=both, fix="name another file for one of them"
            )


def refuse_overwriting(inputs: Iterable[str | None], **targets: str | None) -> None:
    """Refuse to write over a file that is read. targets: option (or ARGUMENT) -> file. Raises OutputError."""
    read = [name for name in inputs if name]
    for option, target in targets.items():
        if target and target != STDOUT and any(_is_one_file(target, name) for name in read):
            where = option if option.isupper() else f"--{option}"
            raise OutputError(f"{target} is what this command reads", where=where, fix="name another file to write to")


def refuse_other_ending(target: str | None, ending: str, option: str) -> None:
    """Refuse a file whose name says that it holds something else: no command would read it. Raises OutputError."""
    if target and target != STDOUT and Path(target).suffix.lower() != ending:
        raise OutputError(f"'{target}' does not end in {ending}", where=option, fix=f"name a {ending} file")


def _is_one_file(a: str, b: str) -> bool:
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one of them is not there
        return False


def write_output(text: str, target: str, option: str) -> None:
    """Write to standard output (`-`) or to a file, which then holds all of it or is as it was.

    Raises OutputError where that cannot be.
    """
    if target == STDOUT:
        _write(sys.stdout, text)
        return
    write_bytes(_whole_characters(text).encode(), target, option)


def write_bytes(content: bytes, target: str, option: str) -> None:
    """Write to a file, which then holds all of it or is as it was. Raises OutputError where that cannot be."""
    path = Path(target)
    if not target or is_dir(path):
        fix = "name a file, or - for standard output"
        raise OutputError(f"'{target}' is a folder" if target else "the name is empty", where=option, fix=fix)
    try:
        replace_whole(path, content)
    except (OSError, ValueError) as error:
        reason, fix = not_written(error)
        raise OutputError(f"cannot write {target} ({reason})", where=option, fix=fix) from None


def _write(stream: TextIO | None, text: str) -> None:
    """Print all of it. A reader who has seen enough (`| head`) is no error; a full disk is."""
    if stream is None:
        raise OutputError("it is closed", where="standard output", fix="leave it open, or name a file")
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        silence()
    except OSError as error:
        silence()
        fix = "make room, or write elsewhere"
        raise OutputError(f"cannot be written ({error.strerror})", where="standard output", fix=fix) from None


def complain(sentence: str) -> None:
    """One line on standard error."""
    line = "".join(c if c.isprintable() else " " for c in sentence)
    with contextlib.suppress(OSError):
        print(line if line.startswith("mcusim ") else f"mcusim: {line}", file=sys.stderr, flush=True)


class _Notices(logging.Handler):
    """Tells each record on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def pass_on_notices() -> None:
    """From now on, what the library logs (that it compiles kernels, for instance) is a line on standard error."""
    logger = logging.getLogger("mcusim")
    if not logger.handlers:
        logger.addHandler(_Notices(logging.INFO))
        logger.setLevel(logging.INFO)


def silence() -> None:
    """Point standard output nowhere, so that Python does not complain about it at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def replace_unprintable() -> None:
    """A character that a stream's encoding lacks shows as `?` instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
