"""What a network takes in flash, item by item: the model, the kernels linked for it, the runtime around them.

The code is an estimate until a linked image is there to read (`--map`); then its facts count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.breakdown import count_parameters
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.memory.images import Image
from mcusim.report import Basis
from mcusim.runtimes import Flash, LedgerItem, Runtime
from mcusim.schedule import LAYER

__all__ = ["FlashLedger", "KernelCode", "flash_ledger", "flash_of_image"]

_SLACK_BYTES = 64
"""An array that holds a file may be padded by so much."""
_GENERATED = re.compile(r"(weight|bias|scales|shift|multiplier|offset)\w*?\d+$")
"""Arrays that TinyEngine's generator writes."""


class KernelCode(NamedTuple):
    """A kernel that the network needs. layers: that use it.   size_bytes: of its function, None if not known."""

    name: str
    layers: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class FlashLedger:
    """model: items that add up to the model's bytes, or what is known of them.   kernels: what is linked for it.

    code_bytes: kernels and runtime together.   rest_bytes: code beside the kernels whose size is known.
    total_bytes: None where a part cannot be known.   basis: of the code.   note: what a reader should know.
    """

    model: tuple[LedgerItem, ...]
    kernels: tuple[KernelCode, ...]
    code_bytes: int | None
    total_bytes: int | None
    basis: Basis
    note: str = ""

    @property
    def rest_bytes(self) -> int | None:
        known = [kernel.size_bytes for kernel in self.kernels if kernel.size_bytes is not None]
        return None if self.code_bytes is None or not known else self.code_bytes - sum(known)


def flash_ledger(graph: Graph, runtime: Runtime, image: Image | None = None) -> FlashLedger:
    """The flash of `graph` under `runtime`; with `image`, code as it was linked."""
    stored = runtime.flash(graph) if image is None else flash_of_image(graph, runtime, image)
    layers: dict[str, int] = {}
    for step in lower(graph, LAYER, runtime.rules).body():
        name = runtime.kernel(step.signature).name
        if name:
            layers[name] = layers.get(name, 0) + 1
    kernels = tuple(
        KernelCode(name, count, None if image is None else image.function_bytes(name))
        for name, count in sorted(layers.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    items = runtime.flash_ledger(graph)
    rest = (runtime.flash(graph).model_bytes or 0) - sum(item.size_bytes for item in items)
    if rest > 0:
        items = (*items, LedgerItem("tables", rest, "nodes, tensors, names, alignment: estimated, there is no file"))
    return FlashLedger(items, kernels, stored.code_bytes, stored.total_bytes, stored.basis, stored.warning)


def flash_of_image(graph: Graph, runtime: Runtime, image: Image) -> Flash:
    """Flash as the linked image has it: the model and all else. A model that is not in the image is added to it."""
    estimate = runtime.flash(graph)
    is_foreign = image.machine not in ("", "ARM")
    foreign = f"{image.where} was linked for {image.machine}, not for an Arm core" if is_foreign else ""
    inside = _model_inside(image, graph, estimate.model_bytes)
    if inside is not None:
        return Flash(inside, image.flash_bytes - inside, Basis.MEASURED, foreign)
    warning = f"{foreign}; " if foreign else ""
    warning += f"the model is not found in {image.where}: its bytes are added to the image's"
    if estimate.warning:  # the model's size itself is an estimate
        return Flash(estimate.model_bytes, image.flash_bytes, estimate.basis, f"{estimate.warning}; {warning}")
    return Flash(estimate.model_bytes, image.flash_bytes, Basis.MEASURED, warning)


def _model_inside(image: Image, graph: Graph, model_bytes: int | None) -> int | None:
    """Bytes of the arrays that hold the model; None if there are none of its size."""
    arrays = [piece for piece in image.pieces if not piece.is_code]
    generated = sum(piece.size_bytes for piece in arrays if _GENERATED.match(piece.name))
    sizes = [*(piece.size_bytes for piece in arrays), generated]
    if model_bytes is not None:
        return min((size for size in sizes if 0 <= size - model_bytes < _SLACK_BYTES), default=None)
    weight_bytes, _ = count_parameters(graph)
    largest = max(sizes, default=0)
    return largest if weight_bytes and largest >= weight_bytes else None
