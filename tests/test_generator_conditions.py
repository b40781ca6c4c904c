"""What TinyEngine's generator refuses, or would compute as something else: one line a condition, from its sources.

Nobody ships that generator as a package, so no judge runs here. Each line names what its parser does with it.
"""

from __future__ import annotations

import pytest
from operator_lines import parse

from mcusim.frontends.tflite import parse_tflite
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.refusals import refusals_of

CONV = "Conv2DOptions padding=0 strideW=1 strideH=1"
POOL = "Pool2DOptions strideW=2 strideH=2 filterWidth=2 filterHeight=2"
SCALES = "@0.02/0.02/0.02/0.02"

RUNS = [
    f"CONV_2D int8[1,8,8,3] int8[4,3,3,3]={SCALES} int32[4]= > int8[1,8,8,4] | {CONV}",
    "FULLY_CONNECTED int8[1,8] int8[4,8]=@0.02 int32[4]=@0.001 > int8[1,4] | FullyConnectedOptions",
    "ADD int8[1,4,4,3] int8[1,4,4,3] > int8[1,4,4,3] | AddOptions",
    f"AVERAGE_POOL_2D int8[1,4,4,3] > int8[1,2,2,3] | {POOL} padding=1",
    "MEAN int8[1,4,4,3] int32[1]=2 > int8[1,4,3] | ReducerOptions",
    "RESIZE_NEAREST_NEIGHBOR int8[1,4,4,3] int32[2]=8,8 > int8[1,8,8,3] | ResizeNearestNeighborOptions",
]

REFUSED = {
    "no such operator: NotImplementedError": (
        "CONCATENATION int8[1,4,4,3] int8[1,4,4,3] > int8[1,4,4,6] | ConcatenationOptions axis=3",
        "does not handle CONCATENATION",
    ),
    "the length of one scale: TypeError": (
        f"CONV_2D int8[1,8,8,3] int8[4,3,3,3]=@0.02 int32[4]= > int8[1,8,8,4] | {CONV}",
        "input 1 has one scale, and must have one a channel",
    ),
    "weights of another type: AssertionError": (
        f"CONV_2D int16[1,8,8,3] int8[4,3,3,3]={SCALES} int64[4]= > int16[1,8,8,4] | {CONV}",
        "input 0 is int16",
    ),
    "uint8 weights: NotImplementedError": (
        f"CONV_2D uint8[1,8,8,3] uint8[4,3,3,3]=@0.02 int32[4]= > uint8[1,8,8,4] | {CONV}",
        "input 0 is uint8",
    ),
    "the batch is dropped": (
        f"CONV_2D int8[2,8,8,3] int8[4,3,3,3]={SCALES} int32[4]= > int8[2,8,8,4] | {CONV}",
        "a batch of 2",
    ),
    "a shape of fewer dimensions: ValueError": (
        "ADD int8[1,4,4,3] int8[3]= > int8[1,4,4,3] | AddOptions",
        "several shapes",
    ),
    "a product alone: NotImplementedError": (
        "MUL int8[1,4,4,3] int8[1,1,1,3] > int8[1,4,4,3] | MulOptions",
        "squeeze and excite",
    ),
    "no bias: AssertionError": (
        "FULLY_CONNECTED int8[1,8] int8[4,8]=@0.02 > int8[1,4] | FullyConnectedOptions",
        "input 2 is missing",
    ),
    "channels do not match: AssertionError": (
        "FULLY_CONNECTED int8[1,2,2,2] int8[4,8]=@0.02 int32[4]= > int8[1,4] | FullyConnectedOptions",
        "the channels have to match",
    ),
    "padding is not set: UnboundLocalError": (
        f"AVERAGE_POOL_2D int8[1,4,4,3] > int8[1,2,2,3] | {POOL} padding=0",
        "use VALID",
    ),
    "a lone mean is lost": (
        "MEAN int8[1,4,4,3] int32[2]=1,2 > int8[1,3] | ReducerOptions",
        "several axes at once",
    ),
    "no whole factor": (
        "RESIZE_NEAREST_NEIGHBOR int8[1,4,4,3] int32[2]=6,6 > int8[1,6,6,3] | ResizeNearestNeighborOptions",
        "one whole factor",
    ),
    "floats": ("ADD float32[1,4,4,3] float32[1,4,4,3] > float32[1,4,4,3] | AddOptions", "input 0 is float32"),
}


def whys(line: str) -> list[str]:
    graph = parse_tflite(parse(line).content(), name="one", where="one")
    return [refusal.why for refusal in refusals_of(graph, RUNTIMES["tinyengine"])]


@pytest.mark.parametrize("line", RUNS, ids=[line.split()[0] for line in RUNS])
def test_what_the_generator_takes(line: str) -> None:
    assert whys(line) == []


@pytest.mark.parametrize(("line", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_take(line: str, sentence: str) -> None:
    reasons = whys(line)
    assert len(reasons) == 1
    assert sentence in reasons[0]
