"""IF and WHILE while a network runs: the steps of the subgraphs that they enter, in the same arena.

    WHILE   inputs -> condition's inputs, and -> outputs         IF   condition, inputs -> the chosen one's inputs
            as long as the condition answers true:                    its outputs -> outputs
                outputs -> body's inputs -> body -> outputs
                outputs -> condition's inputs
A subgraph has one home for each of its tensors, however often it is entered: what it is given is copied in, and what it
answers is copied out, byte for byte, whatever the types and shapes. The first byte of a condition decides.
Source: TFLM while.cc, if.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mcusim.errors import InputError
from mcusim.execution.arena import Arena, BoundStep, Canary
from mcusim.execution.preparation import Array
from mcusim.execution.runners import Tier, segments
from mcusim.graph import ABSENT, Flow
from mcusim.lowering.preparing import where_of
from mcusim.ops.registry import OPS, Piece, Remembered, StateRole, entered_subgraphs

__all__ = ["MOST_ROUNDS", "Subgraphs"]

MOST_ROUNDS = 1_000_000
"""A loop that has not ended by then is taken for one that never does."""


class Subgraph(NamedTuple):
    """One that is entered.   inputs, outputs: its tensors, where they lie.   run: all of its steps."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    run: Callable[[], None]


class Entries(NamedTuple):
    """What a step of control flow trusts.   subgraphs: in the order of the operator.   where: names the node."""

    subgraphs: tuple[Subgraph, ...]
    where: str


def _copy(sources: Iterable[Array], targets: Iterable[Array]) -> None:
    """As many bytes each (`lowering.borders`)."""
    for source, target in zip(sources, targets, strict=True):
        same = source if source.dtype == target.dtype else np.frombuffer(source.tobytes(), target.dtype)
        target[...] = same.reshape(target.shape)


def _holds(condition: Array) -> bool:
    return bool(condition.reshape(-1).view(np.uint8)[0])


def _choose(entries: Entries, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    chosen = entries.subgraphs[0 if _holds(inputs[0]) else 1]
    _copy(inputs[1:], chosen.inputs)
    chosen.run()
    _copy(chosen.outputs, outputs)


def _loop(entries: Entries, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    condition, body = entries.subgraphs
    _copy(inputs, condition.inputs)
    # The outputs hold the loop's state between rounds, and are right even if the body never runs.
    _copy(inputs, outputs)
    condition.run()
    rounds = 0
    while _holds(condition.outputs[0]):
        _copy(outputs, body.inputs)
        body.run()
        _copy(body.outputs, outputs)
        _copy(outputs, condition.inputs)
        condition.run()
        rounds += 1
        if rounds == MOST_ROUNDS:
            what = f"the loop has not ended after {MOST_ROUNDS:,} rounds"
            raise InputError(what, where=entries.where, fix="give the network inputs for which it ends")


_RUNS = {Flow.CHOOSES: _choose, Flow.LOOPS: _loop}


class Subgraphs:
    """The network and what it enters, bound to one arena."""

    def __init__(self, arena: Arena, tier: Tier | None, canary: Canary | None) -> None:
        self._arena, self._tier, self._canary = arena, tier, canary
        self._idle = arena.ready.program.idle_nodes
        self._entered: dict[int, Subgraph] = {}
        self._memories: dict[int, Remembered] = {}

    def steps(self, part: int = 0) -> list[BoundStep]:
        """The steps of the network, or of a subgraph, that do something; those of control flow run what they enter."""
        bound = [step for step in self._arena.bound_steps(part) if self._does_something(step)]
        return [self._wired(step) for step in bound]

    def forget(self) -> None:
        """Let every operator start anew that keeps something for itself."""
        for memory in self._memories.values():
            for array in memory.arrays:
                array[...] = 0

    def _does_something(self, step: BoundStep) -> bool:
        planned = step.iteration.step
        if planned.node == ABSENT:  # a moment in which something only lives, or a copy
            return planned.reads != (ABSENT,)
        if planned.node in self._idle:
            return False
        return self._arena.ready.steps[step.time].state not in (StateRole.HANDLE, StateRole.INITIALISE)

    def _wired(self, step: BoundStep) -> BoundStep:
        call = step.iteration.step.signature
        remembers = OPS[call.op].remembers
        if remembers is not None:
            # Kept by step, so that a session that binds its steps twice has one memory.
            arrays = tuple(np.zeros(kind.shape, kind.dtype.value) for kind in remembers(call))
            memory = self._memories.setdefault(step.time, Remembered(step.prepared, arrays))
            return step._replace(prepared=memory)
        run = _RUNS.get(OPS[call.op].flow)
        if run is None:
            return step
        numbers = entered_subgraphs(call)
        where = where_of(self._arena.ready.graph, step.iteration.step.node)
        return step._replace(run=run, prepared=Entries(tuple(map(self._subgraph, numbers)), where))

    def _subgraph(self, number: int) -> Subgraph:
        subgraph = self._entered.get(number)
        if subgraph is None:
            part = self._arena.ready.program.parts[number]
            inputs, outputs = (tuple(map(self._home, tensors)) for tensors in (part.inputs, part.outputs))
            subgraph = self._entered[number] = Subgraph(inputs, outputs, self._runner(number))
        return subgraph

    def _home(self, tensor: int) -> Array:
        constant = self._arena.ready.graph.tensors[tensor].constant
        array = self._arena.tensor(tensor) if constant is None else constant
        assert array is not None, "lowering gives what a subgraph takes and answers a home"
        return array

    def _runner(self, number: int) -> Callable[[], None]:
        steps, canary = self.steps(number), self._canary
        if canary is None:
            runs = [runner.run for runner in segments(self._arena.storage, steps, self._tier)]

            def run() -> None:
                for one in runs:
                    one()

            return run

        def checked_run() -> None:
            for step in steps:
                canary.run(step)

        return checked_run
