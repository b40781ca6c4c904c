"""What each kernel of TensorFlow Lite Micro asks of a node, and with it the operators that TFLM registers.

A line says the types that run; `conditions.py` explains the notation, `condition_rules.py` has the rules. Where TFLM
does not look at an operand, neither does the line (`any`): the node runs, on whatever lies there. Every line was
derived from variants of one-operator networks asked of the wheel tflite-micro 0.dev20261023182759
(`scripts/kernel_conditions.py`), and CI asks a sample of them again. CMSIS-NN's kernels stand on the same checks: each
is Prepare of the reference kernel, or falls back to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mcusim.graph import Activation, DType
from mcusim.runtimes.condition_rules import (
    above,
    along_named_axis,
    bias_scale,
    constant,
    divisor,
    each_like,
    elements,
    entry_an_axis,
    fixed_output,
    most_inputs,
    none_negative,
    one_option,
    quantised,
    rank,
    same_quantisation,
    same_rank,
    same_shape,
    scale_above_zero,
    unquantised,
    variable,
    zero_point,
)
from mcusim.runtimes.conditions import OUT, Conditions
from mcusim.runtimes.tflm_rules import (
    activation_range,
    alike_inputs,
    below_one,
    below_power,
    given_or_left_out,
    logistic_range,
    lstm_states,
    no_zero_points,
    one_scale,
    same_bytes,
    softmax_range,
    squeezes_ones,
    strided_output,
    sum_scale,
    svdf_bias,
    table_scale,
    unset_scales,
)
from mcusim.runtimes.tflm_signal_conditions import CUSTOM_CONDITIONS

__all__ = ["TFLM_CONDITIONS"]

INT8, INT16, INT32, UINT8 = DType.INT8, DType.INT16, DType.INT32, DType.UINT8

_of = Conditions.of

NO_ACTIVATION = one_option(
    "fused_activation_function", (Activation.NONE,), "its fused activation is not none, which the kernel does not apply"
)
_SHUFFLED = one_option("weights_format", (0, 1), "its weights are stored in a format that the kernel does not know")


def _pool() -> Conditions:
    return _of(
        "float32 ... > any ...",
        "int8|int16 ... > int8|int16|uint8|int4 ...",
        numbers=(same_quantisation(0, OUT, INT8, INT16, tolerance=1e-6), activation_range),
    )


def _extreme() -> Conditions:
    alike = same_quantisation(0, OUT, INT8)
    return _of("float32|int8 int32 > =0", numbers=(alike,), prepared=("any int32 > any",), late=(alike,))


def _block() -> Conditions:
    return _of("float32|int8 > =0", shapes=(rank(0, 4, 4), rank(OUT, 4, 4)))


def _batch_block() -> Conditions:
    shapes = (rank(0, 3, 4), rank(OUT, 3, 4))
    return _of("float32|int8 int32|uint32 int32|uint32 > =0", shapes=shapes, prepared=("any any any > =0",))


def _lstm(weights: str, cell: str) -> str:
    """Eight weights of one type, no peepholes, four biases of one type, output state and cell state."""
    return f"{weights} {'=1 ' * 7}{'any? ' * 3}any {'=12 ' * 3}any? any? =0 {cell} {'any? ' * 4}> =0"


_OUTPUT_SCALE = divisor(OUT, INT8, INT16, at=OUT)
_POSITIVE = tuple(scale_above_zero(place, INT8, INT16) for place in (0, 1))


def _sum() -> Conditions:
    return _of(
        "any any ... > float32 ...",
        "any any ... > int8|int16 ...",
        "any any ... > int32 ...",
        numbers=(
            *(quantised(place, INT8, INT16, at=OUT) for place in (0, 1, OUT)),
            *(unquantised(place, INT32) for place in (0, 1, OUT)),
            sum_scale(20, INT8),
            sum_scale(15, INT16),
            *_POSITIVE,
            activation_range,
        ),
        prepared=("any any ... > any ...",),
    )


_FLOAT_ONLY = _of("float32 > =0", prepared=("any > =0",))
_SAME_FLOATS = _of("float32 > =0", shapes=(same_shape(0, OUT),))


def _comparison(types: str) -> Conditions:
    forms = (f"{types} any ... > any ...", "int8 any ... > any ...")
    unset = unset_scales(INT16)
    return _of(*forms, shapes=(unset,), numbers=(below_one(INT8),), prepared=("any any ... > any ...",), late=(unset,))


_MOST = "float32|int16|int32|int64|int8"

TFLM_CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        # Sums of products
        "CONV_2D": _of(
            "float32 float32 any? > =0",
            "int8 int8|int4 any? > =0",
            "int16 int8 int32|int64? > =0",
            shapes=(rank(0, 4, 6), rank(1, 4, 6), rank(OUT, 2, 7)),
            numbers=(
                quantised(0, INT8, INT16),
                quantised(1, INT8, INT16, channels=0),
                activation_range,
                _OUTPUT_SCALE,
            ),
            prepared=(
                "float32 float32 any? > =0",
                "int8 int8|int4 any? > =0",
                "int16 int8 any? > =0",
            ),
        ),
        "DEPTHWISE_CONV_2D": _of(
            "float32 float32 any? > any",
            "int8 int8|int4 any? > int8|int16|uint8",
            "int16 int8 any? > int8|int16|uint8",
            shapes=(rank(0, 4, 7), rank(1, 4, 7), given_or_left_out(2)),
            numbers=(
                quantised(0, INT8, INT16),
                quantised(1, INT8, INT16, channels=3),
                activation_range,
                _OUTPUT_SCALE,
            ),
            prepared=(
                "float32 float32 any? > any",
                "int8 int8|int4 any? > int8|int16|uint8",
                "int16 int8 any? > int8|int16|uint8",
                "int16|int4|uint8 =0 any? > int8|int16|uint8|int4",
            ),
        ),
        "TRANSPOSE_CONV": _of(
            "any float32 float32 any? > float32",
            "any int8 int8 any? > int8",
            "any int8|int16 int16 any? > int16",
            numbers=(quantised(2, INT8, INT16, at=2), quantised(1, INT8, INT16, channels=0, at=2), _OUTPUT_SCALE),
            prepared=(
                "any float32 float32 any? > any",
                "any int4|int8|int16|uint8 =1 any? > int8|int16|uint8|int4",
                "any int8 int16 any? > int8|int16|uint8",
                "any int16 int8 any? > int8|int16|uint8",
            ),
        ),
        "FULLY_CONNECTED": _of(
            "float32 float32 any? ... > =0 ...",
            "int8 int8|int4 any? ... > =0 ...",
            "int16 int8 any? ... > =0 ...",
            shapes=(_SHUFFLED,),
            numbers=(
                bias_scale(2, 0, 1, 0.02, INT8, INT16, UINT8),
                one_scale(1, DType.INT4, may_lack=True),
                along_named_axis(1, INT8, INT16),
                activation_range,
                _OUTPUT_SCALE,
            ),
            prepared=(
                "float32 float32 any? ... > =0 ...",
                "uint8 int8|uint8 any? ... > =0 ...",
                "int8 int8|int4 any? ... > =0 ...",
                "int16 int8 any? ... > =0 ...",
            ),
        ),
        "BATCH_MATMUL": _of(
            "float32|int8|int16 =0 > =0",
            shapes=(rank(0, 2, 5), rank(1, 2, 5)),
            numbers=(no_zero_points(INT16), _OUTPUT_SCALE),
        ),
        "SVDF": _of(
            "float32 float32 float32 float32 float32 > float32",
            "int8 int8 int8|int16 int32 int8|int16 > int8",
            shapes=(rank(0, 2, 2), rank(2, 2, 2), rank(3, 1, 1), rank(4, 2, 2), rank(OUT, 2, 2), variable(4)),
            numbers=(svdf_bias, divisor(4, INT8), _OUTPUT_SCALE),
        ),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _of(
            _lstm("float32 float32|int8", "float32|int16"),
            _lstm("int8|int16 int8", "float32|int16"),
            shapes=(
                most_inputs(24, 24),
                rank(0, 3, 3),
                *(rank(weights, 2, 2) for weights in range(1, 9)),
                *(rank(bias, 1, 1) for bias in range(12, 16)),
                rank(18, 2, 2),
                variable(18),
                variable(19),
                lstm_states,
            ),
            numbers=(
                *(along_named_axis(weights, INT8, INT16) for weights in range(1, 9)),
                *(divisor(state, INT8, INT16) for state in (18, 19)),
            ),
            prepared=(_lstm("any any", "float32|int16"),),
        ),
        # Windows
        "AVERAGE_POOL_2D": _pool(),
        "MAX_POOL_2D": _pool(),
        "L2_POOL_2D": _of("float32 > =0", shapes=(rank(0, 4, 4), rank(OUT, 4, 4))),
        # Along axes
        "SOFTMAX": _of(
            "float32 > =0",
            "int8 > int8|int16",
            "int16 > int16",
            shapes=(rank(0, 1, 9), above("beta", 0, INT8)),
            numbers=(
                fixed_output(1 / 256, -128, INT8),
                fixed_output(1 / 65536, -32768, INT16, relative=1e-3, source=INT8),
                fixed_output(1 / 32768, 0, INT16, relative=1e-3, source=INT16),
                zero_point(0, 0, INT16),
                quantised(0, INT8),
                softmax_range,
            ),
        ),
        "LOG_SOFTMAX": _of(
            "float32|int8 > =0",
            shapes=(same_shape(0, OUT),),
            numbers=(fixed_output(16 / 256, 127, INT8), quantised(0, INT8), softmax_range),
            prepared=("any > =0",),
        ),
        "L2_NORMALIZATION": _of("float32|int8 > =0", shapes=(rank(0, 0, 4), NO_ACTIVATION)),
        "MEAN": _of("float32|int8|int16 int32 > any", numbers=(_OUTPUT_SCALE,), prepared=("any int32 > any",)),
        "SUM": _of("float32|int8|int16 int32 > =0", numbers=(_OUTPUT_SCALE,), prepared=("any int32 > any",)),
        "REDUCE_MAX": _extreme(),
        "REDUCE_MIN": _extreme(),
        "REDUCE_ALL": _of("bool int32 > =0", prepared=("bool int32 > any",)),
        "ARG_MAX": _of("float32|int8 int32 ... > int32 ...", prepared=("any any ... > any ...",)),
        "ARG_MIN": _of("float32|int8 int32 ... > int32 ...", prepared=("any any ... > any ...",)),
        "CUMSUM": _of(
            "float32|int8 int32 > =0",
            shapes=(rank(0, 1, 9), same_shape(0, OUT)),
            numbers=(quantised(0, INT8), quantised(OUT, INT8), sum_scale(15, INT8, inputs=(0,))),
        ),
        # Element by element, two inputs
        "ADD": _sum(),
        "SUB": _sum(),
        "MUL": _of(
            "float32|int8|int16 =0 > any",
            "int32 =0 > float32|int16|int32|int8",
            numbers=(no_zero_points(INT16), activation_range, _OUTPUT_SCALE),
            prepared=("any =0 > any",),
        ),
        "DIV": _of(
            "float32|int8|int32 =0 ... > =0 ...",
            numbers=(activation_range, divisor(1, INT8), _OUTPUT_SCALE),
            prepared=("any =0 ... > =0 ...",),
        ),
        "SQUARED_DIFFERENCE": _of(
            "any =0 > float32|int16|int32|int8",
            numbers=(
                *(quantised(place, INT8, INT16) for place in (0, 1)),
                no_zero_points(INT16),
                *_POSITIVE,
                _OUTPUT_SCALE,
            ),
            prepared=("any =0 > any",),
        ),
        "MAXIMUM": _of(f"any any ... > {_MOST} ...", prepared=("any any ... > any ...",)),
        "MINIMUM": _of(f"any any ... > {_MOST} ...", prepared=("any any ... > any ...",)),
        "FLOOR_DIV": _of("float32 =0 > =0", prepared=("any =0 > =0",)),
        "FLOOR_MOD": _of("float32 =0 > =0", prepared=("any =0 > =0",)),
        "EQUAL": _comparison("bool|float32|int32|int64"),
        "NOT_EQUAL": _comparison("bool|float32|int32|int64"),
        "GREATER": _comparison("float32|int16|int32|int64"),
        "GREATER_EQUAL": _comparison("float32|int32|int64"),
        "LESS": _comparison("float32|int32|int64"),
        "LESS_EQUAL": _comparison("float32|int32|int64"),
        "LOGICAL_AND": _of("any any ... > any ..."),
        "LOGICAL_OR": _of("any any ... > any ..."),
        "ADD_N": _of(
            "float32|int8 =0 =0* > =0",
            shapes=(each_like(0),),
            numbers=(alike_inputs(INT8), quantised(OUT, INT8), sum_scale(20, INT8)),
        ),
        "SELECT_V2": _of("bool float32|int8|int16 =1 > any", prepared=("bool any =1 > any",)),
        # Element by element, one input
        **dict.fromkeys(("LOG", "SIN", "COS", "SQRT", "SQUARE"), _FLOAT_ONLY),
        **dict.fromkeys(("EXP", "CEIL", "ROUND"), _SAME_FLOATS),
        "FLOOR": _of("float32 ... > any ...", prepared=("any ... > any ...",)),
        "NEG": _of("float32 ... > any ...", prepared=("any ... > any ...",)),
        "ABS": _of(
            "float32|int8|int16 > =0",
            numbers=(quantised(0, INT8), quantised(OUT, INT8, INT16), no_zero_points(INT16)),
            prepared=("any > =0",),
        ),
        "RSQRT": _of(
            "float32|int8|int16 > =0",
            numbers=(quantised(0, INT8), quantised(OUT, INT8, INT16), no_zero_points(INT16), divisor(0, INT16)),
            prepared=("any > =0",),
        ),
        "LOGICAL_NOT": _of("bool > =0", prepared=("any > =0",)),
        "ZEROS_LIKE": _of("float32|int32|int64|int8 > any", prepared=("any > any",)),
        "RELU": _of(
            "float32|int8|int16 ... > any ...",
            numbers=(no_zero_points(INT16), _OUTPUT_SCALE),
            prepared=("any ... > any ...",),
        ),
        "RELU6": _of(
            "float32|int8|int16 ... > any ...", numbers=(divisor(0, INT8, INT16),), prepared=("any ... > any ...",)
        ),
        "LEAKY_RELU": _of("float32|int8|int16 > =0", numbers=(_OUTPUT_SCALE,), prepared=("any > =0",)),
        "PRELU": _of(
            "float32|int8|int16 any ... > !int16 ...",
            "float32|int8|int16 int8 ... > int16 ...",
            numbers=(_OUTPUT_SCALE,),
            prepared=(
                "any any ... > !int16 ...",
                "any int8 ... > int16 ...",
            ),
        ),
        "ELU": _of("float32|int8 > =0", numbers=(_OUTPUT_SCALE,), prepared=("any > =0",)),
        "LOGISTIC": _of(
            "float32|int8|int16 ... > =0 ...",
            numbers=(fixed_output(None, -128, INT8), *logistic_range(), divisor(0, INT16)),
            prepared=("any ... > =0 ...",),
        ),
        "TANH": _of("float32|int8|int16 > =0", numbers=(*logistic_range(), divisor(0, INT16)), prepared=("any > =0",)),
        "HARD_SWISH": _of(
            "float32|int8 > any", numbers=(below_power(1 / 128, INT8), _OUTPUT_SCALE), prepared=("any > any",)
        ),
        "QUANTIZE": _of(
            "float32|int16|int32|int8 > int16",
            "float32|int16|int32|int8|uint8 > int8",
            "int16|int8 > int32",
            "int8 > uint8",
            numbers=(one_scale(OUT, INT8, INT16, INT32, UINT8),),
            prepared=("float32|int16|int32|int8|uint8 > int8|int16|int32|uint8",),
        ),
        "DEQUANTIZE": _of("int8|int16|uint8 > float32"),
        "CAST": _of(
            "bool|float32|int16|int32|int8|uint32 > bool|float32|int16|int32|int8|uint32", prepared=("any > any",)
        ),
        # Moving bytes
        "CONCATENATION": _of(
            "bool|float32|int8|int16|int32|int64 =0* > =0",
            shapes=(most_inputs(10), NO_ACTIVATION, rank(0, 0, 6)),
            numbers=(alike_inputs(INT8, with_output=True), no_zero_points(INT16)),
        ),
        "PAD": _of(
            "float32|int8|int16|int32 int32|uint32 =0? > =0",
            shapes=(constant(1), rank(0, 0, 5)),
            numbers=(same_quantisation(2, OUT, INT8),),
            prepared=("any int32|uint32 =0? > =0",),
        ),
        "PADV2": _of(
            "float32|int8|int16|int32 int32|uint32 =0? > =0",
            shapes=(constant(1), rank(0, 0, 5)),
            numbers=(same_quantisation(2, OUT, INT8),),
            prepared=("any int32|uint32 =0? > =0",),
        ),
        "MIRROR_PAD": _of(
            "any !uint32 ... > float32|int8 ...", shapes=(rank(1, 2, 2),), prepared=("any any ... > any ...",)
        ),
        "STRIDED_SLICE": _of(
            "any int32|uint32 int32|uint32 int32|uint32 > bool|float32|int16|int32|int8",
            shapes=(constant(1), constant(2), constant(3), rank(0, 0, 4), strided_output),
            prepared=("any any int32|uint32 int32|uint32 > any",),
        ),
        "SLICE": _of(
            "bool|float32|int8|int16|int32 int32 int32|uint32 > any",
            "bool|float32|int8|int16|int32 int64 int64 > any",
            shapes=(rank(0, 0, 4),),
            prepared=("any any any > any",),
        ),
        "RESHAPE": _of("any any? > =0"),
        "SQUEEZE": _of("any > any", shapes=(same_bytes, squeezes_ones), late=(same_bytes,)),
        "EXPAND_DIMS": _of(
            "float32|int8|int16 int32 > any",
            shapes=(constant(1), rank(1, 0, 1), elements(1, 1)),
            prepared=("any int32 > any",),
        ),
        "TRANSPOSE": _of(
            "float32|int8|int16 int32|uint32 > =0",
            shapes=(constant(1), rank(0, 1, 5), rank(1, 1, 1), none_negative(1)),
            prepared=("any any > =0",),
        ),
        "SPACE_TO_DEPTH": _block(),
        "DEPTH_TO_SPACE": _block(),
        "SPACE_TO_BATCH_ND": _batch_block(),
        "BATCH_TO_SPACE_ND": _batch_block(),
        "GATHER": _of("float32|int8 int32 > any"),
        "GATHER_ND": _of("float32|int8 int32 > any", shapes=(rank(0, 1, 9), rank(1, 1, 9))),
        "EMBEDDING_LOOKUP": _of(
            "int32 float32|int8 > float32",
            "int32 int8 > int8",
            shapes=(rank(0, 1, 1), rank(1, 2, 9)),
            numbers=(zero_point(1, 0, DType.FLOAT32, at=OUT), table_scale),
        ),
        "DYNAMIC_UPDATE_SLICE": _of(
            "float32|int8|int16|int32 =0 int32|int64 > any",
            shapes=(rank(2, 1, 1), entry_an_axis(2, 0), same_rank(1, 0)),
            prepared=("any =0 int32|int64 > any",),
        ),
        "SHAPE": _of("any > int32", prepared=("any > any",)),
        "SPLIT": _of(
            "int32|int64|uint32 float32|int8|int16|int32 ... > any any*",
            shapes=(constant(0),),
            prepared=("any any ... > any any*",),
        ),
        "SPLIT_V": _of(
            "float32|int8|int16|int32 any int32|int64|uint32 > any any*",
            shapes=(constant(2),),
            prepared=("any any any > any any*",),
        ),
        "PACK": _of(f"any any* > {_MOST}", prepared=("any any* > any",)),
        "UNPACK": _of("float32|int8|int16|int32 ... > any any*", prepared=("any ... > any any*",)),
        "RESIZE_BILINEAR": _of(
            "any int32 > float32|int8",
            shapes=(constant(1), rank(0, 4, 4), rank(1, 1, 1)),
            prepared=("any int32 > any",),
        ),
        "RESIZE_NEAREST_NEIGHBOR": _of(
            "any int32 > float32|int8|int16",
            shapes=(constant(1), rank(0, 4, 4), rank(1, 1, 1)),
            prepared=("any int32 > any",),
        ),
        "REVERSE_V2": _of(
            "bool|float32|int8|int16|int32|int64|uint8 int32 > =0", shapes=(rank(0, 1, 6), rank(1, 1, 1))
        ),
        "FILL": _of(
            "int8|int16|int32|int64 float32|int8|int32 ... > =1 ...",
            shapes=(constant(0), rank(0, 1, 1), rank(1, 0, 0)),
            prepared=("any any ... > =1 ...",),
        ),
        "BROADCAST_TO": _of("any int32|int64 > =0", shapes=(constant(1), rank(0, 0, 5), rank(1, 1, 1))),
        "BROADCAST_ARGS": _of("int32|int64 =0 > =0", shapes=(rank(0, 1, 1), rank(1, 1, 1), rank(OUT, 1, 1))),
        # State and control
        "VAR_HANDLE": _of("> any"),
        "READ_VARIABLE": _of("resource > any"),
        "ASSIGN_VARIABLE": _of("resource any >"),
        "CALL_ONCE": _of(">"),
        "IF": _of("bool ... > ...", shapes=(elements(0, 1),)),
        "WHILE": _of("... > ..."),
        **CUSTOM_CONDITIONS,
    }
)
