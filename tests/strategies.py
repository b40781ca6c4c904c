"""Random networks that TFLM takes: one operator each (`ONE_OP`), or a few in a chain (`networks`), with their inputs.

    @pytest.mark.parametrize("op", ONE_OP)
    def test_op(op): ... @given(case=ONE_OP[op]) ...

`drafts.py` says how they are drawn; an operator is added in `strategies_computing.py` or `strategies_moving.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strategies_moving  # noqa: F401  # enters its operators
from drafts import FUSED, ONE_OP, Case, Draft, attributes, inputs_for
from hypothesis import strategies as st
from strategies_computing import SIGMOID, applied, conv, depthwise, fully_connected_layer, pooled

from mcusim.graph import DType

INT8 = DType.INT8


__all__ = ["ONE_OP", "Case", "inputs_for", "network", "networks"]

# Small networks

_STEPS = ("conv", "depthwise", "pool", "pad", "swish", "relu", "skip", "double", "mean")


@st.composite
def networks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Case:
    """As `network`, drawn by hypothesis."""
    return network(Draft(draw))


def network(d: Draft) -> Case:
    """Two to six layers on a small map, with branches that meet again, and a classifier now and then."""
    x = d.input((1, d.number(3, 12), d.number(3, 12), d.number(1, 6)))
    for _ in range(d.number(2, 6)):
        x = _step(d, x, d.pick(_STEPS))
    if d.flag():
        type_ = d.builder.type_of(x)
        shape = (type_.shape[0], type_.elements // type_.shape[0])
        x = d.builder.op(
            "RESHAPE",
            (x, d.builder.integers(shape)),
            attributes("RESHAPE", new_shape=shape),
            quantization=d.quantization_of(x),
        )
        x = applied(d, "SOFTMAX", fully_connected_layer(d, x, INT8), INT8, SIGMOID)
    return d.build(x)


def _step(d: Draft, x: int, step: str) -> int:
    if step == "conv":
        return conv(d, x, 1, INT8)
    if step == "depthwise":
        return depthwise(d, x, INT8)
    if step == "pool":
        return pooled(d, d.pick(("AVERAGE_POOL_2D", "MAX_POOL_2D")), x)
    if step == "pad":
        amounts = d.builder.integers((0, 0, *(d.number(0, 2) for _ in range(4)), 0, 0), (4, 2))
        return d.builder.op("PAD", (x, amounts), quantization=d.quantization_of(x))
    if step in ("swish", "relu"):
        return applied(d, {"swish": "HARD_SWISH", "relu": "RELU"}[step], x, INT8, None)
    if step == "double":
        made = attributes("CONCATENATION", axis=3)
        return d.builder.op("CONCATENATION", (x, x), made, quantization=d.quantization_of(x))
    if step == "mean":
        made = attributes("MEAN", keep_dims=True)
        mean = d.builder.op(
            "MEAN", (x, d.builder.integers((1, 2))), made, quantization=d.quantization(INT8, d.scale_of(x), 1.5)
        )
        about = d.scale_of(x) * d.scale_of(mean) * 96
        return d.builder.op("MUL", (x, mean), attributes("MUL"), quantization=d.quantization(INT8, about, 2.0))
    if not 2.0**-20 < d.scale_of(x) < 2.0:  # a sigmoid's input must fit Q4.27, or TFLM aborts and mcusim refuses
        return applied(d, "RELU", x, INT8, None)
    branch = applied(d, "LOGISTIC", x, INT8, SIGMOID)
    about = d.scale_of(x) + d.scale_of(branch)
    made = attributes("ADD", fused_activation_function=d.pick(FUSED))
    return d.builder.op("ADD", (x, branch), made, quantization=d.quantization(INT8, about, 2.0))
