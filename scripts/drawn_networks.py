"""Layers and networks that are drawn: for the fit of `measure_firmware.py`, and to judge it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import Activation, DType, Graph, Padding
from mcusim.ops import OPS

__all__ = ["OURS", "drawn_layers", "drawn_networks"]

OURS = "drawn_"
"""Names of networks of one layer or few, which are in every fit and never judged, begin so."""
Layer = Callable[[random.Random, GraphBuilder], int]


def _map(draw: random.Random, b: GraphBuilder, channels: int | None = None, least: int = 6) -> int:
    """A feature map, now and then a single column wide."""
    rows = draw.randint(least, 40)
    cols = draw.choice((rows, rows, draw.randint(least, 40)))
    return b.input((1, rows, cols, channels or draw.choice((4, 8, 12, 16, 24, 40))))


def _border(draw: random.Random) -> Padding:
    return draw.choice((Padding.SAME, Padding.SAME, Padding.VALID))


def _activation(draw: random.Random) -> Activation:
    return draw.choice((Activation.RELU6, Activation.NONE))


def _any_depthwise(draw: random.Random, b: GraphBuilder) -> int:
    channels = draw.choice((4, 8, 12, 16, 24, 40, 6, 10, 3))
    if draw.random() < 0.4:
        x, kernel = b.input((1, draw.randint(16, 60), 1, channels)), (draw.randint(2, 13), 1)
        return b.depthwise_conv_2d(x, kernel, draw.choice((1, 2)), _border(draw), _activation(draw))
    multiplier, dilation = draw.choice(((2, 1), (1, 2), (1, 1), (3, 1)))
    x, kernel = _map(draw, b, channels, 10), draw.choice(((3, 5), (5, 1), (1, 7), (2, 4), (3, 2)))
    stride = draw.choice((1, 2)) if dilation == 1 else 1
    return b.depthwise_conv_2d(
        x, kernel, stride, _border(draw), _activation(draw), multiplier=multiplier, dilation=dilation
    )


def _fast_depthwise(draw: random.Random, b: GraphBuilder) -> int:
    x = _map(draw, b, draw.choice((8, 16, 24, 32, 5, 18, 3)), 8)
    return b.depthwise_conv_2d(x, draw.randint(2, 7), draw.choice((1, 2)), _border(draw), _activation(draw))


def _conv(draw: random.Random, b: GraphBuilder) -> int:
    """Each way of filling columns: pixels, words, 27, and any."""
    way = draw.choice(("pixels", "words", "words", "first", "any", "any"))
    channels = {"pixels": (8, 16, 24, 40), "words": (4, 8, 16), "first": (3,), "any": (1, 2, 5, 6, 10)}[way]
    kernel = {"pixels": (1,), "words": (2, 3, 5, (5, 1)), "first": (3,), "any": (1, 2, 3, 5, (10, 4), (3, 8))}[way]
    x = _map(draw, b, draw.choice(channels), 10)
    out_c, size = draw.choice((4, 8, 16, 24, 7, 17)), draw.choice(kernel)
    stride = draw.choice((1, 2)) if way != "pixels" else 1
    if way == "any" and b.type_of(x).channels == 1 and draw.random() < 0.5:
        return b.depthwise_conv_2d(x, size, stride, _border(draw), _activation(draw), multiplier=8)
    return b.conv_2d(x, out_c, size, stride, _border(draw), _activation(draw))


def _wide(draw: random.Random, b: GraphBuilder) -> int:
    b.dtype = DType.INT16
    x = _map(draw, b, draw.choice((1, 4, 8, 16)))
    kernel = draw.randint(1, 5), draw.randint(1, 5)
    if draw.random() < 0.3:
        return b.depthwise_conv_2d(x, kernel, draw.choice((1, 2)), _border(draw))
    return b.conv_2d(x, draw.choice((1, 4, 8, 16)), kernel, draw.choice((1, 2)), _border(draw))


def _scattered(draw: random.Random, b: GraphBuilder) -> int:
    b.dtype = draw.choice((DType.INT16, DType.INT8))
    rows, cols = draw.choice((1, 4, 10)), draw.choice((10, 21, 40))
    in_c, out_c = draw.choice((4, 8, 16, 32)), draw.choice((1, 4, 8, 16, 32))
    x = b.input((1, rows, cols, in_c))
    stride, kernel = (draw.choice((1, 2, 4)), draw.choice((1, 2, 4))), (draw.randint(1, 4), draw.randint(2, 6))
    padding = draw.choice((Padding.SAME, Padding.VALID))
    grown = [
        size * step + (max(taps - step, 0) if padding is Padding.VALID else 0)
        for size, step, taps in zip((rows, cols), stride, kernel, strict=True)
    ]
    attributes = OPS["TRANSPOSE_CONV"].attributes(padding=padding, stride_h=stride[0], stride_w=stride[1])  # type: ignore[call-arg]
    weights = b.constant((out_c, *kernel, in_c), DType.INT8)
    return b.op("TRANSPOSE_CONV", (b.integers((1, *grown, out_c)), weights, x), attributes)


def _pool(draw: random.Random, b: GraphBuilder) -> int:
    x = _map(draw, b, draw.choice((4, 8, 16, 24, 5, 10)))
    pool = draw.choice((b.average_pool_2d, b.max_pool_2d))
    if draw.random() < 0.3:
        return pool(x)
    kernel, stride = (draw.randint(2, 5), draw.randint(1, 5)), draw.choice((1, 2))
    return pool(x, kernel, stride, _border(draw))


def _elements(draw: random.Random, b: GraphBuilder) -> int:
    x = _map(draw, b)
    match draw.choice(("lookup", "lookup", "mean", "softmax", "pad")):
        case "lookup":
            return b.unary(draw.choice(("LOGISTIC", "HARD_SWISH", "TANH")), x)
        case "mean":
            return b.mean(x)
        case "softmax":
            return b.softmax(b.input((draw.choice((1, 1, 8)), draw.choice((2, 10, 35, 200)))))
        case _:
            return b.pad(x, *[draw.randint(0, 3) for _ in range(4)])


def _add(draw: random.Random, b: GraphBuilder) -> int:
    """What goes around a layer, and the layer: which of their scales is the larger decides about a shift."""
    x = _map(draw, b)
    around = b.conv_2d(x, b.type_of(x).channels, 1, activation=draw.choice((Activation.RELU, Activation.NONE)))
    y = b.conv_2d(around, b.type_of(x).channels, draw.choice((1, 3)))
    return b.add(draw.choice((x, around)), y, draw.choice((Activation.RELU, Activation.NONE)))


def _dense(draw: random.Random, b: GraphBuilder) -> int:
    x = b.input((draw.choice((1, 1, 4)), draw.choice((10, 33, 64, 127, 128, 250, 640))))
    return b.fully_connected(x, draw.choice((1, 3, 10, 32, 65, 128)), _activation(draw))


_LAYERS: dict[str, tuple[int, Layer]] = {
    "any": (70, _any_depthwise), "fast": (160, _fast_depthwise), "conv": (140, _conv), "wide": (24, _wide),
    "scattered": (40, _scattered), "pool": (60, _pool), "elements": (44, _elements), "add": (40, _add),
    "dense": (30, _dense),
}  # fmt: skip
"""How many of each kind are drawn."""


def drawn_layers() -> Iterator[tuple[str, Graph]]:
    """Networks of one layer each, or few, of every kernel that takes time."""
    draw = random.Random(0)
    for kind, (count, layer) in _LAYERS.items():
        for number in range(count):
            builder = GraphBuilder(f"{OURS}{kind}_{number}")
            yield builder.name, with_seeded_weights(builder.build([layer(draw, builder)]), number)


# ---------------------------------------------------------------------------------------------------------------------
# Networks to judge by


def drawn_networks(seed: int, count: int) -> Iterator[tuple[str, Graph]]:
    """Networks as people build them, of odd shapes now and then, which no fit has seen."""
    for number in range(count):
        draw = random.Random(f"{seed}:{number}")
        builder = GraphBuilder(f"network_{seed}_{number}")
        kinds = {"mobile": _mobile, "residual": _residual, "speech": _speech}
        kind = draw.choice(tuple(kinds))
        yield builder.name, with_seeded_weights(builder.build([kinds[kind](draw, builder)]), number)


def _odd(draw: random.Random, usual: int) -> int:
    """A number of channels, now and then an odd one."""
    return usual + draw.choice((0, 0, 0, 0, 1, 2, -1, -3)) if usual > 4 else usual


def _head(draw: random.Random, b: GraphBuilder, x: int) -> int:
    classes = draw.choice((2, 10, 12, 100))
    pooled = draw.choice((b.average_pool_2d, b.mean))(x)
    return b.softmax(b.fully_connected(pooled, classes))


def _mobile(draw: random.Random, b: GraphBuilder) -> int:
    """Inverted residuals."""
    size, width = draw.choice((48, 64, 80, 96, 97)), draw.choice((8, 16, 24))
    x = b.conv_2d(
        b.input((1, size, size, draw.choice((1, 3, 3)))), _odd(draw, width), 3, 2, activation=Activation.RELU6
    )
    for _ in range(draw.randint(3, 8)):
        wide = b.type_of(x).channels * draw.choice((2, 3, 4, 6))
        stride, out_c = draw.choice((1, 1, 2)), _odd(draw, draw.choice((width, width, 2 * width)))
        y = b.conv_2d(x, wide, 1, activation=Activation.RELU6)
        y = b.depthwise_conv_2d(y, draw.choice((3, 3, 5, 7)), stride, activation=Activation.RELU6)
        y = b.conv_2d(y, out_c, 1)
        x = b.add(x, y) if b.type_of(x).shape == b.type_of(y).shape else y
    return _head(draw, b, x)


def _residual(draw: random.Random, b: GraphBuilder) -> int:
    """Two convolutions and what goes around them."""
    size, width = draw.choice((28, 32, 40)), _odd(draw, draw.choice((8, 16)))
    x = b.conv_2d(b.input((1, size, size, draw.choice((1, 3)))), width, draw.choice((3, 5)), activation=Activation.RELU)
    if draw.random() < 0.5:
        x = b.max_pool_2d(x, 2)
    for _ in range(draw.randint(2, 4)):
        stride = draw.choice((1, 2))
        width = width * stride if stride == 2 else width
        y = b.conv_2d(x, width, 3, stride, activation=Activation.RELU)
        y = b.conv_2d(y, width, 3)
        around = x if stride == 1 else b.conv_2d(x, width, 1, stride)
        x = b.add(around, y, Activation.RELU)
    return _head(draw, b, x)


def _speech(draw: random.Random, b: GraphBuilder) -> int:
    """Spectra: depthwise-separable layers over a map, or over time alone."""
    if draw.random() < 0.5:
        width = _odd(draw, draw.choice((32, 64)))
        x = b.conv_2d(b.input((1, 49, 10, 1)), width, (10, 4), 2, activation=Activation.RELU)
        for _ in range(draw.randint(3, 5)):
            x = b.depthwise_conv_2d(x, draw.choice((3, (5, 3))), activation=Activation.RELU)
            x = b.conv_2d(x, width, 1, activation=Activation.RELU)
        return _head(draw, b, x)
    width = draw.choice((40, 64, 96))
    x = b.conv_2d(b.input((1, draw.choice((60, 100)), 1, 40)), width, (5, 1), activation=Activation.RELU)
    for _ in range(draw.randint(4, 8)):
        x = b.depthwise_conv_2d(x, (draw.choice((3, 5, 9)), 1), activation=Activation.RELU)
        x = b.conv_2d(x, width, 1, activation=Activation.RELU)
    return _head(draw, b, x)
