"""A network with its own arena and its own variables, run call by call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcusim.errors import InputError
from mcusim.execution.arena import Arena, BoundStep, Canary, whole_piece
from mcusim.execution.control_flow import Subgraphs
from mcusim.execution.feeds import Feed, Inputs, check_inputs
from mcusim.execution.preparation import Array, Preparation, PreparedNode
from mcusim.execution.runners import BatchRunner, StepRunner, Tier, segments
from mcusim.graph import ABSENT, DType, Graph, Node
from mcusim.lowering.variables import handles
from mcusim.ops.registry import StateRole, taken_inputs
from mcusim.program import Iteration

__all__ = ["Session", "Trace"]


class Trace:
    """Every tensor of one call. `trace["name"]` or `trace[index]` is a tensor's array.

    tensors: index -> array, of all that were computed or given.   outputs: as `execute` returns them.
    """

    def __init__(self, graph: Graph, tensors: Mapping[int, Array], outputs: list[Array]) -> None:
        self.graph, self.tensors, self.outputs = graph, tensors, outputs

    def __getitem__(self, key: int | str) -> Array:
        if isinstance(key, int):
            return self.tensors[key]
        for index, array in self.tensors.items():
            if self.graph.tensors[index].name == key:
                return array
        raise KeyError(key)

    def __repr__(self) -> str:
        size_bytes = sum(array.nbytes for array in self.tensors.values())
        counts = f"{len(self.tensors)} tensors, {size_bytes:,} bytes, {len(self.outputs)} outputs"
        return f"<Trace of {self.graph.name}: {counts}>"


class _Port(NamedTuple):
    """Where an input or output of the network lies.   home: its array in the arena, of the network's shape."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    home: Array

    def takes(self, given: Any) -> bool:
        """Whether it is surely an array for one call; `check_inputs` looks at all others."""
        if type(given) is not np.ndarray or given.shape != self.shape or given.dtype != self.dtype:
            return False
        # A NaN or an infinity is the largest or smallest.
        return given.dtype.kind != "f" or (given.size > 0 and bool(np.isfinite(given.min()) & np.isfinite(given.max())))


