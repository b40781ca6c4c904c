"""Integer arithmetic, fixed point and the C library's float functions, against exact fractions and real numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import naive_kernels as naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcusim.arithmetic import fixed_point, libm, quant
from mcusim.errors import ModelError
from mcusim.graph import Activation, DType, Quantization

INT32 = st.integers(-(2**31), 2**31 - 1)
MULTIPLIER = st.integers(2**30, 2**31 - 1)
Q31 = 2.0**31


@given(st.floats(2.0**-40, 2.0**20) | st.floats(-4, 4))
def test_multipliers_are_the_nearest(real: float) -> None:
    assume(real == 0 or abs(real) > 1e-300)
    assert quant.quantize_multiplier(real) == naive.quantize_multiplier(real)


@pytest.mark.parametrize(
    ("real", "expected"),
    [(1.0, (2**30, 1)), (1 - 2.0**-40, (2**30, 1)), (2.0**-32, (2**30, -31)), (2.0**-33, (0, 0)), (0.0, (0, 0))],
)
def test_multipliers_at_the_edges(real: float, expected: tuple[int, int]) -> None:
    assert quant.quantize_multiplier(real) == expected


@given(INT32, MULTIPLIER | MULTIPLIER.map(lambda m: -m), st.integers(-31, 30))
def test_requantize_matches_exact_arithmetic(acc: int, multiplier: int, shift: int) -> None:
    assume(-(2**31) <= acc * 2 ** max(shift, 0) < 2**31)
    assert quant.requantize(acc, multiplier, shift) == naive.requantize(acc, multiplier, shift)
    assert quant.requantize_single(acc, multiplier, shift) == naive.requantize_single(acc, multiplier, shift)


@given(st.integers(-(2**47), 2**47 - 1), MULTIPLIER, st.integers(-31, 7))
def test_reduced_requantize_matches_exact_arithmetic(acc: int, multiplier: int, shift: int) -> None:
    expected = naive.requantize_reduced(acc, multiplier, shift)
    assume(-(2**31) <= expected < 2**31)
    assert quant.requantize_reduced(acc, multiplier, shift) == expected


def test_requantize_wraps_where_registers_do() -> None:
    assert quant.requantize(2**30, 2**30, 2) == 0
    assert quant.wrap_int32(2**31) == -(2**31)
    assert quant.saturating_rounding_doubling_high_mul(-(2**31), -(2**31)) == 2**31 - 1


def test_float_requantize_cuts_towards_zero() -> None:
    assert quant.requantize_float([3, -3, 2], np.float32(0.5)).tolist() == [1, -1, 1]


@given(INT32, st.integers(0, 31))
def test_rounding_shift_matches_exact_arithmetic(value: int, exponent: int) -> None:
    expected = naive.half_away(Fraction(value, 2**exponent))
    assert quant.rounding_divide_by_pot(value, exponent) == expected


def test_arrays_broadcast_along_channels() -> None:
    by = quant.scaling([0.5, 0.25, 2.0])
    assert quant.rescale(np.array([[4, 4, 4], [-4, -4, -4]]), by).tolist() == [[2, 1, 8], [-2, -1, -8]]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation.NONE, (-128, 127)),
        (Activation.RELU, (-28, 127)),
        (Activation.RELU6, (-28, 92)),
        (Activation.RELU_N1_TO_1, (-48, -8)),
    ],
)
def test_activation_ranges(activation: Activation, expected: tuple[int, int]) -> None:
    limits = quant.activation_range(activation, Quantization((0.05,), (-28,)), DType.INT8, "here")
    assert limits == expected


def test_activation_beyond_int32_is_refused() -> None:
    with pytest.raises(ModelError, match=r"here: 6\.0 is no number at scale"):
        quant.activation_range(Activation.RELU6, Quantization((1e-12,), (0,)), DType.INT8, "here")


@given(st.floats(-30, 0))
def test_exponential_is_near(x: float) -> None:
    raw = round(x * 2**26)
    power = int(fixed_point.exp_on_negative_values(raw, 5)) / Q31
    assert power == pytest.approx(math.exp(raw / 2**26), abs=4e-7)


@given(st.floats(-7.9, 7.9))
def test_sigmoids_are_near(x: float) -> None:
    raw = round(x * 2**27)
    exact = raw / 2**27
    assert int(fixed_point.logistic(raw, 4)) / Q31 == pytest.approx(1 / (1 + math.exp(-exact)), abs=4e-7)
    assert int(fixed_point.tanh(raw, 4)) / Q31 == pytest.approx(math.tanh(exact), abs=8e-7)


@given(st.integers(1, 2**31 - 1))
def test_reciprocals_are_near(value: int) -> None:
    mantissa, bits = fixed_point.reciprocal(value, 12)
    assert int(mantissa) / Q31 * 2.0 ** -int(bits) == pytest.approx(2**19 / value, rel=1e-8)


@given(st.floats(1, 4000))
def test_logarithms_are_near(x: float) -> None:
    raw = round(x * 2**19)
    assert int(fixed_point.log_of_sum(raw, 12, 5)) / 2**26 == pytest.approx(math.log(raw / 2**19), abs=1e-6)


def test_sigmoid_table_is_a_sigmoid() -> None:
    exact = 65536 / (1 + np.exp(-np.arange(256) / 24))
    assert np.abs(fixed_point.SIGMOID_TABLE - exact).max() < 1.2


@given(st.floats(-87, 88, width=32))
def test_float_exponential_is_within_an_ulp(x: float) -> None:
    exact = math.exp(x)
    assert abs(float(libm.exp_float32(x)) - exact) <= float(np.spacing(np.float32(exact)))


@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_float_logarithm_is_within_an_ulp(x: float) -> None:
    exact = math.log(x)
    assert abs(float(libm.log_float32(x)) - exact) <= float(np.spacing(np.float32(abs(exact))))
