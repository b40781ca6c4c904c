"""A network between quantisers -> Graph: constants folded, patterns replaced, each step placed by its rule."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX
from mcusim.errors import ModelError
from mcusim.frontends.checks import check_flow, check_shapes
from mcusim.frontends.qdq import (  # noqa: F401   for what they register
    arithmetic,
    choosing,
    convolutions,
    cutting,
    dense,
    joining,
    lines,
    looked_up,
    quantising,
    reshaping,
    resizing,
)
from mcusim.frontends.qdq.channelwise import with_one_scale
from mcusim.frontends.qdq.constants import folded
from mcusim.frontends.qdq.emitter import LOWERINGS, Emitter
from mcusim.frontends.qdq.expansions import expanded
from mcusim.frontends.qdq.grids import targets
from mcusim.frontends.qdq.held import UNIT, Held, Order, channels_last, plain
from mcusim.frontends.qdq.network import Network, Step
from mcusim.frontends.qdq.patterns import simplified
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph
from mcusim.source import Source

__all__ = ["QUANTISE", "import_network"]

QUANTISE = (
    "quantise it: `mcusim quantize MODEL --data calibration.npz -o out.tflite`, or onnxruntime's quantize_static with "
    "quant_format=QuantFormat.QDQ, activation_type=weight_type=QuantType.QInt8 and per_channel=True"
)
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"})
_REFUSED = {
    "LSTM": "microcontroller runtimes take TFLite's own LSTM: train it with TensorFlow",
    "GRU": "use convolutions over time, or train an LSTM with TensorFlow",
    "If": "export the branch that is taken",
    "Loop": "unroll it when exporting",
    "Scan": "unroll it when exporting",
}


def import_network(network: Network, where: str) -> Graph:
    """The Graph that computes what `network` says, in TFLite's operators, on the network's own scales.

    where: names the file in errors. Raises ModelError, naming the node, for what cannot be kept.
    """
    try:
        with np.errstate(all="ignore"):  # what overflows or is no number is refused as a scale or a weight
            return _imported(network, where)
    except ModelError as error:
        at = error.where if error.where.startswith(where) else f"{where}, {error.where}"
        raise ModelError(error.what, where=at, fix=error.fix) from error


def _imported(network: Network, where: str) -> Graph:
    _refuse_unquantised(network, where)
    _refuse_huge(network)
    known = folded(network)
    _refuse_floats(known, where)
    simple, notes = with_one_scale(simplified(expanded(known)))
    for step in simple.steps:
        _refuse_unknown(step)
    emitter = Emitter(simple, targets(simple))
    emitter.notes += notes
    for name in simple.inputs:
        _place_input(emitter, name)
    for step in simple.steps:
        _place(emitter, step)
    outputs = [_output(emitter, name) for name in simple.outputs]
    if not simple.steps:
        raise ModelError("nothing is left to compute", where=where, fix="export a whole network")
    graph = emitter.builder.build(outputs, Source(where, notes=tuple(emitter.notes)))
    graph = _named(_compacted(_with_outputs_named(graph, simple.outputs)))
    check_flow(graph, where)
    check_shapes(graph, where)
    return replace(graph, source=replace(graph.source, file_bytes=len(write_tflite(graph))))


def _refuse_unquantised(network: Network, where: str) -> None:
    dynamic = next((step for step in network.steps if step.op in _DYNAMIC), None)
    if dynamic is not None:
        raise dynamic.refuse("its scales are computed at run time (dynamic quantisation)", QUANTISE)
    if not any(step.op in ("QuantizeLinear", "DequantizeLinear") for step in network.steps):
        raise ModelError("the network is not quantised: it computes in floats", where=where, fix=QUANTISE)


def _refuse_huge(network: Network) -> None:
    """A value that no 32 bits count is refused before anything is computed for it."""
    for step in network.steps:
        for output in step.outputs:
            shape = network.shape(output) or ()
            if math.prod(shape) > INT32_MAX:
                raise step.refuse(f"it gives {math.prod(shape):,} elements: {shape}", "use smaller maps and constants")


def _refuse_floats(network: Network, where: str) -> None:
    """A network of which the weights alone are integers computes in floats all the way."""
    quantisers = (step for step in network.steps if step.op in ("QuantizeLinear", "DequantizeLinear"))
    if all(step.input(0) in network.constants for step in quantisers):
        what = "only its weights are quantised: between its layers the network computes in floats"
        raise ModelError(what, where=where, fix=QUANTISE)


def _refuse_unknown(step: Step) -> None:
    if step.op not in LOWERINGS:
        fix = _REFUSED.get(step.op, "replace it, or cut the network before it")
        raise step.refuse(f"TFLite's integers cannot express {step.op}", fix)


def _place(emitter: Emitter, step: Step) -> None:
    """Place one step by its rule. Raises ModelError, naming the step."""
    try:
        LOWERINGS[step.op](emitter, step)
    except ModelError as error:
        if error.where.startswith("node '"):
            raise
        raise step.refuse(error.what, error.fix) from error
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:  # of numpy, on any shapes
        what = "the shapes, types or attributes of its inputs do not go together"
        raise step.refuse(what, "export the model again") from error


def _place_input(emitter: Emitter, name: str) -> None:
    value = emitter.network.values[name]
    order, rank = _bare(emitter.wanted_order(name, len(value.shape))), len(value.shape)
    if order != _bare(channels_last(rank)):  # a caller understands two layouts: the network's own, and channels last
        order = plain(rank)
    grid = emitter.grids.get(name)
    readers = emitter.network.readers.get(name, ())
    if grid is None and value.dtype is not DType.FLOAT32:
        reader = next((step for step in readers if step.op == "DequantizeLinear"), None)
        grid = emitter.grids[reader.output] if reader is not None else None
    dtype = grid.dtype if grid is not None else DType.INT32 if value.dtype is DType.INT64 else value.dtype
    shape = tuple(value.shape[axis] for axis in order)
    tensor = emitter.builder.input(shape, dtype, name, grid.quantization if grid else None)
    emitter.put(name, Held(value.shape, order, dtype, grid, tensor))
    if value.dtype is not dtype:
        emitter.note(f"input '{name}': {dtype} in the place of {value.dtype}")
    if order != plain(len(order)):
        emitter.note(f"input '{name}': {_shown(shape)} (channels last) in the place of {_shown(value.shape)}")


def _bare(order: Order) -> Order:
    return tuple(axis for axis in order if axis != UNIT)


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _output(emitter: Emitter, name: str) -> int:
    """An output: channels last where it is a map that lies so, else in its own order."""
    held = emitter.get(name)
    if held.tensor is None:
        raise ModelError("is a constant", where=f"output '{name}'", fix="remove it from the network's outputs")
    order, rank = _bare(held.order), len(held.shape)
    if order != plain(rank) and order != _bare(channels_last(rank)):
        order = plain(rank)
    tensor = emitter.arranged(held, order, name)
    if order != plain(rank):
        shape = tuple(held.shape[axis] for axis in order)
        emitter.note(f"output '{name}': {_shown(shape)} (channels last) in the place of {_shown(held.shape)}")
    return tensor


def _with_outputs_named(graph: Graph, names: tuple[str, ...]) -> Graph:
    """With the names that the network gives to its outputs, where a node computes them."""
    wanted = {index: name for index, name in zip(graph.outputs, names, strict=True) if index in graph.producer}
    tensors = tuple(replace(t, name=wanted.get(index, t.name)) for index, t in enumerate(graph.tensors))
    nodes = tuple(replace(n, name=wanted.get(n.outputs[0], n.name)) if n.outputs else n for n in graph.nodes)
    return replace(graph, tensors=tensors, nodes=nodes)


def _compacted(graph: Graph) -> Graph:
    """Without nodes and constants that nothing reads."""
    needed, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if any(output in needed for output in node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    needed.update(graph.inputs)
    needed.update(output for node in nodes for output in node.outputs)
    kept = [index for index in range(len(graph.tensors)) if index in needed]
    place = {index: i for i, index in enumerate(kept)} | {-1: -1}
    return replace(
        graph,
        tensors=tuple(graph.tensors[index] for index in kept),
        nodes=tuple(
            replace(
                node,
                inputs=tuple(place[index] for index in node.inputs),
                outputs=tuple(place[index] for index in node.outputs),
            )
            for node in reversed(nodes)
        ),
        inputs=tuple(place[index] for index in graph.inputs),
        outputs=tuple(place[index] for index in graph.outputs),
    )


def _named(graph: Graph) -> Graph:
    """Nodes whose names differ."""
    seen: set[str] = set()
    nodes = []
    for index, node in enumerate(graph.nodes):
        name = node.name if node.name not in seen else f"{node.name}#{index}"
        seen.add(name)
        nodes.append(replace(node, name=name))
    return replace(graph, nodes=tuple(nodes))
