"""TFLM's persistent bytes: the tail of the arena, added up by allocation, by account and by phase of setting up.

The arena has two ends. Activations and scratch (the head) grow up from its start; what lives as long as the
interpreter (the tail) grows down from its end, one `AllocatePersistentBuffer(size, alignment)` after the other:

    start                                                                             end (16-byte aligned)
    | head: planned buffers ->        free        <- last ... prepare, init, params, nodes, eval tensors, allocators |

`tflm_allocations` says what is allocated, in order. An example on 32 bits: two allocations, 18 bytes aligned to 4 and
then 40 aligned to 16, take 18 up to 20, and 60 up to 64: 64 bytes, of which 6 are lost to alignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from mcusim.graph import Graph
from mcusim.runtimes.registry import LedgerItem, Persistent
from mcusim.runtimes.tflm_allocations import (
    ALLOCATIONS_KEPT,
    BENCHMARK,
    BUFFER_ALIGNMENT_BYTES,
    FIRMWARE,
    RESOURCES,
    UNKNOWN,
    Build,
    NodeStorage,
    all_nodes,
    allocations,
    allocators,
    file_parts,
    graph_tensors,
    grown,
    grown_by,
    model_tables,
    scratch_handles,
    storages_of,
    variable_table,
    variable_tensors,
)
from mcusim.runtimes.tflm_storage import MCU_POINTER_BYTES

__all__ = ["TailItem", "TailPhases", "harness_bytes", "tail_bytes", "tail_items", "tail_ledger", "tail_phases"]


class TailItem(NamedTuple):
    """One allocation.

    size_bytes: asked for.   padding_bytes: lost to its alignment.   account: the line of the ledger it belongs to.
    """

    name: str
    size_bytes: int
    why: str
    alignment_bytes: int
    padding_bytes: int
    account: str

    @property
    def used_bytes(self) -> int:
        return self.size_bytes + self.padding_bytes


def tail_items(graph: Graph, pointer_bytes: int = MCU_POINTER_BYTES, build: Build = FIRMWARE) -> tuple[TailItem, ...]:
    """Every allocation of the tail, in order; their `used_bytes` sum to `tail_bytes`.

    pointer_bytes: 4 on a microcontroller, 8 on a 64-bit host. Operators of unknown storage are left out.
    """
    items, used = [], 0
    for account, owner, requests in allocations(graph, pointer_bytes, build).groups:
        for what, size, alignment, why in requests:
            end = -(-(used + size) // alignment) * alignment
            name = f"{owner}: {what}" if owner else what
            items.append(TailItem(name, size, why, alignment, end - used - size, account))
            used = end
    return tuple(items)


def tail_bytes(graph: Graph, pointer_bytes: int = MCU_POINTER_BYTES, build: Build = FIRMWARE) -> Persistent:
    """Bytes of the tail: what `arena_used_bytes()` counts beside the head."""
    phases = tail_phases(graph, pointer_bytes, build)
    return Persistent(phases.public, _warning(phases.unknown))


def tail_ledger(
    graph: Graph, pointer_bytes: int = MCU_POINTER_BYTES, build: Build = FIRMWARE
) -> tuple[LedgerItem, ...]:
    """The tail on a few accounts, one line for all nodes of an operator; what a recorder adds comes last."""
    totals: dict[str, tuple[int, str]] = {}
    for item in tail_items(graph, pointer_bytes, build.plain()):
        size_bytes, why = totals.get(item.account, (0, item.why))
        totals[item.account] = (size_bytes + item.used_bytes, why)
    counts: dict[str, int] = {}
    for node in all_nodes(graph):
        counts[node.op] = counts.get(node.op, 0) + 1
    lines = []
    for account, (size_bytes, why) in totals.items():
        if account in counts:
            why = f"{counts[account]} of them: parsed parameters, kernel data and the buffers that Prepare keeps"
        lines.append(LedgerItem(account, size_bytes, why))
    recorder_bytes = tail_bytes(graph, pointer_bytes, build)[0] - sum(line.size_bytes for line in lines)
    if recorder_bytes:
        lines.append(
            LedgerItem("recorder", recorder_bytes, "counts allocations, in benchmarks and in the Python wheel")
        )
    return tuple(lines)


def harness_bytes(graph: Graph, build: Build = BENCHMARK, plain: Build = FIRMWARE) -> int:
    """What TFLM's generic benchmark keeps beside plain firmware: a recording allocator, and 100 slots for variables.

    build, plain: with and without them, of the same kernels. Only the first allocations differ, and once one is aligned
    to 16 bytes the difference stays what it is.
    """
    used = [_start_bytes(graph, each) for each in (build, plain)]
    phases = tail_phases(graph, MCU_POINTER_BYTES, plain)
    if used[0] % MCU_POINTER_BYTES == used[1] % MCU_POINTER_BYTES and phases.first_kernel:
        # Till the first kernel's own, nothing is aligned to more than a pointer: the difference stays what it is.
        before, size = phases.parameters, phases.first_kernel
        used = [-(-(before + more + size) // BUFFER_ALIGNMENT_BYTES) for more in (used[0] - used[1], 0)]
        return (used[0] - used[1]) * BUFFER_ALIGNMENT_BYTES
    groups = allocations(graph, MCU_POINTER_BYTES, plain).groups
    for _, _, requests in groups[1 + len(variable_table(graph, MCU_POINTER_BYTES, plain)) :]:
        for _, size, alignment, _ in requests:
            used = [-(-(each + size) // alignment) * alignment for each in used]
            if alignment == BUFFER_ALIGNMENT_BYTES:
                return used[0] - used[1]
    return used[0] - used[1]


def _start_bytes(graph: Graph, build: Build) -> int:
    """Bytes of the allocators and of the table of variables."""
    groups = [("", "", allocators(MCU_POINTER_BYTES, build)), *variable_table(graph, MCU_POINTER_BYTES, build)]
    used = 0
    for _, _, requests in groups:
        for _, size, alignment, _ in requests:
            used = -(-(used + size) // alignment) * alignment
    return used


def _warning(unknown: Iterable[str]) -> str:
    names = ", ".join(sorted(set(unknown)))
    return f"nobody has counted what TFLM keeps for {names}; the persistent bytes are a lower bound" if names else ""


class TailPhases(NamedTuple):
    """Bytes of the tail at the end of each phase of setting up, and what setting up needs to know besides.

    parameters: after the parsed options of all nodes.   loaded ... public: see `Allocations`.
    first_kernel: bytes that the first kernel keeps, which is the first allocation aligned as buffers are; 0 where the
    options are not aligned to less, or no kernel keeps any.   requests: of scratch.   unknown: see `Allocations`.
    """

    parameters: int
    loaded: int
    prepared: int
    handles: int
    states: int
    public: int
    first_kernel: int
    requests: int
    unknown: tuple[str, ...]


@lru_cache(ALLOCATIONS_KEPT)
def tail_phases(graph: Graph, pointer_bytes: int, build: Build) -> TailPhases:
    """The bytes of `allocations`, without the allocations: what nodes that are alike keep is added up once."""
    parts = file_parts(graph)
    storages = [each for part in parts for each in storages_of(part, pointer_bytes, build)]
    groups = [*variable_table(graph, pointer_bytes, build), *model_tables(graph, pointer_bytes, build)]
    used = grown(0, allocators(pointer_bytes, build))
    for _, _, requests in groups:
        used = grown(used, requests)
    params, kernels, buffers = zip(*[each.grown for each in storages], strict=True) if storages else ((), (), ())
    parameters = grown_by(used, params)
    loaded = grown_by(parameters, kernels)
    if graph.operators & RESOURCES:
        prepared = loaded
        for node in allocations(graph, pointer_bytes, build).prepared:
            for _, _, requests in node.kept:
                prepared = grown(prepared, requests)
    else:
        prepared = grown_by(loaded, buffers)
    scratch = sum([each.handles for each in storages])
    handles = grown(prepared, (scratch_handles(scratch, pointer_bytes),)) if scratch else prepared
    states = handles
    for _, _, requests in variable_tensors(graph):
        states = grown(states, requests)
    public = states
    for _, _, requests in graph_tensors(graph, pointer_bytes):
        public = grown(public, requests)
    nodes = [node for part in parts for node in part.nodes] if UNKNOWN in storages else []
    return TailPhases(
        parameters, loaded, prepared, handles, states, public, _first_kernel(storages, pointer_bytes), scratch,
        tuple([node.signature.op for node, kept in zip(nodes, storages, strict=False) if kept is UNKNOWN]),
    )  # fmt: skip


def _first_kernel(storages: Sequence[NodeStorage], pointer_bytes: int) -> int:
    first = next((kept.kernel[0] for kept in storages if kept.kernel), None)
    if first is None or first.alignment_bytes != BUFFER_ALIGNMENT_BYTES:
        return 0
    if max([kept[0][0][2] for kept in storages if kept[0]], default=1) > pointer_bytes:
        return 0
    return first.size_bytes
