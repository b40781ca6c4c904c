"""Arrays that users hand over as files: `.npy` and `.npz`, never anything that could run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcusim.errors import InputError

__all__ = ["read_arrays"]


def read_arrays(path: str, where: str) -> Any:
    """One array, or those of an archive by name. Nothing that is pickled is ever loaded. Raises InputError."""
    import zipfile

    import numpy as np

    try:
        with Path(path).open("rb") as stream:
            head = stream.read(6)
            stream.seek(0)
            if head != b"\x93NUMPY" and head[:2] != b"PK":
                fix = "save one with numpy.save, or numpy.savez for several"
                raise InputError("it is no array file (.npy or .npz)", where=where, fix=fix)
            loaded = np.load(stream, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"it cannot be read ({reason})", where=where, fix="check the path") from None
    except (ValueError, EOFError, MemoryError, KeyError, zipfile.BadZipFile, OverflowError) as error:
        what = "it is damaged"
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            what = "it holds pickled objects, which may run code"
        fix = "save plain numbers again with numpy.save"
        raise InputError(what, where=where, fix=fix) from None
