"""A run of questions -> their rows. This is what a worker does, on this machine or another."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mcusim.boundary.wording import without_options
from mcusim.errors import McusimError
from mcusim.graph import Graph
from mcusim.question.arguments import the_graph
from mcusim.simulation.simulate import report_of
from mcusim.sweeping.drawing import DrawnNetwork
from mcusim.sweeping.rows import Row, row_of, row_of_failure
from mcusim.sweeping.spec import Network, SweptQuestion
from mcusim.version import __version__

_ALLOCATIONS = 100_000
"""More objects made than freed before garbage is sought: some hundred networks."""

__all__ = ["answers", "failure", "worker_version"]


class _Loaded(NamedTuple):
    """The network of the last question, as the next one is most often about the same. error: why there is none."""

    network: Network
    graph: Graph | None
    error: str = ""


def answers(questions: Sequence[SweptQuestion]) -> list[Row]:
    """The row of each question, in their order. A question that cannot be answered has a row that says why."""
    rows: list[Row] = []
    loaded = None
    with _garbage_seldom_sought():
        for question in questions:
            if loaded is None or loaded.network != question.network:
                loaded = _load(question.network)
            rows.append(_row(question, loaded))
    return rows


@contextmanager
def _garbage_seldom_sought() -> Iterator[None]:
    """Answers leave no circles behind, and a worker keeps much: looking through it again and again takes a fifth of
    its time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def worker_version() -> str:
    """The version that answers there."""
    return __version__


def failure(question: SweptQuestion, sentence: str) -> Row:
    """The row of a question without an answer."""
    return row_of_failure(_asked(question), sentence)


def _load(network: Network) -> _Loaded:
    try:
        source = network.source
        return _Loaded(network, source.graph() if isinstance(source, DrawnNetwork) else the_graph(source))
    except McusimError as error:
        return _Loaded(network, None, _sentence(error))
    except MemoryError:
        return _Loaded(network, None, "there is not memory enough to read it")


def _row(question: SweptQuestion, loaded: _Loaded) -> Row:
    if loaded.graph is None:
        return failure(question, loaded.error)
    try:
        report = report_of(question.about(loaded.graph))
    except McusimError as error:
        return failure(question, _sentence(error))
    except MemoryError:
        return failure(question, "there is not memory enough to answer")
    return row_of(_asked(question), report)


def _asked(question: SweptQuestion) -> Row:
    return (
        question.number,
        question.network.label,
        question.board,
        question.runtime,
        question.schedule,
        question.clock_hz,
    )


def _sentence(error: McusimError) -> str:
    return f"{error.where}: {error.what}; {without_options(error.fix)}"
