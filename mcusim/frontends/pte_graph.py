"""ExecuTorch programs (.pte) as a Graph: what is called on what, and the memory plan of the file.

The operators stay ExecuTorch's own, `CUSTOM:cortex_m::quantized_conv2d.out` and the like: such a graph is placed and
judged, and not executed. A tensor that shares the place of one before it (a view) is that tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcusim.errors import ModelError
from mcusim.frontends.pte import PteMethod, PteProgram, PteValue, read_pte
from mcusim.graph import ABSENT, Attributes, DType, Graph, Node, Tensor, signature, tensor_type
from mcusim.source import Compiled, Source

__all__ = ["graph_from_pte", "read_pte_graph"]

_METHOD = "forward"
_DTYPES = {
    0: DType.UINT8,
    1: DType.INT8,
    2: DType.INT16,
    3: DType.INT32,
    4: DType.INT64,
    5: DType.FLOAT16,
    6: DType.FLOAT32,
    7: DType.FLOAT64,
    11: DType.BOOL,
}
"""By ScalarType."""
_BUFFER_ALIGNMENT = 16


def read_pte_graph(path: str | Path) -> Graph:
    """The network of a .pte file: its method `forward`, else the first. Raises ModelError."""
    return graph_from_pte(read_pte(path), str(path))


def graph_from_pte(program: PteProgram, where: str) -> Graph:
    """The network of a program. Raises ModelError where it plans or calls nothing."""
    method = next((each for each in program.methods if each.name == _METHOD), program.methods[0])
    if not method.calls or not method.tensors:
        what = f"its method '{method.name[:40]}' plans no memory"
        raise ModelError(what, where=where, fix="export it with a memory plan: to_executorch()")
    starts = _starts(method)
    offsets = [_offset(value, starts) for value in method.values]
    tensors = tuple(_tensor(value, number) for number, value in enumerate(method.values))
    nodes, inputs = _nodes(method, tensors, offsets)
    others = [each.name for each in program.methods if each is not method]
    notes = (f"method '{method.name}' of {len(program.methods)}",) if others else ()
    compiled = Compiled(
        offset_bytes=tuple(offsets),
        planned_bytes=method.planned_bytes,
        method_bytes=method.method_bytes(),
        load_bytes=method.load_bytes(),
        has_delegates=method.has_delegates,
    )
    outputs = tuple(value for value in method.outputs if tensors[value].size_bytes)
    source = Source(where, program.file_bytes, notes=notes, compiled=compiled)
    if not inputs or not outputs:
        raise ModelError("its method has no tensor as input or output", where=where, fix="export a whole network")
    return Graph(program.name, tensors, nodes, inputs, outputs, source)


def _starts(method: PteMethod) -> list[int]:
    """Where each planned buffer starts, were they one after the other. Number 0 is reserved for constants."""
    starts, top = [0], 0
    for size_bytes in method.buffer_bytes:
        starts.append(top)
        top += -(-size_bytes // _BUFFER_ALIGNMENT) * _BUFFER_ALIGNMENT
    return starts


def _offset(value: PteValue, starts: Sequence[int]) -> int:
    if value.place is None or not 0 < value.place[0] < len(starts):
        return ABSENT
    return starts[value.place[0]] + value.place[1]


def _tensor(value: PteValue, number: int) -> Tensor:
    """A tensor; what is none becomes an empty constant, so that numbers stay those of the file."""
    dtype = _DTYPES.get(value.scalar)
    if not value.is_tensor or dtype is None:
        return Tensor(f"value {number}", tensor_type((0,), DType.INT8, True))
    return Tensor(f"value {number}", tensor_type(value.shape, dtype, value.place is None))


def _nodes(
    method: PteMethod, tensors: Sequence[Tensor], offsets: Sequence[int]
) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """The calls, and the network's inputs. What a call touches first, it writes: results and working memory."""
    inputs = tuple(value for value in method.inputs if tensors[value].size_bytes)
    known, nodes = set(inputs), []
    alias: dict[int, int] = {}
    holder: dict[tuple[int, int, DType], int] = {
        (offsets[value], tensors[value].size_bytes, tensors[value].dtype): value for value in inputs
    }
    for index, (name, arguments) in enumerate(zip(method.calls, method.arguments, strict=True)):
        reads: dict[int, None] = {}
        writes: dict[int, None] = {}
        results = set(arguments[-1:])
        for argument in arguments:
            for value in method.lists.get(argument, (argument,)):
                if not 0 <= value < len(tensors) or not method.values[value].is_tensor:
                    continue
                tensor, place = tensors[value], (offsets[value], tensors[value].size_bytes, tensors[value].dtype)
                if tensor.is_constant or value in known or value in alias:
                    reads[alias.get(value, value)] = None
                elif value not in results and tensor.dtype is not DType.UINT8 and place in holder:
                    alias[value] = holder[place]
                    reads[holder[place]] = None
                else:
                    writes[value] = None
        writes = dict.fromkeys(sorted(writes, key=lambda value: value not in results))  # the result first
        for value in writes:
            known.add(value)
            holder[offsets[value], tensors[value].size_bytes, tensors[value].dtype] = value
        nodes.append(_node(f"{name}#{index}", name, tensors, tuple(v for v in reads if v not in writes), tuple(writes)))
    return tuple(nodes), inputs


def _node(name: str, op: str, tensors: Sequence[Tensor], reads: tuple[int, ...], writes: tuple[int, ...]) -> Node:
    called = signature(
        f"CUSTOM:{op}",
        Attributes(),
        tuple(tensors[value].type for value in reads),
        tuple(tensors[value].type for value in writes),
    )
    return Node(name, called, reads, writes)
