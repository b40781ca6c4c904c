"""The memory that a command may take: what it refuses beforehand, and where the system stops it if all else fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mcusim.limits import memory_limit, memory_limit_bytes, set_memory_limit

__all__ = ["limit_memory", "limits_kept"]

THREAD_BYTES = 16 << 20
"""Address space of the stack of a thread, which a library may start for each core."""

LIBRARIES_BYTES = 320 << 20
"""What numpy, numba and its compiler take before the first array. Some of them end the process where they get less, in
words of their own, so the system's limit never lies below it."""


def limit_memory(size_bytes: int) -> None:
    """From here on this process may take so much more, beside its libraries. Beyond it comes a MemoryError."""
    set_memory_limit(size_bytes)
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm") as statm:
        data_bytes = int(statm.read().split()[5]) * resource.getpagesize()
    most = data_bytes + LIBRARIES_BYTES + size_bytes + THREAD_BYTES * (os.cpu_count() or 1)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


@contextmanager
def limits_kept() -> Iterator[None]:
    """Behind it the limits are what they were, for those who call the command line from a program."""
    if sys.platform != "linux":
        with memory_limit(memory_limit_bytes()):
            yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        with memory_limit(memory_limit_bytes()):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
