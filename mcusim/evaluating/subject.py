"""The network under test: what it takes, what kind of answer it gives, and by what it is known again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any

from mcusim import zoo
from mcusim.errors import InputError, ModelError
from mcusim.files import blocks_of, is_file
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph, Tensor
from mcusim.question.arguments import the_graph
from mcusim.zoo import ZooEntry
from mcusim.zoo.declarations import BoxFormat, Detection

__all__ = ["Answer", "Model", "Subject", "real_range", "the_subject"]

Model = Graph | str | PathLike[str] | Mapping[str, Any]

UNDERSTOOD = (
    "scores of classes (1xN), one score, a reconstruction of the input, boxes as TFLite_Detection_PostProcess gives "
    "them, rows of boxes, YOLOv3 heads whose anchors are declared"
)


class Answer(StrEnum):
    """What comes out of a network."""

    CLASSES = "scores of classes"
    SCORE = "one score"
    RECONSTRUCTION = "its input again"
    BOXES = "boxes"


@dataclass(frozen=True, slots=True)
class Subject:
    """A network under test.

    entry: of the zoo, if the network is a published one.   classes: how many it tells apart; 2 for a score.
    sha256: of the file, or of the file that the graph would be.
    """

    graph: Graph
    answer: Answer
    classes: int
    detection: Detection | None
    entry: ZooEntry | None
    sha256: str

    @property
    def input(self) -> Tensor:
        return self.graph.tensors[self.graph.inputs[0]]


def the_subject(model: Model, detection: Detection | None = None) -> Subject:
    """The network that `model` is or names.

    detection: how its boxes are read, declared by the user; else its zoo entry, or the shapes of its outputs, say.
    Raises ModelError where it has no weights, InputError where nobody knows what its outputs mean.
    """
    graph = the_graph(model)
    where = f"network '{graph.name}'"
    if any(tensor.is_constant and tensor.constant is None and tensor.type.values is None for tensor in graph.tensors):
        fix = "give its trained .tflite file, named as the network, so that its declared preprocessing is found"
        raise ModelError("it has no weights: it is known by its architecture only", where=where, fix=fix)
    if len(graph.inputs) != 1:
        fix = "evaluate networks with one input"
        raise InputError(f"it has {len(graph.inputs)} inputs, and a sample is one array", where=where, fix=fix)
    if graph.tensors[graph.inputs[0]].shape[:1] != (1,):
        raise InputError("its input has no leading 1", where=where, fix="convert it for single calls, a batch of 1")
    entry = _entry(model, graph)
    declared = detection or (entry.detection if entry is not None else None) or _postprocess(graph)
    answer = Answer.BOXES if declared is not None else _answer(graph)
    if declared is not None:
        _check_outputs(graph, declared)
    return Subject(graph, answer, _classes(graph, answer, declared), declared, entry, _sha256(model, graph))


def _entry(model: Model, graph: Graph) -> ZooEntry | None:
    """The published network that a file is named after, if it also has that one's input."""
    if not isinstance(model, str | PathLike):
        return None
    try:
        entry = zoo.describe(Path(model).stem)
    except ModelError:
        return None
    return entry if graph.tensors[graph.inputs[0]].shape == entry.input_shape else None


def _sha256(model: Model, graph: Graph) -> str:
    if isinstance(model, str | PathLike) and is_file(model):
        digest = hashlib.sha256()
        for block in blocks_of(model):
            digest.update(block)
        return digest.hexdigest()
    return hashlib.sha256(write_tflite(graph)).hexdigest()


def _answer(graph: Graph) -> Answer:
    shapes = [graph.tensors[index].shape for index in graph.outputs]
    source = graph.tensors[graph.inputs[0]]
    elements = math.prod(shapes[0])
    if len(shapes) == 1 and elements == max(shapes[0]):
        if shapes[0] == source.shape and elements > 1:
            return Answer.RECONSTRUCTION
        return Answer.SCORE if elements == 1 else Answer.CLASSES
    if len(shapes) == 1 and shapes[0] == source.shape:
        return Answer.RECONSTRUCTION
    shapes_shown = ", ".join("x".join(map(str, shape)) for shape in shapes)
    fix = f"declare [detection] in a TOML file for --preprocess; understood are {UNDERSTOOD}"
    raise InputError(f"what its outputs mean is not known ({shapes_shown})", where=f"network '{graph.name}'", fix=fix)


def _postprocess(graph: Graph) -> Detection | None:
    """A declaration for outputs that have the shapes of TFLite_Detection_PostProcess (assumption A32)."""
    shapes = [graph.tensors[index].shape for index in graph.outputs]
    boxes = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]
    if len(shapes) != 4 or len(boxes) != 1:
        return None
    rows = [i for i, shape in enumerate(shapes) if shape == shapes[boxes[0]][:2]]
    counts = [i for i, shape in enumerate(shapes) if math.prod(shape) == 1 and i not in rows]
    if len(rows) != 2 or len(counts) != 1:
        return None
    outputs = (boxes[0], *rows, counts[0])
    source = "the shapes of its outputs, classes before scores (declare [detection] outputs for another order)"
    return Detection(format=BoxFormat.POSTPROCESS, outputs=outputs, source=source, least_score=0.0, most_overlap=1.0)


def _check_outputs(graph: Graph, declared: Detection) -> None:
    """Refuse a declaration that the outputs cannot meet. Raises InputError."""
    where, count = f"network '{graph.name}', [detection]", len(graph.outputs)
    shapes = [graph.tensors[index].shape for index in graph.outputs]
    if declared.format is BoxFormat.YOLOV3:
        if not len(declared.strides) == len(declared.anchors) == count:
            what = f"{len(declared.strides)} strides and {len(declared.anchors)} lists of anchors for {count} outputs"
            raise InputError(what, where=where, fix="give one of each for each output, in the order of the outputs")
        rows, cols = graph.tensors[graph.inputs[0]].shape[1:3]
        for shape, stride, anchors in zip(shapes, declared.strides, declared.anchors, strict=True):
            wanted = (1, rows // stride, cols // stride, len(anchors) // 2 * (5 + declared.classes))
            if shape != wanted:
                shown = ["x".join(map(str, s)) for s in (shape, wanted)]
                what = f"an output is {shown[0]}, and stride {stride} with its anchors means {shown[1]}"
                raise InputError(what, where=where, fix="correct strides, anchors and classes")
    elif declared.format is BoxFormat.POSTPROCESS:
        if len(declared.outputs) != 4 or not all(-1 <= i < count for i in declared.outputs):
            fix = f"give four numbers of outputs below {count}: boxes, classes, scores, count (-1: none)"
            raise InputError(f"outputs are {list(declared.outputs)}", where=where, fix=fix)
    elif count != 1 or shapes[0][-1] != 6:
        raise InputError("rows of boxes are one output of six columns", where=where, fix="declare another format")


def _classes(graph: Graph, answer: Answer, declared: Detection | None) -> int:
    if answer is Answer.CLASSES:
        return math.prod(graph.tensors[graph.outputs[0]].shape)
    if declared is not None:
        return declared.classes or len(declared.labels)
    return 2


def real_range(tensor: Tensor) -> tuple[float, float] | None:
    """The smallest and largest real number that an integer tensor can hold; None for others."""
    if tensor.quantization is None or tensor.dtype not in (DType.INT8, DType.UINT8, DType.INT16):
        return None
    scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    low = 0 if tensor.dtype is DType.UINT8 else -(1 << (tensor.dtype.bits - 1))
    high = low + (1 << tensor.dtype.bits) - 1
    return scale * (low - zero_point), scale * (high - zero_point)
