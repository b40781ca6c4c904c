"""The smallest arena in which TFLM sets up. It may be larger than what is used afterwards.

While AllocateTensors runs, the head of the arena holds lists that are gone when it is done, and the tail grows already:

    Prepare, a node     | scratch requests | tensors that the kernel looks at ->       <- tail so far |
    planning            | scratch requests | a line a tensor | the planner's lists ->       <- tail   |
    ready               | the plan: tensors and scratch ->                            <- all the tail |

Each allocation says how large the arena must be; the largest of these is the answer. (TFLM checks an allocation at the
tail against the scratch requests only: in a smaller arena what a kernel keeps may overwrite what it looks at.)
Constants have a line while the plan is made, and every scratch request has lists: a network of many small tensors needs
more then than ever after.

Source: tensorflow/tflite-micro, tensorflow/lite/micro: micro_allocator.cc, micro_allocation_info.h,
arena_allocator/single_arena_buffer_allocator.cc, memory_planner/greedy_memory_planner.h. On 64 bits it equals, to the
byte, the smallest arena that the wheel takes on every network of the corpus; on 32 bits the structures have other
sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from mcusim.columns import Kept
from mcusim.graph import ABSENT, STORED, Graph, Signature
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.runtimes.tflm_allocations import (
    AFFINE_QUANTIZATION,
    FIRMWARE,
    TENSOR,
    Allocations,
    Build,
    Group,
    PreparedNode,
    allocations,
    file_parts,
)
from mcusim.runtimes.tflm_persistent import TailPhases, tail_phases
from mcusim.runtimes.tflm_preparation import KEPT, looks
from mcusim.runtimes.tflm_storage import MCU_POINTER_BYTES, int_array_bytes, layout_bytes

__all__ = ["ARENA_ALIGNMENT_BYTES", "setup_bytes", "smallest_arena_bytes"]

ARENA_ALIGNMENT_BYTES = 16
"""Of the arena's start, of the plan, and of the end where its size is a multiple of it."""

REQUESTS_BEFOREHAND = 12
"""kMaxScratchBuffersPerOp: the list of requests has room for so many more."""
SCRATCH_REQUEST = "p 2i"
ALLOCATION_INFO = "2p 3i b"
PLANNED_BUFFER = "4i 2i 3i i"
"""What GreedyMemoryPlanner notes of a buffer: requirements, two sorted lists, a list entry, its offset."""


def setup_bytes(graph: Graph, pointer_bytes: int = MCU_POINTER_BYTES, build: Build = FIRMWARE) -> int:
    """Bytes of arena without which setting up fails, whatever the plan takes. The arena's end is aligned."""
    return _needed(graph, 0, pointer_bytes, build, 0)


def smallest_arena_bytes(graph: Graph, head_bytes: int, pointer_bytes: int, build: Build) -> int:
    """The smallest arena that works, to the byte. head_bytes: of the plan.

    Where the end is not aligned, alignment loses other bytes: so every remainder is tried.
    """
    # The tail is aligned from the arena's end, so where that end is not aligned, other bytes are lost.
    tried = []
    for remainder in range(ARENA_ALIGNMENT_BYTES):
        needed = _needed(graph, head_bytes, pointer_bytes, build, remainder)
        tried.append(needed + (remainder - needed) % ARENA_ALIGNMENT_BYTES)
    return min(tried)


def _needed(graph: Graph, head_bytes: int, pointer_bytes: int, build: Build, remainder: int) -> int:
    arena = _Arena(pointer_bytes, remainder)
    arena.set_aside(graph)
    if not remainder and _most_looks(graph) <= arena.few_looks:
        arena.set_up_quickly(graph, tail_phases(graph, pointer_bytes, build), head_bytes)
    else:
        arena.set_up(graph, allocations(graph, pointer_bytes, build), head_bytes)
    return arena.needed_bytes


def _most_looks(graph: Graph) -> int:
    return max([max(map(_looks.__getitem__, part.calls), default=0) for part in file_parts(graph)])


