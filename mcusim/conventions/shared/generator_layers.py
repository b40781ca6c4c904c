"""A network as TinyEngine's code generator reads it: a list of layers, some of them fused.

A PAD goes into the convolution behind it. RESHAPE, QUANTIZE and DEQUANTIZE are skipped, and the tensors on their two
sides not linked; a TRANSPOSE is taken as not being there. Two MEANs in a row (rows, then columns) are one average pool;
ADD, MUL, MUL behind squeeze-and-excitation are one product. FULLY_CONNECTED is a 1x1 convolution.
Source: tinyengine code_generator, TfliteConvertor.py and converters/tflite_parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mcusim.graph import Graph, Signature, TensorType
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.staging import StepNode, network_of

__all__ = ["GeneratorLayer", "generator_layers", "map_bytes"]

_READ_AS = LoweringRules(folds_padding=True)
_SKIPPED = frozenset({"RESHAPE", "QUANTIZE", "DEQUANTIZE"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


class GeneratorLayer(NamedTuple):
    """One entry of the list.

    reads, writes: its activations.   read_bytes, write_bytes: their sizes.
    rows, cols: of its first input; what the generator takes them for where a PAD was fused.
    """

    name: str
    call: Signature
    reads: tuple[int, ...]
    read_bytes: tuple[int, ...]
    writes: tuple[int, ...]
    write_bytes: tuple[int, ...]
    rows: int
    cols: int

    @property
    def op(self) -> str:
        return self.call.op

    @property
    def is_window(self) -> bool:
        """Whether it is a convolution with rows and columns."""
        return self.call.op in _CONVOLUTIONS

    @property
    def is_in_place(self) -> bool:
        """Whether its output lies over its input, whoever else needs that. 4-bit integers as 8-bit ones: A16."""
        return self.call.op == "DEPTHWISE_CONV_2D" and not self.call.input(0).dtype.is_float

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of a convolution's kernel."""
        _, rows, cols, _ = self.call.input(1).shape
        return rows, cols


def generator_layers(graph: Graph) -> list[GeneratorLayer]:
    """The layers of `graph`, in the generator's order."""
    kept: list[GeneratorLayer] = []
    for layer in _read(graph):
        kept.append(layer)
        _fuse_mean(kept)
        _fuse_excitation(kept)
    return kept


def _read(graph: Graph) -> Iterator[GeneratorLayer]:
    """One layer a node, whatever it is, but for what is skipped."""
    tensors = graph.tensors
    same: dict[int, int] = {}  # output of a TRANSPOSE -> its input
    for step in network_of(graph, _READ_AS).steps:
        op = step.signature.op
        if op in _SKIPPED:
            continue
        there = [t for t in step.reads if t >= 0 and tensors[t].size_bytes]
        if op == "TRANSPOSE" and there:
            same[step.writes[0]] = same.get(there[0], there[0])
            continue
        writes = tuple([t for t in step.writes if tensors[t].size_bytes])
        rows, cols = _first_input(graph, step)
        read_bytes = [tensors[t].size_bytes for t in there]
        if op in _CONVOLUTIONS and there:
            read_bytes[0] = map_bytes(step.signature.input(0), rows, cols)
        yield GeneratorLayer(
            graph.nodes[step.node].name,
            step.signature,
            tuple([same.get(t, t) for t in there]),
            tuple(read_bytes),
            writes,
            tuple([tensors[t].size_bytes for t in writes]),
            rows,
            cols,
        )


def map_bytes(kind: TensorType, rows: int, cols: int) -> int:
    """Bytes of `rows` x `cols` of a feature map."""
    return -(-rows * cols * kind.channels * kind.dtype.bits // 8)


def _first_input(graph: Graph, step: StepNode) -> tuple[int, int]:
    """Rows and columns of it. A fused PAD is taken for one of kernel rows // 2 on all sides, whatever it is."""
    call = step.signature
    kind = call.inputs[0] if call.inputs else None
    if kind is None:
        return 1, 1
    padded = graph.nodes[step.node].signature.inputs[0]
    if call.op not in _CONVOLUTIONS or padded is None or padded is kind:
        return kind.rows, kind.cols
    border = 2 * (call.input(1).shape[1] // 2)
    return padded.rows - border, padded.cols - border


def _fuse_mean(kept: list[GeneratorLayer]) -> None:
    """The last two layers as one, if both are MEANs and the second reads the first."""
    if len(kept) > 1 and kept[-1].op == kept[-2].op == "MEAN" and kept[-1].reads == kept[-2].writes:
        second, first = kept.pop(), kept.pop()
        kept.append(first._replace(writes=second.writes, write_bytes=second.write_bytes))


def _fuse_excitation(kept: list[GeneratorLayer]) -> None:
    """The last three layers as one: ADD and MUL with constants, then the product with the feature map."""
    if [layer.op for layer in kept[-3:]] != ["ADD", "MUL", "MUL"]:
        return
    add, scale, product = kept[-3:]
    if len(add.reads) != 1 or scale.reads != add.writes or scale.writes[0] not in product.reads:
        return
    others = [(t, size) for t, size in zip(product.reads, product.read_bytes, strict=True) if t not in scale.writes]
    if len(others) == 1:
        reads, sizes = zip(*others, (add.reads[0], add.read_bytes[0]), strict=True)
        kept[-3:] = [product._replace(reads=reads, read_bytes=sizes)]
