"""TFLM knows neither ellipses nor new axes, and reads an entry an axis: random slices, against the wheel.

The output has the shape that TensorFlow Lite gives it, so that a file is as converters write it.
"""

from __future__ import annotations

import os
import random

import pytest

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from kernel_conditions import Said, Variant, disagreement, tried
from operator_lines import parse

from mcusim.errors import ModelError
from mcusim.graph import DType, TensorType, tensor_type
from mcusim.ops import OPS
from mcusim.ops.strided_slice import StridedSliceAttributes

MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")


def listed(numbers: list[int] | tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def values(numbers: list[int]) -> TensorType:
    return tensor_type((len(numbers),), DType.INT32, True, tuple(numbers))


def drawn(rng: random.Random) -> str | None:
    """A slice as a line of text; None where TensorFlow Lite has no shape for it, or an empty one."""
    shape = tuple(rng.randint(1, 5) for _ in range(rng.randint(1, 5)))
    entries = rng.choice([len(shape), len(shape), rng.randint(1, len(shape) + 1)])
    begin = [rng.randint(-4, 4) for _ in range(entries)]
    end = [rng.randint(-5, 6) for _ in range(entries)]
    strides = [rng.choice([1, 1, 2, -1, -2]) for _ in range(entries)]
    odds = dict(zip(MASKS, (0.3, 0.4, 0.1, 0.08, 0.15), strict=True))
    masks = {f"{name}_mask": sum((rng.random() < odds[name]) << bit for bit in range(entries)) for name in MASKS}
    try:
        kinds = (tensor_type(shape), values(begin), values(end), values(strides))
        (out_shape,) = OPS["STRIDED_SLICE"].infer(StridedSliceAttributes(**masks), kinds)
    except ModelError:
        return None
    if 0 in out_shape:
        return None
    bounds = " ".join(f"int32[{entries}]={listed(each)}" for each in (begin, end, strides))
    options = " ".join(
        f"{name}={masks[stored]}"
        for name, stored in (
            ("beginMask", "begin_mask"),
            ("endMask", "end_mask"),
            ("ellipsisMask", "ellipsis_mask"),
            ("newAxisMask", "new_axis_mask"),
            ("shrinkAxisMask", "shrink_axis_mask"),
        )
    )
    return f"STRIDED_SLICE int8[{listed(shape)}] {bounds} > int8[{listed(out_shape)}] | StridedSliceOptions {options}"


def test_slices_run_where_mcusim_says_so() -> None:
    rng = random.Random(20261130)
    lines = [line for line in (drawn(rng) for _ in range(int(os.environ.get("MCUSIM_VARIANTS", "300")))) if line]
    trials = list(tried([Variant("STRIDED_SLICE", "random", parse(line)) for line in lines]))
    disagreements = [f"{trial.variant.network.label}: {said}" for trial in trials if (said := disagreement(trial))]
    assert not disagreements, "\n".join(disagreements)
    assert {trial.said for trial in trials} == {Said.RUNS, Said.REFUSED}
