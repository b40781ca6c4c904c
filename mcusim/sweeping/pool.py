"""Worker processes on this machine.

Each has a pipe of its own and one batch at a time, so that a worker that dies names what it died over. (A pool of the
standard library breaks as a whole, and cannot say which task broke it.) A new worker takes the place of a dead one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from mcusim.sweeping.answering import answers
from mcusim.sweeping.work import Batch, Done

__all__ = ["Pool"]

_PATIENCE_SECONDS = 2.0


class _Worker:
    """A process, the parent's end of its pipe, and what it works on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        # A sum that several threads share ends in other last digits; the workers of a cluster have one thread each too.
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()
        self.batch: Batch | None = None

    def start(self, batch: Batch) -> None:
        self.batch = batch
        with suppress(OSError):  # it has died: its pipe is at its end, and `done` sees that
            self.pipe.send(batch.questions)

    def finish(self) -> Done:
        """What came over the pipe, or that nothing will."""
        batch, self.batch = self.batch, None
        assert batch is not None
        try:
            return Done(batch, self.pipe.recv())
        except (EOFError, OSError):
            self.process.join(_PATIENCE_SECONDS)
            return Done(batch, None, _ended(self.process.exitcode))


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"


def _serve(pipe: Connection, parent: int) -> None:
    """Answer batches until the pipe closes: the parent is done, or dead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    while os.getppid() == parent:
        try:
            questions = pipe.recv()
        except (EOFError, OSError):
            return
        rows = answers(questions)
        with suppress(OSError):  # nobody is there to take them: whoever goes on with the sweep asks again
            pipe.send(rows)


class Pool:
    """`Workers` on this machine."""

    def __init__(self, count: int) -> None:
        self._workers = [_Worker() for _ in range(count)]
        self._waiting: deque[Batch] = deque()

    @property
    def count(self) -> int:
        """Processes."""
        return len(self._workers)

    def submit(self, batch: Batch) -> None:
        """Give it to an idle worker, or keep it for the next."""
        self._waiting.append(batch)
        self._feed()

    def _feed(self) -> None:
        for worker in self._workers:
            if worker.batch is None and self._waiting:
                worker.start(self._waiting.popleft())

    def done(self) -> Done:
        """The next batch that is done, by an answer or by a death."""
        busy = {worker.pipe: worker for worker in self._workers if worker.batch is not None}
        ready = wait(list(busy))[0]
        worker = next(worker for pipe, worker in busy.items() if pipe is ready)
        outcome = worker.finish()
        if outcome.rows is None:
            worker.pipe.close()
            self._workers[self._workers.index(worker)] = _Worker()
        self._feed()
        return outcome

    def close(self) -> None:
        """End every worker, whatever it does."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE_SECONDS)
