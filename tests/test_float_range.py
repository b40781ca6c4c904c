"""Float arithmetic at the ends of the range, against TensorFlow Lite Micro."""

from __future__ import annotations

import numpy as np
import pytest
from operator_catalogue import about
from oracles import run_tflm

from mcusim import execute
from mcusim.frontends.tflite import parse_tflite


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "DIV"])
def test_nothing_is_infinite(op: str) -> None:
    """Without an activation TFLM clamps to the range of float: by 0, and beyond the largest."""
    pytest.importorskip("tflite_micro")
    floats = [network for network in about(op) if network.label.startswith("float32")]
    networks = [
        network for network in floats if all(each.ndim for each in network.feeds())
    ]  # the wheel feeds no scalar
    assert networks
    for network in networks:
        content, fed = network.content(), [np.array(each) for each in network.feeds()]
        for each, extreme in zip(fed, (3e38, -3e38), strict=False):
            each.reshape(-1)[::3] = extreme
            each.reshape(-1)[1::4] = 0
        ours = execute(parse_tflite(content, name=op, where=op), fed)[0]
        np.testing.assert_array_equal(ours, np.asarray(run_tflm(content, fed)[0]).reshape(ours.shape))
