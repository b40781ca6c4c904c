"""Every persistent allocation of TFLM's interpreter, in the order in which it is made.

    allocators -> subgraphs, eval tensors, nodes -> parsed options -> Init -> Prepare -> scratch handles -> variables
    -> public inputs and outputs

Nothing here is fitted: sizes are those of C structs, and what differs between two builds is the build. Lists of a
node's inputs and outputs and shapes cost nothing: they point into the model file. `tflm_persistent` adds them up.

Source: tensorflow/tflite-micro, tensorflow/lite/micro: micro_allocator.{h,cc}, recording_micro_allocator.h,
micro_interpreter_graph.cc, micro_resource_variable.{h,cc}, arena_allocator/*.h, memory_planner/greedy_memory_planner.h,
lite/c/common.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import NamedTuple

from mcusim.columns import Kept
from mcusim.graph import DType, Graph, Node, Signature, Tensor
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.runtimes.tflm_kernels import KERNELS, KERNELS_2026
from mcusim.runtimes.tflm_storage import (
    EVAL_TENSOR,
    KernelStorage,
    StorageRequest,
    int_array_bytes,
    layout_bytes,
)

__all__ = [
    "ALLOCATIONS_KEPT",
    "BENCHMARK",
    "BUFFER_ALIGNMENT_BYTES",
    "FIRMWARE",
    "RESOURCES",
    "UNKNOWN",
    "WHEEL",
    "AllocationRequest",
    "Allocations",
    "Build",
    "NodeStorage",
    "PreparedNode",
    "all_nodes",
    "allocations",
    "allocators",
    "file_parts",
    "graph_tensors",
    "grown",
    "grown_by",
    "growth_of",
    "model_tables",
    "scratch_handles",
    "storages_of",
    "variable_table",
    "variable_tensors",
]

ALLOCATIONS_KEPT = 4
_BUILDS_KEPT = 16
"""A report asks several times for one network."""

BUFFER_ALIGNMENT_BYTES = 16
"""MicroArenaBufferAlignment(): where a kernel's buffers start."""

ARENA_ALLOCATOR = "2p 5p p p"  # two vtables; five marks; checksum and number of temporary buffers
ARENA_RECORDS = " 4p"
GREEDY_PLANNER = "p 2i 3p p i p b"
MICRO_ALLOCATOR = "p 4p b 3p"
RECORD = " 3p"  # bytes asked for, bytes used, count
BUILTIN_DATA_ALLOCATOR = "2p"
NODE_AND_REGISTRATION = "6p i p"  # TfLiteNode (six pointers and a length), and the registration's address
TENSOR = "i p 2i 2p p 2i b"  # TfLiteTensor under TF_LITE_STATIC_MEMORY
AFFINE_QUANTIZATION = "2p i"
RESOURCE_VARIABLES = "p 2i"
RESOURCE_VARIABLE = "4p b"  # container, name, buffer, bytes, default value


@dataclass(frozen=True, slots=True, eq=False)
class Build:
    """How the firmware was built and set up. This changes sizes; the network does not.

    kernels: what each operator keeps.   recording: RecordingMicroAllocator, which counts, instead of MicroAllocator.
    compression: USE_TFLM_COMPRESSION, which makes kernel structs longer.
    variable_slots: length of MicroResourceVariables; None for one a variable, and no table where there is none.
    """

    kernels: Mapping[str, KernelStorage]
    recording: bool = False
    compression: bool = False
    variable_slots: int | None = None

    def plain(self) -> Build:
        """The same kernels without anything that a benchmark adds."""
        return _plain(self)


@cache
def _plain(build: Build) -> Build:
    return replace(build, recording=False, compression=False, variable_slots=None)


