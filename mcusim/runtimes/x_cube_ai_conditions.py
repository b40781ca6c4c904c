"""Which TensorFlow Lite operators X-CUBE-AI imports: ST's list, with the types and limits that it names.

The list holds 102 operators; what is not among them is not imported. It names float32, int8 and uint8 for tensors, and
says that an operator without an integer version runs as a float one, between converters: so each of the three goes
wherever one of them does. Types beside those (bool, int32) go where the list names them.

Not held to it: that kernels, pools and strides are smaller than the input. Global pools, and 7x7 kernels on maps of
5x5, are in networks that ST's tools were measured on. Nor that FULLY_CONNECTED takes three dimensions at most and
which activations an LSTM fuses, as the list does not say how it counts them.
Source: ST Edge AI Core 4.0.0, TensorFlow Lite toolbox support,
https://stedgeai-dc.st.com/assets/embedded-docs/supported_ops_tflite.html (X-CUBE-AI 10 has the same toolbox, of 2.x).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from mcusim.graph import Signature, TensorType
from mcusim.ops import OPS
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.foreign import foreign_operator
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstmAttributes
from mcusim.runtimes.condition_rules import rank
from mcusim.runtimes.conditions import Conditions, ShapeRule
from mcusim.runtimes.registry import Kernel

__all__ = ["X_CUBE_AI_CONDITIONS", "x_cube_ai_kernel"]

MOST_AXES, MOST_ELEMENTS_OF_AN_AXIS = 6, 65_535
"""Of every tensor."""

_DATA = "float32|int8|uint8"
_ANY_OF = "float32|int8|uint8|int16|uint16|int32|uint32|bool"
"""Of SELECT."""


# ---------------------------------------------------------------------------------------------------------------------
# Limits that the list names


def _within_limits(signature: Signature) -> str:
    """No more axes and no longer ones than any operator takes."""
    operands: Iterable[TensorType | None] = (*signature.inputs, *signature.outputs)
    for kind in operands:
        if kind is not None and len(kind.shape) > MOST_AXES:
            return f"a tensor has {len(kind.shape)} dimensions, and may have {MOST_AXES}"
        if kind is not None and max(kind.shape, default=0) > MOST_ELEMENTS_OF_AN_AXIS:
            return f"a dimension is {max(kind.shape):,}, and may be {MOST_ELEMENTS_OF_AN_AXIS:,}"
    return ""


def _not_hybrid(signature: Signature) -> str:
    """Activations and weights are both floats, or both integers."""
    source, weights = signature.input(0).dtype, signature.input(1).dtype
    if source.is_float is weights.is_float:
        return ""
    return f"input 0 is {source} and input 1 {weights}: mixed operators are not supported"


def _not_dilated(signature: Signature) -> str:
    dilations = [getattr(signature.attributes, f"dilation_{axis}_factor", 1) for axis in "wh"]
    if signature.input(0).dtype.is_float or max(dilations) == 1:
        return ""
    return f"dilation {max(dilations)} is not supported for integers"


def _batch_stays(what: str) -> ShapeRule:
    """The first dimension has the same size behind it."""

    def rule(signature: Signature) -> str:
        source, output = signature.input(0).shape, signature.output.shape
        if len(source) != len(output) or source[:1] == output[:1]:
            return ""
        return f"{what} along the batch is not supported"

    return rule


def _joins_no_batch(signature: Signature) -> str:
    axis = getattr(signature.attributes, "axis", 1)
    if axis % max(len(signature.output.shape), 1) or len(signature.inputs) == 1:
        return ""
    return "joining along the batch is not supported"


def _moves_no_batch(signature: Signature) -> str:
    order = signature.input(1).values if signature.has(1) else None
    return "moving the batch is not supported" if order and order[0] != 0 else ""


def _reverses_one(signature: Signature) -> str:
    axes = signature.input(1).values if signature.has(1) else None
    if axes is None:
        return ""
    if len(axes) > 1:
        return f"it reverses {len(axes)} axes, and may reverse one"
    return "" if axes and axes[0] % len(signature.input(0).shape) else "reversing the batch is not supported"


def _gathers(signature: Signature) -> str:
    axis = getattr(signature.attributes, "axis", 1) % max(len(signature.input(0).shape), 1)
    if getattr(signature.attributes, "batch_dims", 0):
        return "batch_dims is not handled"
    return f"it gathers along axis {axis}, and may along 1 to 3" if axis == 0 or axis > 3 else ""


def _parts_of_one(signature: Signature) -> str:
    """As many parts as the divided dimension has elements."""
    whole = max(signature.inputs, key=lambda kind: kind.elements if kind is not None else 0)
    for part in signature.outputs:
        if whole is not None and len(part.shape) == len(whole.shape):
            cut = [size for size, before in zip(part.shape, whole.shape, strict=True) if size != before]
            if cut and cut != [1]:
                return f"a part is {cut[0]} wide, and parts have to be 1 wide"
    return ""


def _one_vector(signature: Signature) -> str:
    shape = signature.input(0).shape
    axes = sum(size > 1 for size in shape[:-1])
    return "input 0 has more than one dimension, and may have the channels only" if axes else ""


def _keeps_nothing(signature: Signature) -> str:
    options = attributes_of(signature, UnidirectionalSequenceLstmAttributes)
    if options.time_major:
        return "time_major is not supported"
    return "" if signature.input(0).shape[0] == 1 else f"its batch is {signature.input(0).shape[0]}, and must be 1"


# ---------------------------------------------------------------------------------------------------------------------
# The list


def _listed(*limits: ShapeRule, takes: str = _DATA, gives: str = _DATA, inputs: int = 1) -> Conditions:
    """inputs: how many hold data; behind them come axes, paddings and shapes, which are constants to the generator."""
    form = f"{' '.join([takes] * inputs)} ... > {gives} {gives}*"
    return Conditions.of(form, shapes=(_within_limits, *limits))


def _products(*limits: ShapeRule) -> Conditions:
    """Data, weights, and a bias."""
    form = f"{_DATA} {_DATA} float32|int32? > {_DATA}"
    return Conditions.of(form, shapes=(_within_limits, _not_hybrid, *limits))


_ONE, _TWO = _listed(), _listed(inputs=2)
_COMPARED = _listed(takes=f"{_DATA}|bool", gives="bool", inputs=2)
_LOGICAL = _listed(takes="bool", gives="bool", inputs=2)
_SELECTED = Conditions.of(f"bool {_ANY_OF} {_ANY_OF} > {_ANY_OF}", shapes=(_within_limits,))

X_CUBE_AI_CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        # Sums of products
        "CONV_2D": _products(_not_dilated),
        "DEPTHWISE_CONV_2D": _products(_not_dilated),
        "FULLY_CONNECTED": _products(),
        "TRANSPOSE_CONV": Conditions.of(f"any {_DATA} {_DATA} float32|int32? > {_DATA}", shapes=(_within_limits,)),
        "BATCH_MATMUL": _listed(_not_hybrid, rank(0, 1, 4), inputs=2),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _listed(_keeps_nothing, takes="float32|int8", gives="float32|int8"),
        # One input
        **dict.fromkeys(
            (
                *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC"),
                *("NEG", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIGN", "SIN"),
                *("SQRT", "SQUARE", "TANH", "ZEROS_LIKE", "DEQUANTIZE", "CUSTOM:FlexErf"),
                *("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION"),
                *("MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"),
                *("BATCH_TO_SPACE_ND", "DEPTH_TO_SPACE", "EXPAND_DIMS", "MIRROR_PAD", "PAD", "PADV2", "RESHAPE"),
                *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH"),
                *("SQUEEZE", "STRIDED_SLICE", "UNPACK"),
            ),
            _ONE,
        ),
        "SOFTMAX": _listed(_one_vector),
        "LOG_SOFTMAX": _listed(_one_vector),
        "REDUCE_ANY": _listed(takes=f"{_DATA}|bool", gives=f"{_DATA}|bool"),
        "LOGICAL_NOT": _listed(takes="float32|bool", gives="float32|bool"),
        "CAST": _listed(takes=f"{_DATA}|bool", gives=f"{_DATA}|bool"),
        "ARG_MAX": _listed(gives="int32"),
        "ARG_MIN": _listed(gives="int32"),
        "SHAPE": _listed(takes=f"{_DATA}|int32", gives="int32"),
        "TOPK_V2": _listed(gives=f"{_DATA}|int32"),
        "FILL": Conditions.of("any float32 > float32", shapes=(_within_limits,)),
        "TRANSPOSE": _listed(_moves_no_batch),
        "REVERSE_V2": _listed(_reverses_one),
        "TILE": _listed(_batch_stays("repeating")),
        "BROADCAST_TO": _listed(_batch_stays("repeating")),
        "BROADCAST_ARGS": _listed(takes=f"{_DATA}|int32", gives="int32"),
        "GATHER": _listed(rank(1, 0, 2), _gathers),
        "GATHER_ND": _listed(rank(1, 1, 4)),
        "SCATTER_ND": Conditions.of(f"any {_DATA} any > {_DATA}", shapes=(_within_limits,)),
        "SPLIT": Conditions.of(f"any {_DATA} > {_DATA} {_DATA}*", shapes=(_within_limits, _parts_of_one)),
        "SPLIT_V": _listed(_parts_of_one),
        # Several inputs
        **dict.fromkeys(
            (
                *("ADD", "ATAN2", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "MUL", "POW", "PRELU", "SUB"),
                "SQUARED_DIFFERENCE",
            ),
            _TWO,
        ),
        **dict.fromkeys(("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"), _COMPARED),
        **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), _LOGICAL),
        **dict.fromkeys(("SELECT", "SELECT_V2"), _SELECTED),
        "ADD_N": Conditions.of(f"{_DATA} {_DATA}* > {_DATA}", shapes=(_within_limits,)),
        "PACK": Conditions.of(f"{_DATA} {_DATA}* > {_DATA}", shapes=(_within_limits,)),
        "CONCATENATION": Conditions.of(f"{_DATA} {_DATA}* > {_DATA}", shapes=(_within_limits, _joins_no_batch)),
    }
)

_SERVED = Kernel("X-CUBE-AI's own", why="its kernels are not public, or made for each network")


@lru_cache(SIGNATURES_KEPT)
def x_cube_ai_kernel(signature: Signature) -> Kernel:
    """Every operator of the list goes to a function that mcusim cannot name; why any other is not imported."""
    op = signature.op
    conditions = X_CUBE_AI_CONDITIONS.get(op)
    if conditions is None:
        return Kernel("", False, _not_listed(op))
    reason = conditions.broken_shapes(signature)
    if reason:
        return Kernel("", False, f"X-CUBE-AI's {op}, as ST lists it: {reason}")
    if op in OPS:
        return _SERVED
    return _SERVED._replace(caveat=f"what X-CUBE-AI takes for {op} is not known here", is_confirmed=False)


def _not_listed(op: str) -> str:
    name = op.removeprefix("CUSTOM:")
    foreign = foreign_operator(op)
    if foreign:
        return f"{name} is {foreign.reason}"
    if op.startswith("CUSTOM:"):
        return f"X-CUBE-AI has no kernel for {name}, a custom operator"
    return f"{name} is not among the operators that ST lists for X-CUBE-AI"