class Session:
    """A network ready for call after call; variables keep their values until `reset()`.

    Not for two threads at once: `execute` gives each its own.
    """

    def __init__(self, ready: Preparation, *, check: bool = False, tier: Tier | None = None) -> None:
        """check: run with a canary, which finds overlapping plans (slow)."""
        self._ready, self._graph = ready, ready.graph
        self._arena = Arena(ready)
        self._tier = tier
        self._canary = Canary(self._arena) if check else None
        self._subgraphs = Subgraphs(self._arena, tier, self._canary)
        self._steps = self._subgraphs.steps()
        self._runners = segments(self._arena.storage, self._steps, tier)
        self._runs = [runner.run for runner in self._runners]
        self._alone: list[StepRunner] = []
        self._initial: list[Array] | None = None
        known = set(self._graph.inputs)
        before, after = [], []
        # Conversions that are the caller's: those reached from the inputs run before the network, the others behind it.
        for index in sorted(ready.program.caller):
            node = self._graph.nodes[index]
            if node.inputs[0] in known:
                known.update(node.outputs)
                before.append(index)
            else:
                after.append(index)
        self._before, self._after = before, after
        self._ports = None if before or after or check else self._find_ports()
        self.reset()

    def run(self, inputs: Inputs) -> list[Array]:
        """The outputs, in the order of `graph.outputs`.

        inputs: an array for each input of the network, in the order of `graph.inputs`, or by name; the array alone
        where there is one. With N in the place of the leading 1: N calls one after the other, outputs stacked.
        """
        plain_outputs = self.run_plainly(inputs)
        if plain_outputs is not None:
            return plain_outputs
        feed = check_inputs(self._graph, inputs)
        if feed.calls is None:
            return self.call(feed.arrays)
        outputs = feed.room_for_outputs(self._graph)
        self.fill(feed, outputs, range(feed.calls))
        return outputs

    def run_plainly(self, inputs: Inputs) -> list[Array] | None:
        """The outputs for the plainest inputs, with little ado: a list of arrays for one call. None for any others."""
        if self._ports is None:
            return None
        inward, outward = self._ports
        given: Any = [inputs] if isinstance(inputs, np.ndarray) else inputs
        if not isinstance(given, list | tuple) or len(given) != len(inward):
            return None
        for port, array in zip(inward, given, strict=True):
            if not port.takes(array):
                return None
        for port, array in zip(inward, given, strict=True):
            port.home[...] = array
        for run in self._runs:
            run()
        return [port.home.copy() for port in outward]

    def _find_ports(self) -> tuple[list[_Port], list[_Port]] | None:
        """The network's inputs and outputs, where all of them lie in the arena."""
        ports_of: list[list[_Port]] = [[], []]
        variables = {tensor for variable in self._ready.program.variables for tensor in variable.tensors}
        for ports, indices in zip(ports_of, (self._graph.inputs, self._graph.outputs), strict=True):
            for index in indices:
                tensor, home = self._graph.tensors[index], self._arena.tensor(index)
                # Constants, packed elements and variables need more than a copy: they take the long way.
                if home is None or tensor.constant is not None or tensor.dtype.is_packed or index in variables:
                    return None
                ports.append(_Port(tensor.shape, home.dtype, home.reshape(tensor.shape)))
        return ports_of[0], ports_of[1]

    def fill(self, feed: Feed, outputs: Sequence[Array], calls: range, *, independent: bool = False) -> None:
        """Run these calls of a batch and write their outputs to their places."""
        if self._ports is not None:
            inward, outward = self._ports
            batches = [np.ascontiguousarray(array) for array in feed.arrays]
            runner = self._runners[0] if len(self._runners) == 1 else None
            if not independent and isinstance(runner, BatchRunner) and all(r.flags.c_contiguous for r in outputs):
                # Calls that depend on each other (a stream) or that start anew cannot be run by the compiled batch
                # loop.
                runner.run_calls(
                    [(array, port.home) for array, port in zip(batches, inward, strict=True)],
                    [(room, port.home) for room, port in zip(outputs, outward, strict=True)],
                    calls,
                )
                return
            rooms = [room.reshape(len(room), *port.shape) for room, port in zip(outputs, outward, strict=True)]
            for call in calls:
                if independent:
                    self.reset()
                for port, array in zip(inward, batches, strict=True):
                    port.home[...] = array[call : call + 1]
                for run in self._runs:
                    run()
                for room, port in zip(rooms, outward, strict=True):
                    room[call] = port.home
            return
        for call in calls:
            if independent:
                self.reset()
            for room, output in zip(outputs, self.call(feed.one(call)), strict=True):
                room[call] = output.reshape(room.shape[1:])

    def call(self, arrays: Sequence[Array]) -> list[Array]:
        """One call with checked arrays."""
        outer = self._feed(arrays)
        if self._canary is None:
            for runner in self._runners:
                runner.run()
        else:
            for _ in self._one_by_one():
                pass
        return self._outputs(outer)

    def trace(self, inputs: Inputs) -> Trace:
        """One call, and every tensor of it."""
        feed = check_inputs(self._graph, inputs)
        if feed.calls is not None:
            what = f"{feed.calls} calls cannot be traced at once"
            raise InputError(what, where=f"network '{self._graph.name}'", fix="trace one call at a time")
        outer = self._feed(feed.arrays)
        seen: dict[int, Array] = {tensor: array.copy() for tensor, array in outer.items()}
        for step in self._one_by_one():
            self._keep(step, seen)
        # Silent nodes last, when everything that they read was seen.
        for index in self._before + sorted(set(self._ready.nodes) - set(self._before)):
            self._keep_outside(index, seen)
        outputs = self._outputs(dict(outer))
        return Trace(self._graph, dict(sorted(seen.items())), outputs)

    def reset(self) -> None:
        """Give every variable its first value: what the network's initialisers assign, else its zero point."""
        if self._initial is None:
            for variable, array in zip(self._ready.program.variables, self._arena.variables, strict=True):
                array[...] = variable.fill
            for part, nodes in self._ready.initialisers:
                self._initialise(part, nodes)
            self._initial = [array.copy() for array in self._arena.variables]
        for array, first in zip(self._arena.variables, self._initial, strict=True):
            array[...] = first
        self._subgraphs.forget()

    def first_values(self) -> tuple[bytes, ...]:
        """The bytes that each variable of the Program starts with."""
        self.reset()
        return tuple([np.ascontiguousarray(array).tobytes() for array in self._initial or ()])

    # -- one call -----------------------------------------------------------------------------------------------------

    def _feed(self, arrays: Sequence[Array]) -> dict[int, Array]:
        """Put the inputs where the steps find them, the caller's conversions done; returns what the caller holds.

        An input that is a variable is not among it: its value may be another one after the call.
        """
        outer = dict(zip(self._graph.inputs, arrays, strict=True))
        for index in self._before:
            node = self._graph.nodes[index]
            outer[node.outputs[0]] = _run_alone(self._ready.nodes[index], node, [outer[node.inputs[0]]])[0]
        for tensor, array in outer.items():
            self._arena.put(tensor, array)
        variables = {tensor for variable in self._ready.program.variables for tensor in variable.tensors}
        return {tensor: array for tensor, array in outer.items() if tensor not in variables}

    def _one_by_one(self) -> Iterator[BoundStep]:
        """Run the steps, of the tier too, each by itself and under the canary, and yield each when it is done."""
        if not self._alone:
            self._alone = [
                runner for step in self._steps for runner in segments(self._arena.storage, [step], self._tier)
            ]
        for step, runner in zip(self._steps, self._alone, strict=True):
            if self._canary is not None:
                self._canary.prepare(step)
            runner.run()
            if self._canary is not None:
                self._canary.verify(step)
            yield step

    def _outputs(self, outer: dict[int, Array]) -> list[Array]:
        for index in self._after:
            node = self._graph.nodes[index]
            source = outer.get(node.inputs[0])
            array = self._arena.tensor(node.inputs[0]) if source is None else source
            assert array is not None
            outer[node.outputs[0]] = _run_alone(self._ready.nodes[index], node, [array])[0]
        return [self._output(tensor, outer) for tensor in self._graph.outputs]

    def _output(self, tensor: int, outer: Mapping[int, Array]) -> Array:
        array = outer.get(tensor)
        if array is None:
            array = self._graph.tensors[tensor].constant
        if array is None:
            array = self._arena.tensor(tensor)
        assert array is not None, "lowering gives every output a home"
        return array.reshape(self._graph.tensors[tensor].shape).copy()

    # -- traces -------------------------------------------------------------------------------------------------------

    def _keep(self, step: BoundStep, seen: dict[int, Array]) -> None:
        """Copy a step's outputs, or pieces of them, out of the arena."""
        iteration = step.iteration
        if iteration.step.node == ABSENT:
            return
        for tensor, array in zip(self._graph.nodes[iteration.step.node].outputs, step.outputs, strict=True):
            kind = self._graph.tensors[tensor].type
            if kind.dtype is DType.RESOURCE:
                continue
            whole = seen.setdefault(tensor, np.zeros(kind.shape, array.dtype))
            whole[_place(iteration, whole) if whole.shape != array.shape else ...] = array

    def _keep_outside(self, index: int, seen: dict[int, Array]) -> None:
        """What a node would have computed that no step carries out."""
        node = self._graph.nodes[index]
        if all(tensor in seen for tensor in node.outputs):
            return
        inputs = []
        for tensor in node.inputs:
            constant = self._graph.tensors[tensor].constant if tensor != ABSENT else None
            array = seen.get(tensor, constant)
            if array is None:
                return
            inputs.append(array)
        seen.update(zip(node.outputs, _run_alone(self._ready.nodes[index], node, inputs), strict=True))

    # -- variables ----------------------------------------------------------------------------------------------------

    def _initialise(self, part: Graph, nodes: Sequence[PreparedNode]) -> None:
        """Run a subgraph that only assigns variables. It needs no arena: nothing of it outlives this."""
        names = handles(part)
        # Resources come last, so that they win over a state of the same name.
        arrays = {v.name: a for v, a in zip(self._ready.program.variables, self._arena.variables, strict=True)}
        values = {i: tensor.constant for i, tensor in enumerate(part.tensors) if tensor.constant is not None}
        for node, ready in zip(part.nodes, nodes, strict=True):
            if ready.state is StateRole.ASSIGN:
                stored = arrays[names[node.inputs[0]]]
                stored[...] = np.ascontiguousarray(values[node.inputs[1]]).reshape(-1).view(np.uint8)
            elif ready.state is StateRole.READ:
                kind = part.tensors[node.outputs[0]].type
                stored = arrays[names[node.inputs[0]]]
                values[node.outputs[0]] = stored.view(kind.dtype.value).reshape(kind.shape).copy()
            elif ready.state is StateRole.NONE:
                inputs = [values[tensor] for tensor in node.inputs]
                values.update(zip(node.outputs, _run_alone(ready, node, inputs), strict=True))


def _place(iteration: Iteration, whole: Array) -> tuple[slice, ...]:
    if whole.ndim != 4:
        return (slice(None),) * whole.ndim
    rows, cols = iteration.region
    return slice(None), slice(*rows), slice(*cols), slice(None)


def _run_alone(ready: PreparedNode, node: Node, inputs: Sequence[Array]) -> list[Array]:
    """A node outside the arena, whole."""
    outputs = [np.zeros(kind.shape, kind.dtype.unpacked.value) for kind in node.signature.outputs]
    output = node.signature.outputs[0] if node.signature.outputs else None
    taken = inputs[: taken_inputs(node.signature)]
    ready.run(ready.prepared, taken, outputs, whole_piece(output, len(taken)))
    return outputs
