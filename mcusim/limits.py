"""How much memory of the host an answer may take: said before it is allocated, refused beyond a limit.

Networks, arrays and images come from strangers, and a few hundred bytes can ask for gigabytes. Whoever is about to
allocate in proportion to what a file says calls `refuse_beyond` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mcusim.errors import MemoryLimitError

__all__ = [
    "DEFAULT_LIMIT_BYTES",
    "memory_limit",
    "memory_limit_bytes",
    "refuse_beyond",
    "set_memory_limit",
    "shown_bytes",
]

DEFAULT_LIMIT_BYTES = 2 << 30
_limit_bytes: ContextVar[int] = ContextVar("limit_bytes", default=DEFAULT_LIMIT_BYTES)


def memory_limit_bytes() -> int:
    """What an answer may take now."""
    return _limit_bytes.get()


def set_memory_limit(size_bytes: int) -> None:
    """From now on, in this thread."""
    _limit_bytes.set(size_bytes)


@contextmanager
def memory_limit(size_bytes: int) -> Iterator[None]:
    """For the time of a `with`."""
    before = _limit_bytes.set(size_bytes)
    try:
        yield
    finally:
        _limit_bytes.reset(before)


def refuse_beyond(size_bytes: int, what: str, *, where: str) -> None:
    """Raise MemoryLimitError where `size_bytes` are more than the limit.   what: "running it", "reading it", ..."""
    limit = _limit_bytes.get()
    if size_bytes > limit:
        asked, allowed = shown_bytes(size_bytes), shown_bytes(limit)
        if asked == allowed:
            asked, allowed = f"{size_bytes:,} bytes", f"{limit:,} bytes"
        sentence = f"{what} would take {asked} of memory, and {allowed} are allowed"
        fix = "raise --max-memory, or ask for less"
        raise MemoryLimitError(sentence, where=where, fix=fix)


def shown_bytes(size_bytes: int) -> str:
    """A size in the unit that suits it."""
    for unit, unit_bytes, least_bytes in (("GiB", 1 << 30, 1 << 30), ("MiB", 1 << 20, 1 << 17)):
        if size_bytes >= least_bytes:
            return f"{size_bytes / unit_bytes:,.1f} {unit}"
    return f"{size_bytes:,} byte{'s' if size_bytes != 1 else ''}"
