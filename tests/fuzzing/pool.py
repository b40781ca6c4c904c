"""Processes that take cases, and a watchdog that outlives them: a crash or a hang costs one case, not the run.

Every worker says in shared memory which case and stage it is at. The parent looks a few times a second; a worker that
died or hangs is recorded, and another goes on behind that case.
"""

from __future__ import annotations

import mmap
import os
import pickle
import resource
import signal
import struct
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Done", "run_pool"]

SECONDS_BEFORE_KILL = 120.0
EXTRA_BYTES = 1 << 30
"""What a case may take beyond what the process has."""
_STATE = struct.Struct("<qdi")
_HEAD = struct.Struct("<I")


class Done(NamedTuple):
    """What came of a case.   crash: how the worker ended and at which stage; "" where it did not."""

    number: int
    outcome: object
    crash: str = ""


Work = Callable[[int, Callable[[int], None]], object]
"""(number, enter) -> what came of it.   enter: to be told the number of each stage."""


class _Worker:
    """A child process that works on cases first, first + stride, ..."""

    def __init__(self, first: int, stride: int, work: Work) -> None:
        self.state = mmap.mmap(-1, _STATE.size)
        self.stride = stride
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            _child(first, stride, work, writer, self.state)
        os.close(writer)
        os.set_blocking(reader, False)
        self.reader, self.buffer, self.ended = reader, b"", ""

    @property
    def at(self) -> tuple[int, float, int]:
        """Number of the case, when it began, stage."""
        number, started, stage = _STATE.unpack(self.state[:])
        return int(number), float(started), int(stage)

    def results(self) -> Iterator[Done]:
        """What has come through the pipe."""
        while True:
            try:
                block = os.read(self.reader, 1 << 20)
            except BlockingIOError:
                break
            if not block:
                break
            self.buffer += block
        while len(self.buffer) >= _HEAD.size:
            [size] = _HEAD.unpack(self.buffer[: _HEAD.size])
            if len(self.buffer) < _HEAD.size + size:
                break
            yield Done(*pickle.loads(self.buffer[_HEAD.size : _HEAD.size + size]))
            self.buffer = self.buffer[_HEAD.size + size :]

    def has_ended(self) -> str:
        """How it ended; "" while it runs."""
        if not self.ended:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.ended = _ending(status) if pid else ""
        return self.ended

    def kill(self) -> None:
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.ended = "hangs"

    def close(self) -> None:
        os.close(self.reader)


def _ending(status: int) -> str:
    """How a process ended, in words."""
    if os.WIFSIGNALED(status):
        return f"died of {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with {os.WEXITSTATUS(status)}"


def _child(first: int, stride: int, work: Work, writer: int, state: mmap.mmap) -> None:
    """Never returns."""
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 2)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _limit_memory()
        number = first
        while True:
            begun = time.monotonic()
            _STATE.pack_into(state, 0, number, begun, -1)

            def enter(stage: int, number: int = number, begun: float = begun) -> None:
                _STATE.pack_into(state, 0, number, begun, stage)

            content = pickle.dumps((number, work(number, enter)))
            block = _HEAD.pack(len(content)) + content
            while block:
                block = block[os.write(writer, block) :]
            number += stride
    except MemoryError:
        status = 3
    finally:
        os._exit(status)


def _limit_memory() -> None:
    """No more address space than there is, and what a case may take."""
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    most = pages * mmap.PAGESIZE + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run_pool(work: Work, *, first: int, jobs: int, goes_on: Callable[[int], bool]) -> Iterator[Done]:
    """Cases from `first` on, until `goes_on(how many are done)` says no."""
    workers = [_Worker(first + k, jobs, work) for k in range(jobs)]
    done = 0
    try:
        while goes_on(done):
            time.sleep(0.05)
            for k, worker in enumerate(workers):
                for result in worker.results():
                    done += 1
                    yield result
                number, started, stage = worker.at
                if started and time.monotonic() - started > SECONDS_BEFORE_KILL:
                    worker.kill()
                if worker.has_ended():
                    for result in worker.results():
                        done += 1
                        yield result
                    done += 1
                    yield Done(number, stage, worker.ended)
                    worker.close()
                    workers[k] = _Worker(number + jobs, jobs, work)
    finally:
        for worker in workers:
            worker.kill()
            worker.close()
