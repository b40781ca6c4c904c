"""Folders of generated files: written whole, never into a folder that is somebody else's."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mcusim.errors import OutputError
from mcusim.files import exists, is_dir, is_file, text_of

__all__ = ["write_folder"]

_STALE = ("kernels/*.h",)
"""Files of ours that another run may leave without use."""


def write_folder(files: Mapping[str, str], target: str, marker: str) -> None:
    """Write files into a folder that is new, empty, or was written so before: then `marker` is a document of ours.

    All of them are written beside it first, then take their places; what else lies in the folder stays.
    Raises OutputError where that cannot be.
    """
    folder = Path(target)
    _refuse_foreign(folder, target, marker)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name[:60]}.") as beside:
            for path, text in files.items():
                place = Path(beside) / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="\n")
            folder.mkdir(exist_ok=True)
            stale = {path for pattern in _STALE for path in folder.glob(pattern)}
            for path in files:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(beside) / path, folder / path)
                stale.discard(folder / path)
            for unused in stale:
                unused.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "check that there is room and that the folder may be written to"
        raise OutputError(f"cannot write {target} ({reason})", where="-o", fix=fix) from None


def _refuse_foreign(folder: Path, target: str, marker: str) -> None:
    fix = "name a folder that is new, empty, or that this command wrote"
    try:
        if not target or (exists(folder) and not is_dir(folder)):
            what = f"{target} is a file" if target else "the name is empty"
            raise OutputError(what, where="-o", fix=fix)
        if not is_dir(folder) or not any(folder.iterdir()):
            return
        ours = _is_ours(folder / marker)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot read {target[:200]} ({reason})", where="-o", fix=fix) from None
    if not ours:
        raise OutputError(f"{target} holds files that mcusim did not write", where="-o", fix=fix)


def _is_ours(marker: Path) -> bool:
    if not is_file(marker):
        return False
    try:
        document = json.loads(text_of(marker))
    except ValueError:
        return False
    return isinstance(document, dict) and {"schema_version", "schedule", "sram"} <= set(document)
