"""Quantisers and clamps: what stands between the operators, and mostly vanishes."""

from __future__ import annotations

from dataclasses import replace

from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.placing import kept
from mcusim.graph import Activation

__all__: list[str] = []


@lowers("Identity", "Dropout", "Relu", "Clip", "Cast")
def unchanged(emitter: Emitter, step: Step) -> None:
    """Nothing, but for a clamp, which stands in the step's attributes.

    A clamp of what lies on another grid comes after the step to its own: TFLite's RELU does both at once.
    """
    held = emitter.get(step.input(0))
    target = emitter.target(step)
    limits = step.attributes.get("clamp")
    if step.op in ("Relu", "Clip") and limits is None:
        raise step.refuse("its bounds are computed at run time", "give it constant bounds")
    if limits is not None and held.grid is not None and target is not None and held.tensor is not None:
        _clamp_between(emitter, step, held, held.grid, target)
        return
    if limits is not None and held.tensor is not None and held.grid is None:
        activation = emitter.activation(step, None)
        if activation in (Activation.RELU, Activation.RELU6):
            tensor = emitter.emit(activation.upper(), (held.at,), step.output, grid=None, dtype=held.dtype)
            emitter.put(step.output, replace(held, tensor=tensor))
            return
    if step.op == "Cast" and held.elements is None and held.grid is None:
        raise step.refuse("it changes types between real numbers and integers", "remove it")
    kept(emitter, step, held)


def _clamp_between(emitter: Emitter, step: Step, held: Held, grid: Grid, target: Grid) -> None:
    """A clamp of what lies on `grid` to `target`."""
    if grid == target and _fused_into_producer(emitter, step, held):
        return
    activation = emitter.activation(step, target)
    if activation is Activation.RELU and target.dtype is grid.dtype:
        tensor = emitter.emit("RELU", (held.at,), step.output, grid=target)
        emitter.put(step.output, replace(held, tensor=tensor, grid=target, dtype=target.dtype))
        return
    moved = emitter.on_grid(held, target, step.output)
    if activation is Activation.RELU6:
        tensor = emitter.emit("RELU6", (moved.at,), step.output, grid=target)
        emitter.put(step.output, replace(moved, tensor=tensor))
        return
    emitter.finish(step, moved)


def _fused_into_producer(emitter: Emitter, step: Step, held: Held) -> bool:
    """Whether the operator before could take the clamp, which is then no operator of its own.

    Exact: both lie on one grid, and nobody else reads what lies between.
    """
    activation = emitter.activation(step, held.grid)
    reader = step.input(0)
    network = emitter.network
    while network.is_read_once(reader):
        producer = network.producer.get(reader)
        if producer is None:
            return False
        if producer.op not in ("QuantizeLinear", "DequantizeLinear"):
            break
        reader = producer.input(0)
    else:
        return False
    if activation is Activation.NONE:
        return False
    if not emitter.builder.fuse(held.at, activation, step.output):
        return False
    emitter.put(step.output, held)
    return True


@lowers("QuantizeLinear")
def quantize(emitter: Emitter, step: Step) -> None:
    held, target = emitter.get(step.input(0)), emitter.target(step)
    emitter.put(step.output, emitter.on_grid(held, target, step.output))


@lowers("DequantizeLinear")
def dequantize(emitter: Emitter, step: Step) -> None:
    """Nothing: the value is the same numbers. Constants come on their grid."""
    from_constant = emitter.network.constants.get(step.input(0)) is not None
    if from_constant:
        emitter.put(step.output, emitter.stored(step))
        return
    held, grid = emitter.get(step.input(0)), emitter.grids[step.output]
    if held.grid is not None and held.grid != grid:
        raise step.refuse(
            f"it reads scale {grid.scale:g} and zero point {grid.zero_point} from integers that were stored with "
            f"{held.grid.scale:g} and {held.grid.zero_point}",
            "give both the same scale and zero point",
        )
    emitter.put(step.output, replace(held, grid=grid))
