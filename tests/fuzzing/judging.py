"""TFLM asked in a process of its own: what it is asked may end it, or keep it busy for ever."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Sequence

from oracles import Refused, run_tflm

from fuzzing.answers import JUDGE_ARENA_BYTES, Array

__all__ = ["judged"]

BUSY_SECONDS = 2.0


def judged(content: bytes, inputs: Sequence[Array]) -> list[Array] | None:
    """What TFLM answers; None where it refuses, dies, or takes longer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, BUSY_SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 1
        try:
            outputs = run_tflm(content, inputs, arena_bytes=JUDGE_ARENA_BYTES)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(outputs, pipe)
            status = 0
        except (Refused, AttributeError, ValueError):  # the last two come from the wheel's own Python
            pass
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        written = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(written) if status == 0 else None
