"""Network + inputs -> outputs, bit-exactly, in the arena that the plan claims.

>>> import mcusim, numpy
>>> graph = mcusim.load("model.tflite")                                 # doctest: +SKIP
>>> [scores] = mcusim.execute(graph, [numpy.zeros((1, 96, 96, 3), numpy.int8)])       # doctest: +SKIP
"""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from os import PathLike
from typing import Any, Literal, overload

from mcusim.errors import InputError, ScheduleError
from mcusim.execution.feeds import Inputs, check_inputs
from mcusim.execution.preparation import Array, Preparation, numerics_of, prepare
from mcusim.execution.runners import Tier
from mcusim.execution.sessions import Session, Trace
from mcusim.execution.streams import compiled_tier
from mcusim.graph import Graph
from mcusim.ops.registry import Numerics
from mcusim.question.arguments import the_graph, the_runtime, the_schedule
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule

__all__ = ["execute", "prepared", "session"]

Model = Graph | str | PathLike[str] | Mapping[str, Any]

DEFAULT_RUNTIME = "tflm"
PREPARATIONS_KEPT = 16
"""Networks that stay prepared. They hold their graph, so they are few; the one used longest ago goes first."""


@overload
def execute(
    model: Model,
    inputs: Inputs,
    *,
    schedule: Schedule | str = ...,
    runtime: Runtime | str = ...,
    trace: Literal[False] = ...,
    numerics: Numerics | str = ...,
    threads: int | None = ...,
    check: bool = ...,
) -> list[Array]: ...


@overload
def execute(
    model: Model,
    inputs: Inputs,
    *,
    schedule: Schedule | str = ...,
    runtime: Runtime | str = ...,
    trace: Literal[True],
    numerics: Numerics | str = ...,
    threads: int | None = ...,
    check: bool = ...,
) -> Trace: ...


def execute(
    model: Model,
    inputs: Inputs,
    *,
    schedule: Schedule | str = "layer",
    runtime: Runtime | str = DEFAULT_RUNTIME,
    trace: bool = False,
    numerics: Numerics | str = Numerics.TFLM,
    threads: int | None = None,
    check: bool = False,
) -> list[Array] | Trace:
    """Run a network and return its outputs, in the order of `graph.outputs`.

    inputs: an array for each input, in the order of `graph.inputs`, or by name; the array alone where there is one.
        An array of exactly the input's shape is one call; with N in the place of its leading 1 it is N independent
        calls, shared out over the cores, whose outputs are stacked. Variables start anew for every call: `session`
        keeps them.
    trace: return a Trace instead, with every tensor of one call.   numerics: whose arithmetic, see `Numerics`.
    threads: at most so many; None for one a core.   check: run with a canary that finds overlapping plans (slow).
    Raises McusimError where the model, an input or an option is wrong, before anything runs.
    """
    most = None if threads is None else _positive(threads)
    pool = _pool_of(model, schedule, runtime, numerics)
    if trace:
        with pool.lend(check) as lent:
            return lent.session.trace(inputs)
    graph = pool.ready.graph
    # The usual call: one input, one inference, nothing to check twice. It skips `check_inputs` and the threads.
    if not check:
        with pool.lend(check) as lent:
            plain_outputs = lent.session.run_plainly(inputs)
        if plain_outputs is not None:
            return plain_outputs
    feed = check_inputs(graph, inputs)
    if feed.calls is None:
        with pool.lend(check) as lent:
            return lent.session.call(feed.arrays)
    outputs = feed.room_for_outputs(graph)
    workers = max(min(most or _cores(), feed.calls), 1)
    # Consecutive calls to a worker, in shares that differ by one at most.
    shares = [range(i * feed.calls // workers, (i + 1) * feed.calls // workers) for i in range(workers)]

    def work(calls: range) -> None:
        with pool.lend(check) as lent:
            lent.session.fill(feed, outputs, calls, independent=pool.ready.keeps_state)

    if workers == 1:
        work(shares[0])
        return outputs
    with ThreadPoolExecutor(workers) as executor:
        for done in [executor.submit(work, calls) for calls in shares]:
            done.result()
    return outputs


def session(
    model: Model,
    *,
    schedule: Schedule | str = "layer",
    runtime: Runtime | str = DEFAULT_RUNTIME,
    numerics: Numerics | str = Numerics.TFLM,
) -> Session:
    """A network with its own arena, whose variables keep their values from call to call until `reset()`.

    For streaming networks, which see a signal piece by piece: `session(graph).run([frame])`.
    """
    pool = _pool_of(model, schedule, runtime, numerics)
    return Session(pool.ready, tier=pool.tier)


def prepared(
    model: Model,
    *,
    schedule: Schedule | str = "layer",
    runtime: Runtime | str = DEFAULT_RUNTIME,
    numerics: Numerics | str = Numerics.TFLM,
) -> Preparation:
    """The network lowered, placed, and every node prepared; known again for the same graph and options."""
    return _pool_of(model, schedule, runtime, numerics).ready


class _Pool:
    """Sessions of one preparation that nobody uses at the moment."""

    def __init__(self, ready: Preparation) -> None:
        self.ready = ready
        self._idle: deque[Session] = deque()

    @cached_property
    def tier(self) -> Tier | None:
        """What its sessions share beside the preparation; the first loads kernels, or compiles them."""
        return compiled_tier()

    def lend(self, check: bool) -> _Lent:
        return _Lent(self, check)

    def take(self, check: bool) -> Session:
        if check:
            return Session(self.ready, check=True, tier=self.tier)
        try:
            lent = self._idle.pop()
        except IndexError:
            return Session(self.ready, tier=self.tier)
        # A call must not see what an earlier caller's call left in the variables.
        if self.ready.keeps_state:
            lent.reset()
        return lent

    def give_back(self, lent: Session) -> None:
        self._idle.append(lent)


class _Lent:
    """A session for the time of a `with`."""

    def __init__(self, pool: _Pool, check: bool) -> None:
        self._pool, self._check = pool, check
        self.session = pool.take(check)

    def __enter__(self) -> _Lent:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._check:
            self._pool.give_back(self.session)


def _pool_of(model: Model, schedule: Schedule | str, runtime: Runtime | str, numerics: Numerics | str) -> _Pool:
    graph, plan, chosen = the_graph(model), the_schedule(schedule), the_runtime(runtime)
    if plan.is_auto:
        fix = "name one; `mcusim patch MODEL --profile BOARD` finds the best"
        raise ScheduleError("a run is of one schedule", where="schedule 'auto'", fix=fix)
    return _pool(graph, plan, chosen, numerics_of(numerics))


@lru_cache(PREPARATIONS_KEPT)
def _pool(graph: Graph, schedule: Schedule, runtime: Runtime, numerics: Numerics) -> _Pool:
    return _Pool(prepare(graph, schedule, runtime, numerics))


def _positive(threads: int) -> int:
    try:
        count = 0 if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        count = 0
    if count < 1:
        fix = "give a whole number above zero, or None for one a core"
        raise InputError(f"it is {type(threads).__name__} {threads!r:.60}", where="threads", fix=fix)
    return count


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
