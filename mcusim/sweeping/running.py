"""Questions out to workers, rows back, parts written as they are complete.

A worker that dies is replaced, and its batch asked again; the second time its questions go out a network at a time,
and a network that has ended two workers becomes rows that say so.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from mcusim.sweeping.answering import answers, failure
from mcusim.sweeping.cluster import Cluster
from mcusim.sweeping.pool import Pool
from mcusim.sweeping.rows import ERROR, NUMBER, Row
from mcusim.sweeping.spec import Sweep, SweptQuestion
from mcusim.sweeping.store import Store, opened
from mcusim.sweeping.work import Batch, Workers

__all__ = ["Forecast", "Progress", "Tally", "forecast", "run_sweep"]

Progress = Callable[[int, int], None]
"""Told (answers that are there, all) as the sweep goes on."""

_MOST_DEATHS = 2
_TRIED, _TRIAL_SECONDS = 24, 3.0


class Tally(NamedTuple):
    """Answers of this run. failed: those that say why there is none.   resumed: those that were there before."""

    answered: int
    failed: int
    resumed: int
    seconds: float


class Forecast(NamedTuple):
    """Before a sweep starts. seconds: on `processes`, from a few of its questions asked now."""

    questions: int
    networks: int
    processes: int
    seconds: float


def processes_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def forecast(sweep: Sweep, processes: int | None = None) -> Forecast:
    """How many answers a sweep has, and how long it will take here."""
    count = processes or processes_here()
    networks = len(sweep.networks)
    step = max(networks // _TRIED, 1)
    asked, began = 0, time.monotonic()
    for network in range(0, networks, step):
        first = network * sweep.each
        answers([sweep.question(number) for number in range(first, first + min(sweep.each, _TRIED))])
        asked += min(sweep.each, _TRIED)
        if time.monotonic() - began > _TRIAL_SECONDS:
            break
    seconds_each = (time.monotonic() - began) / asked
    return Forecast(len(sweep), networks, count, seconds_each * len(sweep) / count)


def run_sweep(
    sweep: Sweep,
    folder: str | os.PathLike[str],
    *,
    processes: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Answer what has no answer in `folder` yet.

    processes: on this machine; all cores if None.   scheduler: the address of a Dask scheduler, to work there instead.
    Raises InputError for a folder of another sweep and a scheduler that does not answer, OutputError for a full disk.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        cluster = None if scheduler is None else Cluster(scheduler)  # Before the folder: one that fails leaves none.
        if cluster is not None:
            stack.callback(cluster.close)
        store = stack.enter_context(opened(Path(folder), sweep))
        missing = store.missing()
        resumed = len(sweep) - sum(stop - start for start, stop in missing)
        if not missing:
            return Tally(0, 0, resumed, 0.0)
        workers: Workers
        if cluster is None:
            workers = Pool(min(processes or processes_here(), len(missing)))
            stack.callback(workers.close)
        else:
            workers = cluster
        answered = failed = 0
        for rows in _written(store, missing, workers):
            answered += len(rows)
            failed += sum(row[ERROR] is not None for row in rows)
            if progress is not None:
                progress(resumed + answered, len(sweep))
    return Tally(answered, failed, resumed, time.monotonic() - began)


def _written(store: Store, missing: Iterable[tuple[int, int]], workers: Workers) -> Iterator[list[Row]]:
    """The rows of each part, once it is written."""
    fresh = (_batch(store.sweep, part) for part in missing)
    again: deque[Batch] = deque()
    open_rows: dict[tuple[int, int], list[Row]] = {}
    under_way = 0
    while True:
        while under_way < 2 * workers.count:  # one in work and one waiting for each
            batch = again.popleft() if again else next(fresh, None)
            if batch is None:
                break
            workers.submit(batch)
            under_way += 1
        if not under_way:
            return
        batch, rows, why = _unpacked(workers)
        under_way -= 1
        if rows is None:
            again.extend(_retried(batch))
            if batch.deaths + 1 < _MOST_DEATHS or len(_networks(batch.questions)) > 1:
                continue
            network = batch.questions[0].network.label
            sentence = f"{network}: it ended {_MOST_DEATHS} workers ({why}); report it"
            rows = [failure(question, sentence) for question in batch.questions]
        part = batch.part
        collected = open_rows.setdefault(part, [])
        collected += rows
        if len(collected) == part[1] - part[0]:
            collected.sort(key=itemgetter(NUMBER))
            store.write(part, collected)
            yield open_rows.pop(part)


def _unpacked(workers: Workers) -> tuple[Batch, list[Row] | None, str]:
    done = workers.done()
    return done.batch, done.rows, done.why


def _batch(sweep: Sweep, part: tuple[int, int]) -> Batch:
    return Batch(part, tuple([sweep.question(number) for number in range(*part)]))


def _networks(questions: Iterable[SweptQuestion]) -> list[tuple[SweptQuestion, ...]]:
    """The questions by network."""
    return [tuple(group) for _, group in groupby(questions, key=lambda question: question.network)]


def _retried(batch: Batch) -> list[Batch]:
    """What is asked again after a death: the same, a network at a time; nothing of a network that has had its tries."""
    groups = _networks(batch.questions)
    if len(groups) > 1:  # nobody knows which network it was: each has its two tries alone
        return [Batch(batch.part, group) for group in groups]
    return [Batch(batch.part, batch.questions, batch.deaths + 1)] if batch.deaths + 1 < _MOST_DEATHS else []
