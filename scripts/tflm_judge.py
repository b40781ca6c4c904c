"""What TensorFlow Lite Micro answers to a file: whether it runs, what it says where it does not, the head it takes.

The interpreter is native code that trusts its input, so each question is asked in a child process; one that dies has
answered, too.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import re
import resource
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, NamedTuple

from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime

__all__ = ["Answer", "Outcome", "Question", "judge"]

ARENA_BYTES = 1 << 20
BUSY_SECONDS = 2.0


class Outcome(StrEnum):
    """How far a network came."""

    RUNS = "runs"
    NOT_ALLOCATED = "not allocated"
    NOT_INVOKED = "not invoked"
    CRASHED = "crashed"


class Question(NamedTuple):
    """A file, and the elements of its inputs."""

    content: bytes
    inputs: Sequence[NDArray[Any]]


class Answer(NamedTuple):
    """said: TFLM's own words, where it refuses.   head_bytes: 0 where it refuses.   outputs: where they were kept.

    is_fed: whether the wheel took every input; it has no way to give elements of some types.
    """

    outcome: Outcome
    said: str = ""
    head_bytes: int = 0
    outputs: tuple[NDArray[Any], ...] = ()
    is_fed: bool = True

    @property
    def runs(self) -> bool:
        return self.outcome is Outcome.RUNS


def judge(questions: Sequence[Question], results: int = 0) -> Iterator[Answer]:
    """One answer a question, in order.   results: how many outputs of each network to keep."""
    start = 0
    while start < len(questions):
        answers = _ask(questions[start:], results)
        yield from answers
        start += len(answers)
        if start < len(questions):
            yield Answer(Outcome.CRASHED, "the process died")
            start += 1


def _ask(questions: Sequence[Question], results: int) -> list[Answer]:
    """The answers of one child process, which end where it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer_all(questions, results, writing)
        os._exit(0)
    os.close(writing)
    answers = []
    with os.fdopen(reading, "rb") as pipe:
        while True:
            try:
                answers.append(pickle.load(pipe))
            except EOFError:
                break
    os.waitpid(child, 0)
    return answers


def _answer_all(questions: Sequence[Question], results: int, writing: int) -> None:
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(writing, "wb") as pipe, tempfile.TemporaryFile() as log, _standard_error(log.fileno()):
        for question in questions:
            signal.setitimer(signal.ITIMER_PROF, BUSY_SECONDS)
            pickle.dump(_answer(question, results, log), pipe)
            pipe.flush()


@contextmanager
def _standard_error(into: int) -> Iterator[None]:
    """TFLM writes its reasons to file descriptor 2, below Python."""
    kept = os.dup(2)
    os.dup2(into, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _answer(question: Question, results: int, log: Any) -> Answer:
    log.seek(0)
    log.truncate()
    outcome = Outcome.NOT_ALLOCATED
    try:
        interpreter = runtime.Interpreter.from_bytes(question.content, arena_size=ARENA_BYTES)
        outcome = Outcome.NOT_INVOKED
        is_fed = _feed(interpreter, question.inputs)
        interpreter.invoke()
    except (AttributeError, RuntimeError):  # the wheel's own Python looks for the options of VAR_HANDLE
        return Answer(outcome, _said(log))
    interpreter.print_allocations()
    head = re.search(r"allocation head (\d+)", _said(log))
    outputs = tuple(_outputs(interpreter, results))
    return Answer(Outcome.RUNS, "", int(head[1]) if head else 0, outputs, is_fed)


def _outputs(interpreter: Any, most: int) -> Iterator[NDArray[Any]]:
    """As many as were asked for, until there are no more, or one has a type that the wheel cannot hand out."""
    for index in range(most):
        try:
            yield interpreter.get_output(index).copy()
        except (IndexError, RuntimeError, ValueError):
            return


def _feed(interpreter: Any, inputs: Sequence[NDArray[Any]]) -> bool:
    """Whether the wheel took all of them."""
    is_fed = True
    for index, elements in enumerate(inputs):
        try:
            interpreter.set_input(elements, index)
        except (RuntimeError, ValueError):  # the wheel's own limit, not TFLM's: it then runs on what lies there
            is_fed = False
    return is_fed


def _said(log: Any) -> str:
    log.seek(0)
    said: str = log.read().decode(errors="replace").strip()
    return said
