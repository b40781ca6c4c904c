"""What every rule that only moves numbers ends with, and where its bounds and axes come from."""

from __future__ import annotations

from mcusim.frontends.qdq.emitter import Emitter
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Step

__all__ = ["kept", "numbers"]


def numbers(emitter: Emitter, step: Step, attribute: str, index: int) -> tuple[int, ...] | None:
    """Integers that are an attribute in old opsets and an input in new ones; None where they are left out."""
    stored = step.integers(attribute)
    if stored is not None:
        return stored
    if not step.has(index):
        return None
    held = emitter.get(step.input(index))
    if held.elements is None:
        what = f"its {attribute} are computed at run time"
        raise step.refuse(what, "export the model with fixed shapes: no dynamic axes")
    return tuple(int(each) for each in held.elements.ravel())


def kept(emitter: Emitter, step: Step, held: Held, output: int = 0) -> None:
    """Place an output whose numbers lie on its input's grid: brought to its own, if that is another."""
    target = emitter.target(step, output) if held.grid is not None else None
    if held.grid is not None and target is not None and held.tensor is not None:
        held = emitter.on_grid(held, target, step.outputs[output])
    emitter.finish(step, held, output=output)
