"""What a network takes in flash, item by item: the model, the kernels linked for it, the runtime around them.

The code is an estimate until a linked firmware is there to read (`--map`); then its facts count.

    model     a .tflite file is stored as it is; TinyEngine's generator stores arrays of weights, biases, scales
    kernels   the functions that the network's layers are dispatched to, each once, whoever else calls it
    code      kernels of known size, and the rest: interpreter, library, start-up

Items add up to their total, whatever is known of them: what a total has beyond its items is an item too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.memory.linked_code import linked_items, linked_operators
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.ops.totals import count_parameters
from mcusim.report import Basis
from mcusim.runtimes import CodeItem, Flash, LedgerItem, Runtime
from mcusim.runtimes.code_sizes import function_bytes
from mcusim.schedule import LAYER

__all__ = ["FlashLedger", "KernelCode", "firmware_runs", "flash_ledger", "flash_of_firmware"]

_SLACK_BYTES = 64
"""An array that holds a file may be padded by so much."""
_GENERATED = re.compile(r"(weight|bias|scales|shift|multiplier|offset)\w*?\d+$")
"""Arrays that TinyEngine's generator writes."""


class KernelCode(NamedTuple):
    """A kernel that the network runs. layers: that use it.

    size_bytes: of its function, measured in the given firmware or in those behind the tables; None if not known.
    """

    name: str
    layers: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class FlashLedger:
    """model: items that add up to the model's bytes, or what is known of them.   kernels: what the network runs.

    code: items that add up to `code_bytes`, those of unknown size left out.   total_bytes: None where a part cannot be
    known.   basis: of the code.   note: what a reader should know.
    """

    model: tuple[LedgerItem, ...]
    kernels: tuple[KernelCode, ...]
    code: tuple[CodeItem, ...]
    code_bytes: int | None
    total_bytes: int | None
    basis: Basis
    note: str = ""


def flash_ledger(graph: Graph, runtime: Runtime, firmware: LinkedFirmware | None = None) -> FlashLedger:
    """The flash of `graph` under `runtime`; with `firmware`, code as it was linked."""
    stored = runtime.flash(graph) if firmware is None else flash_of_firmware(graph, runtime, firmware)
    items = runtime.flash_ledger(graph)
    # Without a file, the parts that can be added up (weights, biases) are less than what the serialised model takes.
    rest = (runtime.flash(graph).model_bytes or 0) - sum(item.size_bytes for item in items)
    if rest > 0:
        items = (*items, LedgerItem("tables", rest, "nodes, tensors, names, alignment: estimated, there is no file"))
    kernels = tuple(KernelCode(name, n, _bytes_of(name, firmware)) for name, n in _kernels_of(graph, runtime))
    code = _code_items(graph, runtime, firmware, stored.code_bytes)
    return FlashLedger(items, kernels, code, stored.code_bytes, stored.total_bytes, stored.basis, stored.warning)


def _kernels_of(graph: Graph, runtime: Runtime) -> list[tuple[str, int]]:
    """The functions that its layers are dispatched to, the most used first."""
    layers: dict[str, int] = {}
    for step in lower(graph, LAYER, runtime.rules).body():
        name = runtime.kernel(step.signature).name
        if name:
            layers[name] = layers.get(name, 0) + 1
    return sorted(layers.items(), key=lambda pair: (-pair[1], pair[0]))


def _bytes_of(name: str, firmware: LinkedFirmware | None) -> int | None:
    """Bytes of a kernel's function: as linked, or as measured elsewhere."""
    return function_bytes(name) if firmware is None else firmware.function_bytes(name)


def _code_items(
    graph: Graph, runtime: Runtime, firmware: LinkedFirmware | None, code_bytes: int | None
) -> tuple[CodeItem, ...]:
    if code_bytes is None:
        return ()
    if runtime.resolver is not None:
        if firmware is None:
            return runtime.code(graph)
        return linked_items(firmware, runtime.resolver(graph), code_bytes)
    sizes = [(name, layers, _bytes_of(name, firmware)) for name, layers in _kernels_of(graph, runtime)]
    known = [(name, layers, size) for name, layers, size in sizes if size is not None]
    items = [
        CodeItem(name, size, Basis.MEASURED, f"kernel of {layers} step{'s' * (layers > 1)}")
        for name, layers, size in known
    ]
    # A published total minus the kernels that were measured apart: what nobody itemised.
    rest = code_bytes - sum(size for _, _, size in known)
    if firmware is None:
        why = "generated calls, start-up, drivers, and kernels that it does not call"
        return (*items, CodeItem("application", rest, runtime.flash(graph).basis, why))
    return (*items, CodeItem("everything else", rest, Basis.MEASURED, "other kernels, application, drivers, libraries"))


