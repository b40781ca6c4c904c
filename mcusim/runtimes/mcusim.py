"""mcusim's own C: PADs folded, RESHAPEs free, working memory planned among the activations, 9 bytes a channel.

What a layer takes is what `firmware/choice.py` says of its kernel; the C that `mcusim codegen` writes reads the same.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from mcusim.errors import McusimError
from mcusim.firmware.choice import EXTERNAL_INPUT_BYTES, STACK_BOUND_BYTES, choose, overwrites_of, scratch_of
from mcusim.firmware.code_sizes import code_bytes_of
from mcusim.firmware.tables import Mode, channel_table
from mcusim.graph import ABSENT, Flow, Graph, Signature
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.lowering.staging import StepNode, network_of
from mcusim.ops import OPS
from mcusim.ops.registry import Call, entered_subgraphs
from mcusim.ops.shared.accumulators import Accumulator
from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.registry import CodeItem, Flash, Kernel, LedgerItem, Runtime, register
from mcusim.schedule import StageKind

__all__ = ["MCUSIM"]


def _kernel(signature: Signature) -> Kernel:
    choice = choose(signature)
    if choice is None:
        kinds = sorted({kind.dtype.value for kind in (*signature.inputs[:1], *signature.outputs) if kind is not None})
        return Kernel("none", supported=False, why=f"there is no C kernel for {signature.op} of {', '.join(kinds)}")
    return Kernel(choice.name or "nothing")


def _stored(graph: Graph) -> list[tuple[str, int]]:
    """(array, bytes) of every constant array that the C of a network holds."""
    choices = [choose(call) for call in _calls(graph)]
    return [(array.name, array.size_bytes) for choice in choices if choice is not None for array in choice.stored]


def _calls(graph: Graph) -> list[Signature]:
    """What is executed: nodes with their neighbours folded into them, without those that only relabel; and those of
    the subgraphs that an inference may enter."""
    calls = [step.signature for step in network_of(graph, RULES).steps]
    entered: set[int] = set()
    waiting = [call for call in calls if _enters(call)]
    while waiting:
        new = set(entered_subgraphs(waiting.pop())) - entered
        entered |= new
        inner = [node.signature for number in sorted(new) for node in graph.subgraphs[number - 1].nodes]
        calls += inner
        waiting += [call for call in inner if _enters(call)]
    return calls


def _enters(call: Signature) -> bool:
    """Whether it may enter subgraphs; an operator that nobody knows enters none."""
    return call.op in OPS and OPS[call.op].flow in (Flow.CHOOSES, Flow.LOOPS)


def _ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    sizes: dict[str, int] = {}
    for name, size_bytes in _stored(graph):
        sizes[name] = sizes.get(name, 0) + size_bytes
    return tuple(LedgerItem(name, size_bytes, _WHY.get(name, "a table")) for name, size_bytes in sizes.items())


_WHY = {
    "weights": "a byte each, filled up to pairs of channels and words of four",
    "scale": "a bias and a multiplier of 4 bytes a channel",
    "shift": "a byte a channel",
}


def _flash(graph: Graph) -> Flash:
    return Flash(sum(size for _, size in _stored(graph)), sum(_code(graph).values()), Basis.CALIBRATED)


_MODES: WeakKeyDictionary[Graph, list[frozenset[Mode]]] = WeakKeyDictionary()
"""Of the steps of a network: they are asked for with every schedule, and take the weights' bounds."""


def _code(graph: Graph) -> dict[str, int]:
    steps = network_of(graph, RULES).steps
    inner = _calls(graph)[len(steps) :]
    modes = _MODES.get(graph)
    if modes is None:
        modes = _MODES[graph] = [_modes(graph, step) for step in steps]
    return code_bytes_of([*(step.signature for step in steps), *inner], [*modes, *[frozenset[Mode]()] * len(inner)])


def _modes(graph: Graph, step: StepNode) -> frozenset[Mode]:
    """How a convolution's sums become outputs; nothing where its weights are not known, and of all else."""
    axis = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}.get(step.signature.op)
    choice = choose(step.signature)
    if axis is None or choice is None or choice.file in ("wide.h", "computed.h"):
        return frozenset()
    node, prepare = graph.nodes[step.node], OPS[step.signature.op].prepare
    inputs = [None if t == ABSENT else graph.tensors[t] for t in node.inputs]
    if prepare is None or any(t is not None and t.is_constant and t.constant is None for t in inputs):
        return frozenset()
    try:
        prepared = prepare(Call(node.signature, tuple(inputs), (graph.tensors[node.outputs[0]],), ""))
    except McusimError:
        return frozenset()
    accumulator = getattr(prepared, "accumulator", None)
    if not isinstance(accumulator, Accumulator):
        return frozenset()
    table = channel_table(accumulator, axis)
    return frozenset((table.way,)) if choice.file == "conv_2d.h" else table.modes


def _code_items(graph: Graph) -> tuple[CodeItem, ...]:
    return tuple(CodeItem(name, size, Basis.CALIBRATED, "gcc 12.2 -O2") for name, size in _code(graph).items())


RULES = LoweringRules(
    folds_padding=True,
    relabels_free=True,
    in_place=frozenset(OPS),
    overwrites=overwrites_of,
    planned_scratch=scratch_of,
    alignment=4,
    plans_variables=True,
    pointer_bytes=EXTERNAL_INPUT_BYTES,
    patch_input_place=InputPlace.EXTERNAL,
)
"""What the C of a network folds, relabels and computes in place."""

MCUSIM = register(
    Runtime(
        name="mcusim",
        version="1",
        title="mcusim's own C",
        rules=RULES,
        planner_name="best-fit",
        planner=best_fit_portfolio,
        kernel=_kernel,
        flash=_flash,
        flash_ledger=_ledger,
        code=_code_items,
        memory_basis=Basis.EXACT,
        stack_bytes=STACK_BOUND_BYTES,
        persistent_basis=Basis.EXACT,
        price_family="mcusim",
        weight_bits=(8, 4),
        activation_bits=(8, 16),
        stages=frozenset({StageKind.LAYER, StageKind.PATCH, StageKind.STREAM}),
        evidence="built from the generated C and executed in emulation: the same bytes after every step, and the same "
        "SRAM and weights; no board has confirmed its times yet",
    )
)
