"""Which inputs an operator may compute on top of: held against computations in one flat memory.

The judge writes every output as soon as it is known, into the bytes of the input. Where that spoils an input that is
still to be read, the operator must say that it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim import GraphBuilder
from mcusim.graph import Activation, DType, Padding, TensorType, signature, tensor_type
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.ops import OPS
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.program import Program
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER

SMALL = st.integers(1, 6)


def overwritten(
    op: str, *shapes: tuple[int, ...], dtype: DType = DType.INT8, out: DType = DType.INT8
) -> tuple[int, ...]:
    """The rule for an operator without attributes of its own."""
    inputs: tuple[TensorType, ...] = tuple(tensor_type(shape, dtype) for shape in shapes)
    attributes = OPS[op].attributes()
    outputs = tuple(tensor_type(shape, out) for shape in OPS[op].infer(attributes, inputs))
    return OPS[op].overwrites(signature(op, attributes, inputs, outputs))


@given(
    size=st.tuples(SMALL, SMALL),
    channels=st.integers(1, 4),
    multiplier=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    batch=st.integers(1, 2),
    padding=st.sampled_from(Padding),
)
def test_a_depthwise_convolution_in_place_reads_nothing_that_it_wrote(
    size, channels, multiplier, kernel, stride, batch, padding
):
    if padding is Padding.VALID and (kernel[0] > size[0] or kernel[1] > size[1]):
        return
    attributes = DepthwiseConv2DAttributes(padding, stride, stride, Activation.NONE, depth_multiplier=multiplier)
    source = tensor_type((batch, *size, channels))
    inputs = source, tensor_type((1, *kernel, channels * multiplier), is_constant=True), None
    (shape,) = OPS["DEPTHWISE_CONV_2D"].infer(attributes, inputs)
    call = signature("DEPTHWISE_CONV_2D", attributes, inputs, (tensor_type(shape),))
    memory: list[object] = [("input", i) for i in range(max(source.elements, tensor_type(shape).elements))]
    spoilt = False
    for image, channel in product(range(batch), range(channels)):
        for row, col in product(range(size[0]), range(size[1])):  # the channel is saved
            place = ((image * size[0] + row) * size[1] + col) * channels + channel
            spoilt |= memory[place] != ("input", place)
        for row, col, one in product(range(shape[1]), range(shape[2]), range(multiplier)):
            memory[((image * shape[1] + row) * shape[2] + col) * shape[3] + channel * multiplier + one] = "output"
    able, fits = OPS["DEPTHWISE_CONV_2D"].overwrites(call) == (0,), tensor_type(shape).elements <= source.elements
    if channels > 1 or multiplier == 1:  # to save the only channel is to copy the input: that is nowhere worth it
        assert able == (fits and not spoilt)
    else:
        assert not able


def places(shape: tuple[int, ...], output: tuple[int, ...]) -> Iterator[int]:
    """For each output element in order, the element of an input that it reads, broadcast."""
    padded = (1,) * (len(output) - len(shape)) + shape
    for at in product(*map(range, output)):
        place = 0
        for index, size in zip(at, padded, strict=True):
            place = place * size + (index if size > 1 else 0)
        yield place


@given(st.data())
@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"])
def test_elements_in_order_read_nothing_that_they_wrote(op, data):
    output = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    shapes = [tuple(data.draw(st.sampled_from((1, size))) for size in output) for _ in range(2)]
    shapes[0] = output  # one of them is whole, or the output would be smaller
    if data.draw(st.booleans()):
        shapes.reverse()
    able = overwritten(op, *shapes)
    for index, shape in enumerate(shapes):
        fits = tensor_type(shape).elements >= tensor_type(output).elements
        reads = list(places(shape, output))
        is_safe = fits and all(place >= number for number, place in enumerate(reads))
        assert (index in able) == is_safe


@pytest.mark.parametrize(("source", "output", "able"), [
    (DType.INT8, DType.INT8, True), (DType.INT16, DType.INT8, True), (DType.INT32, DType.INT8, True),
    (DType.INT8, DType.INT16, False), (DType.INT8, DType.INT32, False), (DType.INT16, DType.INT16, True),
])  # fmt: skip
def test_wider_outputs_would_cover_inputs_to_come(source, output, able):
    assert overwritten("QUANTIZE", (1, 4, 4, 2), dtype=source, out=output) == ((0,) if able else ())


def test_a_multiplier_keeps_a_depthwise_convolution_out_of_its_input():
    """Stride 2 and two outputs a channel: half the size of the input, and yet not in its place."""
    assert overs(1) == 1
    assert overs(2) == 0


def overs(multiplier: int) -> int:
    return sum(buffer.over >= 0 for buffer in depthwise(multiplier).buffers)


def depthwise(multiplier: int) -> Program:
    builder = GraphBuilder("narrow")
    x = builder.conv_2d(builder.input((1, 8, 8, 4)), 4, 1)
    attributes = DepthwiseConv2DAttributes(Padding.SAME, 2, 2, depth_multiplier=multiplier)
    weights = builder.constant((1, 3, 3, 4 * multiplier))
    x = builder.op("DEPTHWISE_CONV_2D", (x, weights), attributes)
    graph = builder.build([builder.conv_2d(x, 4, 1)])
    return lower(graph, LAYER, RUNTIMES["tinyengine"].rules, InputPlace.ARENA)
