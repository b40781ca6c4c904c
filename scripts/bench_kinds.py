"""Seeded networks of the kinds that lean on more than plain convolutions: for `scripts/bench exec`, beside the corpus.

Widths, sizes and weights are drawn from the seed. Every kind comes in several sizes, some of them with channel counts
that fill no vector.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import MappingProxyType

import numpy as np

from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.signatures import attributes_for
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import Activation, DType, Graph, Padding, Quantization

__all__ = ["KINDS", "seeded_networks"]

ALPHA_SCALE = 1 / 254
"""Of learned slopes, which are drawn from [-0.5, 0.5]."""
SEEDS = range(3)

Tail = Callable[[GraphBuilder, int], int]


def seeded_networks(kinds: tuple[str, ...] = ()) -> Iterator[tuple[str, Graph]]:
    """(kind, network), a few of every kind.   kinds: only these, where there are any."""
    for kind, make in KINDS.items():
        for seed in SEEDS if not kinds or kind in kinds else ():
            yield kind, with_seeded_weights(make(random.Random(seed), f"{kind}-{seed}"), seed)


def _prelu(b: GraphBuilder, x: int, draw: random.Random) -> int:
    """A learned slope for each channel."""
    shape = (1, 1, b.type_of(x).shape[3])
    slopes = np.random.default_rng(draw.getrandbits(32)).integers(-127, 128, shape, dtype=np.int8)
    alpha = b.constant(shape, DType.INT8, slopes, "alpha", Quantization((ALPHA_SCALE,), (0,)))
    return b.op("PRELU", (x, alpha))


def _silu(b: GraphBuilder, x: int) -> int:
    return b.mul(x, b.unary("LOGISTIC", x))


def _hard_swish(b: GraphBuilder, x: int) -> int:
    return b.unary("HARD_SWISH", x)


def _residual(b: GraphBuilder, x: int, out_c: int, kernel: int, stride: int) -> int:
    """Depthwise and pointwise, and beside them the map itself: pooled, and padded with channels, where they differ."""
    in_c = b.type_of(x).shape[3]
    y = b.conv_2d(b.depthwise_conv_2d(x, kernel, stride), out_c, 1)
    beside = b.max_pool_2d(x, 2) if stride == 2 else x
    if out_c > in_c:
        beside = b.pad(beside, 0, 0, 0, 0, channels=out_c - in_c)
    return b.add(y, beside)


def _face_landmarks(draw: random.Random, name: str) -> Graph:
    """A face mesh: residual blocks of 3x3 depthwise, PRELU behind each."""
    b = GraphBuilder(name)
    size, c = draw.choice([128, 160, 192]), draw.choice([12, 16, 24])
    x = _prelu(b, b.conv_2d(b.input((1, size, size, 3)), c, 3, 2), draw)
    for stage in range(4):
        for _ in range(2):
            x = _prelu(b, _residual(b, x, c, 3, 1), draw)
        if stage < 3:
            c = min(2 * c, 128)
            x = _prelu(b, _residual(b, x, c, 3, 2), draw)
    return b.build([b.fully_connected(b.conv_2d(x, 32, 1), 1404)])


def _palms(draw: random.Random, name: str) -> Graph:
    """A palm detector: residual blocks of 5x5 depthwise at 192x192 on, PRELU behind each, and a pyramid on top."""
    b = GraphBuilder(name)
    size, c = draw.choice([128, 160, 192]), draw.choice([20, 24, 32])
    stem_stride = draw.choice([1, 2])
    x = _prelu(b, b.conv_2d(b.input((1, size, size, 3)), c, 5, stem_stride), draw)
    if stem_stride == 1:
        x = _prelu(b, b.depthwise_conv_2d(x, 5, 2), draw)
    maps = []
    for stage in range(4):
        for _ in range(2):
            x = _prelu(b, _residual(b, x, c, 5, 1), draw)
        maps.append(x)
        if stage < 3:
            c = min(2 * c, 160)
            x = _prelu(b, _residual(b, x, c, 5, 2), draw)
    below = maps[-2]
    shape = b.type_of(below).shape
    resize = attributes_for("RESIZE_BILINEAR", (("align_corners", False), ("half_pixel_centers", True)))
    up = b.op("RESIZE_BILINEAR", (x, b.integers(shape[1:3])), resize)
    x = _prelu(b, b.add(_prelu(b, b.conv_2d(up, shape[3], 1), draw), below), draw)
    return b.build([b.conv_2d(x, 6, 1), b.conv_2d(x, 108, 1)])


def _excite(b: GraphBuilder, x: int, gate: str) -> int:
    """Squeeze and excite: the mean of each channel, through two convolutions of one pixel, gates it."""
    c = b.type_of(x).shape[3]
    y = b.conv_2d(b.mean(x, (1, 2), keep_dims=True), max(c // 4, 4), 1, activation=Activation.RELU)
    y = b.conv_2d(y, c, 1)
    return b.mul(x, b.unary(gate, y))


def _excited(draw: random.Random, name: str) -> Graph:
    """MobileNetV3 and EfficientNet: inverted residuals with squeeze-and-excite."""
    b = GraphBuilder(name)
    size, c = draw.choice([96, 128, 160]), draw.choice([8, 12, 16])
    gate, tail = draw.choice([("LOGISTIC", _silu), ("HARD_SWISH", _hard_swish), ("LOGISTIC", _hard_swish)])
    x = tail(b, b.conv_2d(b.input((1, size, size, 3)), c, 3, 2))
    for stage in range(4):
        for repeat in range(2):
            stride, kernel = 2 if repeat == 0 else 1, draw.choice([3, 5])
            y = tail(b, b.conv_2d(x, 4 * b.type_of(x).shape[3], 1))
            y = tail(b, b.depthwise_conv_2d(y, kernel, stride))
            y = b.conv_2d(_excite(b, y, gate), c, 1)
            x = b.add(x, y) if b.type_of(x).shape == b.type_of(y).shape else y
        c += draw.choice([8, 12, 16]) * (stage + 1)
    x = b.mean(tail(b, b.conv_2d(x, 4 * c, 1)), (1, 2))
    return b.build([b.softmax(b.fully_connected(x, 100))])


def _silu_detector(draw: random.Random, name: str) -> Graph:
    """A one-stage detector: SILU behind every convolution, pools beside each other, maps resized and joined."""
    b = GraphBuilder(name)
    size, c = draw.choice([96, 128, 160]), draw.choice([8, 12, 16])

    def layer(x: int, out_c: int, kernel: int = 1, stride: int = 1) -> int:
        return _silu(b, b.conv_2d(x, out_c, kernel, stride))

    def split(x: int, out_c: int) -> int:
        a, beside = layer(x, out_c // 2), layer(x, out_c // 2)
        a = b.add(a, layer(layer(a, out_c // 2), out_c // 2, 3))
        return layer(b.concatenation([a, beside]), out_c)

    x = layer(b.input((1, size, size, 3)), c, 3, 2)
    maps = []
    for _ in range(3):
        c *= 2
        x = split(layer(x, c, 3, 2), c)
        maps.append(x)
    x = layer(x, c // 2)
    from_pools = [x]
    for _ in range(3):
        from_pools.append(b.max_pool_2d(from_pools[-1], 5, 1, Padding.SAME))
    x = layer(b.concatenation(from_pools), c)
    rows, cols = b.type_of(maps[-2]).shape[1:3]
    x = split(b.concatenation([b.resize_nearest_neighbor(x, (rows, cols)), maps[-2]]), c // 2)
    return b.build([b.unary("LOGISTIC", b.conv_2d(x, 18, 1))])


KINDS = MappingProxyType(
    {
        "face-landmarks": _face_landmarks,
        "palm-detection": _palms,
        "squeeze-and-excite": _excited,
        "silu-detector": _silu_detector,
    }
)
