"""How a contiguous range of steps is run: plainly, one kernel after the other, or encoded by a `Tier` into commands
that one call walks over by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from itertools import groupby
from typing import Protocol, runtime_checkable

from mcusim.execution.arena import BoundStep, Packed
from mcusim.execution.preparation import Array

__all__ = ["BatchRunner", "PlainRunner", "StepRunner", "Tier", "segments"]


class StepRunner(Protocol):
    """Runs a contiguous range of steps over the arena that it is bound to."""

    def run(self) -> None: ...


@runtime_checkable
class BatchRunner(StepRunner, Protocol):
    """A StepRunner that can also run call after call of a batch by itself.

    inward, outward: (batch, its place in the arena) for each input and output; all contiguous.
    """

    def run_calls(
        self, inward: Sequence[tuple[Array, Array]], outward: Sequence[tuple[Array, Array]], calls: range
    ) -> None: ...


class Tier(Protocol):
    """A faster way of running some steps, with the same bytes as result.

    encode: a step as this tier's command, or None where it declines: then its kernel runs it. Offsets and pitches of a
        step's tensors are those of its arrays, whose memory never moves (`gathers` and `scatters` are the tier's to
        do); constants are among them, and prepared
        integers in `step.prepared`, which all sessions of a network share: weights need packing once only.
    join: a runner of these commands, one after the other.   storage: the arena.
    """

    def encode(self, storage: Array, step: BoundStep) -> object | None: ...

    def join(self, storage: Array, commands: Sequence[object]) -> StepRunner: ...


class PlainRunner:
    """One kernel after the other."""

    def __init__(self, steps: Sequence[BoundStep]) -> None:
        self._steps = tuple(steps)

    def run(self) -> None:
        for step in self._steps:
            step.execute()


class UnpackedRunner:
    """One encoded step whose elements of 4 or 2 bits are unpacked before it and packed after it."""

    def __init__(self, step: BoundStep, inner: StepRunner) -> None:
        self._gathers = [moved for moved in step.gathers if isinstance(moved, Packed)]
        self._scatters = [moved for moved in step.scatters if isinstance(moved, Packed)]
        self._inner = inner

    def run(self) -> None:
        for moved in self._gathers:
            moved.gather()
        self._inner.run()
        for moved in self._scatters:
            moved.scatter()


def segments(storage: Array, steps: Sequence[BoundStep], tier: Tier | None) -> list[StepRunner]:
    """Runners that together run `steps` in order: of the tier where it takes them, plain elsewhere."""
    if tier is None:
        return [PlainRunner(steps)]
    encoded = [(step, tier.encode(storage, _without_packed(step))) for step in steps]
    runners: list[StepRunner] = []
    # Neighbours of one kind make one run: a whole network is usually a single stream of commands.
    for way, group in groupby(encoded, key=_way):
        pairs = list(group)
        taken, plain = [command for _, command in pairs], [step for step, _ in pairs]
        if way is _Way.UNPACKED:
            # Unpacking stands between two commands, so such a step is a stream of its own.
            runners += [UnpackedRunner(step, tier.join(storage, [command])) for step, command in pairs]
        else:
            runners.append(tier.join(storage, taken) if way is _Way.ENCODED else PlainRunner(plain))
    return runners


class _Way(Enum):
    """How a step runs: plainly, by a command, or by a command between unpacking and packing."""

    PLAIN = auto()
    ENCODED = auto()
    UNPACKED = auto()


def _way(encoded: tuple[BoundStep, object | None]) -> _Way:
    step, command = encoded
    if command is None:
        return _Way.PLAIN
    return _Way.UNPACKED if any(isinstance(moved, Packed) for moved in step.gathers + step.scatters) else _Way.ENCODED


def _without_packed(step: BoundStep) -> BoundStep:
    """The step as a tier sees it: unpacked elements are arrays like others."""
    gathers = tuple([moved for moved in step.gathers if not isinstance(moved, Packed)])
    scatters = tuple([moved for moved in step.scatters if not isinstance(moved, Packed)])
    return step._replace(gathers=gathers, scatters=scatters)