def flash_of_firmware(graph: Graph, runtime: Runtime, firmware: LinkedFirmware) -> Flash:
    """Flash as the linked firmware has it: the model and all else. A model that it does not hold is added."""
    estimate = runtime.flash(graph)
    inside = _model_inside(firmware, graph, estimate.model_bytes)
    notes = [note for note in (_foreign(firmware), _linked(graph, runtime, firmware).remark) if note]
    if inside is not None:
        return Flash(inside, firmware.flash_bytes - inside, Basis.MEASURED, "; ".join(notes))
    notes.append(f"the model is not found in {firmware.where}: its bytes are added to the firmware's")
    if graph.source.file_bytes is None and estimate.warning:  # the model's size itself is an estimate
        return Flash(estimate.model_bytes, firmware.flash_bytes, estimate.basis, "; ".join((estimate.warning, *notes)))
    return Flash(estimate.model_bytes, firmware.flash_bytes, Basis.MEASURED, "; ".join(notes))


def _foreign(firmware: LinkedFirmware) -> str:
    if firmware.machine in ("", "ARM"):
        return ""
    return f"{firmware.where} was linked for {firmware.machine}, not for an Arm core"


def firmware_runs(graph: Graph, runtime: Runtime, firmware: LinkedFirmware | None) -> bool | None:
    """Whether the firmware links what the network needs; None where it does not tell. Without a firmware: True."""
    return True if firmware is None else _linked(graph, runtime, firmware).runs


class _Linked(NamedTuple):
    """What of the network a firmware can run. remark: what is to be said of it."""

    runs: bool | None
    remark: str = ""


def _linked(graph: Graph, runtime: Runtime, firmware: LinkedFirmware) -> _Linked:
    """What the firmware lacks of what the network needs. One that holds the model was made to run it."""
    wanted = [name for name, _ in _kernels_of(graph, runtime) if not name.startswith("reference ")]
    absent = [name for name in wanted if firmware.function_bytes(name) is None]
    # A firmware that holds the model's very bytes was built for it. What its symbols lack may be inlined.
    trusted = _model_inside(firmware, graph, runtime.flash(graph).model_bytes) is not None
    untold = _Linked(True) if trusted else _Linked(None, f"{firmware.where} names nothing that would run this network")
    if runtime.resolver is None:
        if len(absent) == len(wanted):
            return untold
        reason = f"{firmware.where} lacks kernels of this network: {', '.join(absent)}"
        return _Linked(None if trusted else False, reason) if absent else _RUNS  # an optimiser may have inlined them
    linked = linked_operators(firmware)
    if not linked:
        return untold
    lacking = sorted(runtime.resolver(graph) - linked)
    if lacking:
        reason = f"{firmware.where} registers no {', '.join(lacking)}: the interpreter would refuse this network"
        return _Linked(False, reason)
    if wanted and len(absent) == len(wanted):
        reason = f"{firmware.where} links none of CMSIS-NN's kernels for this network: reference kernels serve it"
        return _Linked(True, reason)
    return _RUNS


_RUNS = _Linked(True)


def _model_inside(firmware: LinkedFirmware, graph: Graph, model_bytes: int | None) -> int | None:
    """Bytes of the arrays that hold the model; None if there are none of its size."""
    arrays = [piece for piece in firmware.pieces if not piece.is_code]
    generated = sum(piece.size_bytes for piece in arrays if _GENERATED.match(piece.name))
    sizes = [*(piece.size_bytes for piece in arrays), generated]
    if model_bytes is not None:
        # The smallest that is large enough: of several arrays one may hold a second, larger model.
        return min((size for size in sizes if 0 <= size - model_bytes < _SLACK_BYTES), default=None)
    # Of a network without a file (described by its architecture) only the parameters are known: the array that holds a
    # model has at least those.
    weight_bytes, _ = count_parameters(graph)
    largest = max(sizes, default=0)
    return largest if weight_bytes and largest >= weight_bytes else None
