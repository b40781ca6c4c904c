"""The one way in which mcusim compiles: numba with the flags that exactness needs.

Only `ops/kernels/` uses it; importing it imports numba. No fastmath, ever: float steps of a kernel round as C does.

Compiled code is kept on disk in a folder that is named by a hash of every kernel source and of the forced kernel set.
Numba by itself notices changes in the decorated function's file only, not in files that it calls into; with the hash,
code that was compiled from other sources cannot be found. (Numba looks after its own version and the processor's.)
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar, cast

import numba

__all__ = ["KERNEL_SET", "Native", "cache_folder", "inner", "kernel", "native"]

KERNEL_SET = "MCUSIM_KERNELS"
"""Environment variable that forces a kernel set; see `ops/kernels/fast/vector.py`."""

F = TypeVar("F", bound=Callable[..., Any])
_logger = logging.getLogger(__name__)
_lock = threading.RLock()


@lru_cache(1)
def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder of the user's cache, named after the kernels' sources."""
    sources = hashlib.sha256(os.environ.get(KERNEL_SET, "").encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        sources.update(path.read_bytes())
    named = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcusim"
    return base / f"kernels-{sources.hexdigest()[:16]}"


@lru_cache(1)
def _is_writable() -> bool:
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_folder()):
            return True
    except OSError:
        _logger.warning("compiled kernels cannot be kept: %s is not writable", cache_folder())
        return False


@contextmanager
def _own_cache() -> Iterator[bool]:
    """For this time numba caches in our folder, or, told by False, must not cache: elsewhere it would go stale."""
    if not _is_writable():
        yield False
        return
    with _lock:
        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder())
        try:
            yield True
        finally:
            config.CACHE_DIR = before


_njit = partial(cast(Any, numba.njit), nogil=True, error_model="numpy", boundscheck=False)


def kernel(signature: str) -> Callable[[F], F]:
    """Compile a function to machine code for this signature, now; keep it on disk; release the interpreter lock."""

    def decorate(function: F) -> F:
        return cast(F, _compiled(function, lambda caches: _njit(signature, cache=caches)(function)))

    return decorate


_DAMAGED = (
    OSError,
    EOFError,
    UnpicklingError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What numba raises on a cache file that was cut short, overwritten or written to a full disk."""


def _compiled(function: Callable[..., Any], compile_: Callable[[bool], Any]) -> Any:
    """`compile_(whether to cache)`. A damaged cache is dropped and made again; if that fails too, nothing is kept."""
    with _lock, _own_cache() as caches:
        _announce(function, caches)
        # Twice: a damaged file is deleted and made again; if even that cannot be kept, the code lives in memory only.
        if caches:
            for attempt in ("damaged", "impossible"):
                try:
                    return compile_(True)
                except _DAMAGED as error:
                    _logger.warning("the cache of compiled kernels is %s, compiling again: %s", attempt, error)
                    for path in cache_folder().rglob(f"{_cache_name(function)}-*.nb*"):
                        path.unlink(missing_ok=True)
        return compile_(False)


def inner(function: F) -> F:
    """A function that compiled code calls: it becomes part of its callers, and is not kept by itself."""
    return cast(F, _njit()(function))


class Native:
    """A C function of so many addresses and integers (int64), called by its address.

    It is compiled, or loaded from disk, when its address is first asked for, so that a network compiles only the
    kernels that it uses; and as it is called by address, no kernel is compiled into another's code.
    """

    def __init__(self, function: Callable[..., None], arguments: int) -> None:
        self._function = function
        self._signature = numba.types.void(*[numba.types.int64] * arguments)
        self._compiled: Any = None

    @property
    def name(self) -> str:
        return self._function.__name__

    @property
    def address(self) -> int:
        # Looked at again under the lock: another thread may have compiled it meanwhile.
        if self._compiled is None:
            with _lock:
                if self._compiled is None:
                    self._compiled = _compiled(self._function, self._compile)
        return int(self._compiled.address)

    def _compile(self, caches: bool) -> Any:
        return numba.cfunc(self._signature, cache=caches)(self._function)


def native(function: Callable[..., None]) -> Native:
    """Make `function`, whose arguments are all int64, a C function."""
    return Native(function, function.__code__.co_argcount)


@lru_cache(1)
def _say_once() -> None:
    _logger.info("compiling kernels for this machine (kept for the next time; ~10 s for all of them)")


def _announce(function: Callable[..., Any], caches: bool) -> None:
    """Log, the first time in a process, that something is compiled that is not on disk."""
    if not caches or next(cache_folder().rglob(f"{_cache_name(function)}-*.nbi"), None) is None:
        _say_once()


def _cache_name(function: Callable[..., Any]) -> str:
    """How numba's files of a function begin."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