FIRMWARE = Build(KERNELS)
"""What a product needs: no recorder, as many variable slots as variables."""
BENCHMARK = Build(KERNELS, recording=True, variable_slots=100)
"""TFLM's tools/benchmarking/generic_model_benchmark.cc: behind the figures measured on 32 bits. Assumption A2."""
WHEEL = Build(KERNELS_2026, recording=True, compression=True)
"""The Python package tflite-micro 0.dev20261023182759, on a 64-bit host."""


class AllocationRequest(NamedTuple):
    """An allocation before it is placed."""

    what: str
    size_bytes: int
    alignment_bytes: int
    why: str


Requests = tuple[AllocationRequest, ...]
Group = tuple[str, str, Requests]
"""Consecutive allocations: their account, whose they are, and what they ask for."""


class Growth(NamedTuple):
    """By how much the tail grows: by_start, by how far it is from a multiple of the largest alignment.

    from_words: from every multiple of 4, by a multiple of 4; 0 where there is no such number.
    from_lines: where it ends at a multiple of the largest alignment whatever it started from, what it takes from one;
        else 0.
    """

    by_start: tuple[int, ...]
    from_words: int
    from_lines: int


class NodeStorage(NamedTuple):
    """What a node asks for in each phase, and how many scratch handles it takes.

    grown: the bytes of each phase; None where it asks for nothing.
    """

    params: Requests
    kernel: Requests
    buffers: Requests
    handles: int
    grown: tuple[Growth | None, Growth | None, Growth | None]


def growth_of(requests: Requests) -> Growth | None:
    if not requests:
        return None
    # How much an aligned allocation takes depends on where the tail stands: so every remainder is tried once.
    by_start = tuple([grown(start, requests) - start for start in range(BUFFER_ALIGNMENT_BYTES)])
    words = set(by_start[::_WORD_BYTES])
    ends = {(start + grows) % BUFFER_ALIGNMENT_BYTES for start, grows in enumerate(by_start)}
    is_even = len(words) == 1 and by_start[0] % _WORD_BYTES == 0
    return Growth(by_start, by_start[0] if is_even else 0, by_start[0] if ends == {0} else 0)


_WORD_BYTES = 4


# The sums are the same in all three ways. The shortcuts serve the usual case, in which all requests are multiples of a
# word, or end at a line.
def grown_by(used: int, growths: Iterable[Growth | None]) -> int:
    """`used` bytes of the tail and what each asks for on top, one after the other."""
    asked = [growth for growth in growths if growth is not None]
    if not asked:
        return used
    words = [growth[1] for growth in asked]
    if used % _WORD_BYTES == 0 and all(words):
        return used + sum(words)
    lines = [growth[2] for growth in asked]
    if all(lines):
        return used + asked[0].by_start[used % BUFFER_ALIGNMENT_BYTES] + sum(lines[1:])
    for growth in asked:
        used += growth.by_start[used % BUFFER_ALIGNMENT_BYTES]
    return used