class _Arena:
    """Notes how large the arena must be, check by check.

    tail_bytes: used so far from its end.   remainder: of its size, by the alignment.
    few_looks: a node with so many needs no counting.
    """

    def __init__(self, pointer_bytes: int, remainder: int) -> None:
        self.pointer_bytes, self.remainder = pointer_bytes, remainder
        self.tail_bytes = self.needed_bytes = self.few_looks = 0
        self.request_bytes = layout_bytes(SCRATCH_REQUEST, pointer_bytes)[0]

    def set_up(self, graph: Graph, phases: Allocations, head_bytes: int) -> None:
        """All of AllocateTensors."""
        requests_bytes = self._requests(0)
        self._keep(phases.loaded, requests_bytes)
        made = 0
        for node in phases.prepared:
            requests_bytes = self._requests(made)
            self._prepare(node, requests_bytes)
            made += node.requests
        requests_bytes = self._requests(made)
        self._keep(phases.handles, requests_bytes)
        self._plan(graph, phases.requests, phases.states, requests_bytes)
        self._check(head_bytes)
        self._keep(phases.public, head_bytes)

    def set_up_quickly(self, graph: Graph, tail: TailPhases, head_bytes: int) -> None:
        """The same where no node looks at much: till the plan is made both ends only grow, so the last check counts."""
        self.tail_bytes = tail.handles
        requests_bytes = self._requests(tail.requests)
        states_bytes = tail.states - tail.handles
        self._plan(graph, tail.requests, (), requests_bytes, states_bytes)
        self._check(head_bytes)
        self.tail_bytes = tail.public
        self._check(head_bytes)

    def set_aside(self, graph: Graph) -> None:
        """How many looks take no more than the planner's lists, whatever they are at: till then both ends only grow."""
        parts = file_parts(graph)
        most = max([len(each.scales) for part in parts for each in part.quantizations], default=0)
        lists_bytes = layout_bytes(ALLOCATION_INFO, self.pointer_bytes)[0] * sum([len(part.tensors) for part in parts])
        lists_bytes += layout_bytes(PLANNED_BUFFER, self.pointer_bytes)[0] * sum(
            [part.roles.count(STORED) for part in parts]
        )
        self.few_looks = lists_bytes // (_temporary_bytes(most, self.pointer_bytes) + self.pointer_bytes)

    def _requests(self, made: int) -> int:
        """Bytes of the list of scratch requests, which lies at the start."""
        size_bytes = self.request_bytes * (made + REQUESTS_BEFOREHAND)
        self._check(size_bytes)
        return size_bytes

    def _keep(self, groups: Iterable[Group], head_bytes: int) -> None:
        """Allocations at the tail: they may reach down to `head_bytes`."""
        for _, _, requests in groups:
            for _, size_bytes, alignment, _ in requests:
                self.tail_bytes += size_bytes
                # Downwards from an end whose address is `remainder` beyond a multiple of the alignment.
                self.tail_bytes += (self.remainder - self.tail_bytes) % alignment
        self._check(head_bytes)

    def _check(self, head_bytes: int) -> None:
        self.needed_bytes = max(self.needed_bytes, head_bytes + self.tail_bytes)

    def _prepare(self, node: PreparedNode, start: int) -> None:
        """One node: what it looks at lies behind `start`, until it is done."""
        before, after = _patterns(node.node.signature)
        # Planning comes later and needs more in any case, so the largest check is not here.
        if len(before) + len(after) <= self.few_looks:  # planning needs more in any case
            self._keep(node.kept, start)
            return
        # A kernel looks at tensors behind the requests, asks for what it keeps, and may look again: the room of both
        # adds up.
        top = self._look(node, before, start)
        self._check(top)
        self._keep(node.kept, top)
        if after:
            self._check(self._look(node, after, top))

    def _look(self, node: PreparedNode, pattern: tuple[_Look, ...], top: int) -> int:
        """Where the temporary room ends after looking at the tensors of `pattern`."""
        tensors, inputs, outputs = node.part.tensors, node.node.inputs, node.node.outputs
        pointer_bytes = self.pointer_bytes
        for is_input, place in pattern:
            operands = inputs if is_input else outputs
            if place < len(operands) and operands[place] != ABSENT:
                quantization = tensors[operands[place]].quantization
                scales = len(quantization.scales) if quantization is not None else 0
                top += -top % pointer_bytes + _temporary_bytes(scales, pointer_bytes)
        return top

    def _plan(self, graph: Graph, requests: int, states: Iterable[Group], top: int, states_bytes: int = 0) -> None:
        """The planner's lists, and the states of variables, which it makes room for meanwhile.

        states_bytes: of states that are added up already.
        """
        parts = file_parts(graph)
        info_bytes, info_alignment = layout_bytes(ALLOCATION_INFO, self.pointer_bytes)
        start = top
        # Pointers to the subgraphs' lists, then a line for each tensor (constants too) and each scratch request.
        for size_bytes, alignment in (
            (self.pointer_bytes * len(parts), self.pointer_bytes),
            (info_bytes * (sum([len(part.tensors) for part in parts]) + requests), info_alignment),
        ):
            top = -(-top // alignment) * alignment + size_bytes
            self._check(top)
        self.tail_bytes += states_bytes
        self._keep(states, start)
        top = -(-top // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES
        # The planner sees only what takes bytes, so constants have no entry there.
        buffers = requests + sum([part.roles.count(STORED) for part in parts])
        lost = (self.remainder - self.tail_bytes) % ARENA_ALIGNMENT_BYTES
        self._check(top + layout_bytes(PLANNED_BUFFER, self.pointer_bytes)[0] * buffers + lost)


_Look = tuple[bool, int]
"""Whether it is an input, and its place."""


@lru_cache(SIGNATURES_KEPT)
def _patterns(signature: Signature) -> tuple[tuple[_Look, ...], tuple[_Look, ...]]:
    """What a kernel looks at before it asks for what it keeps, and after."""
    before, _, after = looks(signature).partition(KEPT)
    first, second = (tuple([(look[0] == "i", int(look[1:])) for look in part.split()]) for part in (before, after))
    return first, second


_looks: Kept[Signature, int] = Kept(lambda signature: sum(map(len, _patterns(signature))))
"""How many tensors a kernel looks at."""


@lru_cache(SIGNATURES_KEPT)
def _temporary_bytes(scales: int, pointer_bytes: int) -> int:
    """What one TfLiteTensor takes: itself, and its quantisation. It starts at a multiple of a pointer's size."""
    tensor_bytes, quantization_bytes = (layout_bytes(each, pointer_bytes)[0] for each in (TENSOR, AFFINE_QUANTIZATION))
    return tensor_bytes + (quantization_bytes + int_array_bytes(scales) if scales else 0)