def grown(used: int, requests: Requests) -> int:
    # The tail grows downwards, and each allocation is aligned at its own end: so size first, then alignment.
    for _, size, alignment, _ in requests:
        used = -(-(used + size) // alignment) * alignment
    return used


UNKNOWN = NodeStorage((), (), (), 0, (None, None, None))


class PreparedNode(NamedTuple):
    """A node's turn in Prepare.   kept: what it allocates.   requests: of scratch."""

    node: Node
    part: Graph
    kept: tuple[Group, ...]
    requests: int


class Allocations(NamedTuple):
    """Every persistent allocation, in order, by the phase of setting up that makes it.

    loaded: from the allocators to what Init keeps.   prepared: by node.   handles: of scratch.   states: of variables,
    while the plan is made.   public: inputs and outputs.   unknown: operators whose storage nobody has counted.
    """

    loaded: tuple[Group, ...]
    prepared: tuple[PreparedNode, ...]
    handles: tuple[Group, ...]
    states: tuple[Group, ...]
    public: tuple[Group, ...]
    unknown: tuple[str, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        """All of them."""
        prepared = [group for node in self.prepared for group in node.kept]
        return (*self.loaded, *prepared, *self.handles, *self.states, *self.public)

    @property
    def requests(self) -> int:
        """Scratch requests of all nodes."""
        return sum([node.requests for node in self.prepared])


RESOURCES = frozenset({"VAR_HANDLE", "ASSIGN_VARIABLE"})


def storages_of(part: Graph, pointer_bytes: int, build: Build) -> list[NodeStorage]:
    """Of each node."""
    # One look-up for each node; only the kernel that keeps arrays by scales needs the tensors too.
    storages = list(map(_lone_storages(pointer_bytes, build).__getitem__, part.calls))
    if _KEEPS_SCALES in part.operators:
        for index, node in enumerate(part.nodes):
            if node.signature.op == _KEEPS_SCALES:
                storages[index] = _storage_of(node, part, pointer_bytes, build)
    return storages


@lru_cache(ALLOCATIONS_KEPT)
def allocations(graph: Graph, pointer_bytes: int, build: Build) -> Allocations:
    """What the interpreter keeps of a network, in order."""
    nodes = [
        (node, part, _storage_of(node, part, pointer_bytes, build)) for part in file_parts(graph) for node in part.nodes
    ]
    groups = [("allocators", "", allocators(pointer_bytes, build))]
    groups += variable_table(graph, pointer_bytes, build)
    groups += model_tables(graph, pointer_bytes, build)
    # TFLM parses the options of all nodes first, then calls Init of each: two passes over the nodes.
    groups += [(node.signature.op, node.name, kept.params) for node, _, kept in nodes if kept.params]
    groups += [(node.signature.op, node.name, kept.kernel) for node, _, kept in nodes if kept.kernel]
    requests = sum([kept.handles for _, _, kept in nodes])
    handles = scratch_handles(requests, pointer_bytes)
    return Allocations(
        tuple(groups),
        _prepared(graph, nodes),
        (("scratch handles", "", (handles,)),) if requests else (),
        tuple(variable_tensors(graph)),
        tuple(graph_tensors(graph, pointer_bytes)),
        tuple([node.signature.op for node, _, kept in nodes if kept is UNKNOWN]),
    )


def scratch_handles(requests: int, pointer_bytes: int) -> AllocationRequest:
    return _struct("handles", "p", pointer_bytes, "a pointer each", requests)


def file_parts(graph: Graph) -> tuple[Graph, ...]:
    """The subgraphs of the file: the main one, then the others."""
    return (graph, *graph.subgraphs)


def all_nodes(graph: Graph) -> Iterator[Node]:
    for part in file_parts(graph):
        yield from part.nodes


_KEEPS_SCALES = "FULLY_CONNECTED"
"""The one kernel that keeps arrays by the weights' scales."""


def _storage_of(node: Node, part: Graph, pointer_bytes: int, build: Build) -> NodeStorage:
    scales = 1
    if node.signature.op == _KEEPS_SCALES:
        quantization = part.tensors[node.inputs[1]].quantization
        scales = len(quantization.scales) if quantization is not None else 1  # assumption A4
    return _storage(node.signature, scales, pointer_bytes, build)


@lru_cache(_BUILDS_KEPT)
def _lone_storages(pointer_bytes: int, build: Build) -> Kept[Signature, NodeStorage]:
    """Of nodes whose weights have one scale."""
    return Kept(lambda call: _storage(call, 1, pointer_bytes, build))


@lru_cache(SIGNATURES_KEPT)
def _storage(signature: Signature, weight_scales: int, pointer_bytes: int, build: Build) -> NodeStorage:
    kernel = build.kernels.get(signature.op)
    if kernel is None:
        return UNKNOWN
    call = StorageRequest(signature, pointer_bytes, weight_scales)
    params = _struct("parameters", kernel.params, pointer_bytes, "parsed options") if kernel.params else None
    layout = f"{kernel.data} {kernel.data_compression if build.compression else ''}"
    why = f"kept by Init, {kernel.source}"
    data = _buffer("kernel data", layout_bytes(layout, pointer_bytes)[0], why) if kernel.data else None
    why = f"kept by Prepare, {kernel.source}"
    phases = (
        (params,) if params else (),
        (data,) if data else (),
        tuple(_buffer(name, size_bytes, why) for name, size_bytes in kernel.buffers(call)),
    )
    first, second, third = map(growth_of, phases)
    return NodeStorage(*phases, len(kernel.scratch(call)), (first, second, third))


@lru_cache(1024)
def _struct(what: str, layout: str, pointer_bytes: int, why: str, count: int = 1) -> AllocationRequest:
    size_bytes, alignment_bytes = layout_bytes(layout, pointer_bytes)
    return AllocationRequest(what, size_bytes * count, alignment_bytes, why)


def _buffer(what: str, size_bytes: int, why: str) -> AllocationRequest:
    return AllocationRequest(what, size_bytes, BUFFER_ALIGNMENT_BYTES, why)


@cache
def allocators(pointer_bytes: int, build: Build) -> Requests:
    records = 8 if build.compression else 7  # kinds of allocation that the recorder tells apart
    arena = ARENA_ALLOCATOR + ARENA_RECORDS * build.recording
    micro = MICRO_ALLOCATOR + (" p" + RECORD * records) * build.recording
    return (
        _struct("arena allocator", arena, pointer_bytes, "the allocators, their planner and their tables"),
        _struct("memory planner", GREEDY_PLANNER, pointer_bytes, "GreedyMemoryPlanner"),
        _struct("micro allocator", micro, pointer_bytes, "MicroAllocator"),
    )


def variable_table(graph: Graph, pointer_bytes: int, build: Build) -> list[Group]:
    slots = build.variable_slots
    # The benchmark makes a table of 100 slots whatever the network; a product one for its variables.
    if slots is None:
        if not graph.operators & RESOURCES:
            return []
        slots = len({node.signature.attributes for node in all_nodes(graph) if node.signature.op == "VAR_HANDLE"})
    return [("resource variables", "", _slots(slots, pointer_bytes))] if slots else []


@cache
def _slots(count: int, pointer_bytes: int) -> Requests:
    table_bytes, slot_bytes = (layout_bytes(lay, pointer_bytes)[0] for lay in (RESOURCE_VARIABLES, RESOURCE_VARIABLE))
    return (
        _buffer("table", table_bytes, "MicroResourceVariables, a slot a variable"),
        _buffer("slots", count * slot_bytes, f"{count} slots"),
    )


def model_tables(graph: Graph, pointer_bytes: int, build: Build) -> list[Group]:
    parts = file_parts(graph)
    counts = tuple([(len(part.tensors), len(part.nodes)) for part in parts])
    return list(_model_tables(counts, pointer_bytes, build))


@lru_cache(1024)
def _model_tables(counts: tuple[tuple[int, int], ...], pointer_bytes: int, build: Build) -> tuple[Group, ...]:
    """counts: tensors and nodes of each subgraph."""
    lists = "3p" if build.compression else "2p"
    builtin = _struct("builtin data allocator", BUILTIN_DATA_ALLOCATOR, pointer_bytes, "parses the nodes' options")
    table = _struct("subgraph table", lists, pointer_bytes, "SubgraphAllocations, a subgraph each", len(counts))
    tensor_bytes, node_bytes = (layout_bytes(lay, pointer_bytes)[0] for lay in (EVAL_TENSOR, NODE_AND_REGISTRATION))
    tensors_why = f"{tensor_bytes} B a tensor of the file, constants too: TfLiteEvalTensor"
    nodes_why = f"{node_bytes} B a node: NodeAndRegistration"
    tensors = [AllocationRequest("array", count * tensor_bytes, pointer_bytes, tensors_why) for count, _ in counts]
    nodes = [AllocationRequest("array", count * node_bytes, pointer_bytes, nodes_why) for _, count in counts]
    return (
        ("allocators", "", (builtin, table)),
        ("eval tensors", "", tuple(tensors)),
        ("nodes", "", tuple(nodes)),
    )


def _prepared(graph: Graph, nodes: list[tuple[Node, Graph, NodeStorage]]) -> tuple[PreparedNode, ...]:
    """What Prepare keeps. The first ASSIGN_VARIABLE of a variable makes its storage."""
    prepared_nodes: list[PreparedNode] = []
    made: set[object] = set()
    for node, part, kept in nodes:
        op = node.signature.op
        groups: list[Group] = []
        if kept.buffers:
            groups.append((op, node.name, kept.buffers))
        if op == "ASSIGN_VARIABLE":
            # Every ASSIGN_VARIABLE of one variable shares the storage that the first one makes.
            variable = _variable_of(node, graph)
            value = node.signature.inputs[1] if node.signature.has(1) else None
            if variable not in made and value is not None:
                made.add(variable)
                storage = _buffer("storage", value.size_bytes, "state that outlives an inference")
                groups.append(("variables", node.name, (storage,)))
        prepared_nodes.append(PreparedNode(node, part, tuple(groups), kept.handles))
    return tuple(prepared_nodes)


def _variable_of(assign: Node, graph: Graph) -> object:
    """The attributes of the VAR_HANDLE that an ASSIGN_VARIABLE writes to: they name the variable."""
    for part in file_parts(graph):
        if any(node is assign for node in part.nodes):
            handle = part.producer.get(assign.inputs[0])
            return assign if handle is None else part.nodes[handle].signature.attributes
    return assign


def variable_tensors(graph: Graph) -> list[Group]:
    """Those to which no plan in the file gives an offset.   Source: micro_allocator.cc, AllocateVariables."""
    if not any(part.has_variables for part in file_parts(graph)):
        return []
    tensors = [tensor for part in file_parts(graph) for tensor in part.tensors]
    planned = graph.source.offline_offsets or (-1,) * len(tensors)
    return [
        ("variables", tensor.name, (_buffer("state", tensor.size_bytes, "state that outlives an inference"),))
        for tensor, offset in zip(tensors, planned, strict=True)
        if tensor.is_variable and offset < 0
    ]


def graph_tensors(graph: Graph, pointer_bytes: int) -> list[Group]:
    """The public input and output tensors: a list of pointers, then each tensor with its quantisation."""
    groups: list[Group] = []
    # A network without a file has no quantisation to count.
    described = graph.source.file_bytes is None
    for kind, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        why = "interpreter.input(i) and output(i), with their quantisation"
        groups.append(("inputs and outputs", "", (_buffer(f"list of {kind}", pointer_bytes * len(indices), why),)))
        for index in indices:
            tensor = graph.tensors[index]
            groups.append(
                ("inputs and outputs", tensor.name, _public_tensor(_scales(tensor, described), pointer_bytes))
            )
    return groups


def _scales(tensor: Tensor, described: bool) -> int:
    """Scales of an input or output. Where a network is only described, integers have one. Assumption A3."""
    if tensor.quantization is not None:
        return len(tensor.quantization.scales)
    return int(described and tensor.dtype in (DType.INT8, DType.UINT8, DType.INT16))


@cache
def _public_tensor(scales: int, pointer_bytes: int) -> Requests:
    tensor = _struct("tensor", TENSOR, pointer_bytes, "TfLiteTensor")
    if not scales:
        return (tensor,)
    quantization = _struct("quantisation", AFFINE_QUANTIZATION, pointer_bytes, "TfLiteAffineQuantization")
    zero_points = AllocationRequest("zero points", int_array_bytes(scales), 4, "copied: they are int64 in the file")
    return (tensor, quantization, zero_points)
