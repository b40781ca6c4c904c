"""Calls of the operators that compute element by element, alone or in pairs.

Of one operand: a call on a run of elements, as long as the tensor where the step runs whole, a row of the piece where
the stage is cut. Of two operands of one shape the same. Where one of them stretches, loops are written around the call
(`_broadcast`; how axes become loops is told in `shared.py`).

int8 has 256 values, so that any function of one element is a table of 256 bytes and one kernel (`write_lookup`).
int16 has too many: its functions are computed, some of them on the line between two entries of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from mcusim.arithmetic.fixed_point import SIGMOID_TABLE
from mcusim.arithmetic.quant import INT32_MAX, INT32_MIN, Scaling, dtype_range, rescale, scaling
from mcusim.firmware.calls.shared import (
    C_TYPES,
    Fields,
    aligned_shape,
    each_run,
    element_steps,
    merged_axes,
    prepared_call,
    refused,
    scaled_fields,
    stage_fields,
)
from mcusim.firmware.steps import StepText
from mcusim.firmware.tables import Mode
from mcusim.firmware.text import literal
from mcusim.graph import DType
from mcusim.ops.add_n import HEADROOM_BITS, PreparedAddN
from mcusim.ops.leaky_relu import LeakyReluAttributes
from mcusim.ops.log_softmax import PreparedLogSoftmax
from mcusim.ops.registry import attributes_of
from mcusim.ops.rsqrt import HEADROOM_BITS as ROOT_HEADROOM_BITS
from mcusim.ops.rsqrt import PreparedRsqrt, root_scaling
from mcusim.ops.shared.arithmetic import (
    Operation,
    PreparedPlain,
    PreparedPrelu,
    PreparedProduct,
    PreparedQuotient,
    PreparedSquares,
    PreparedSum,
)
from mcusim.ops.shared.comparing import LEFT_SHIFT, PreparedComparison
from mcusim.ops.shared.converting import FromReal, Rescale, ToReal
from mcusim.ops.shared.lookups import PreparedUnary
from mcusim.ops.shared.sigmoids import scaled16
from mcusim.ops.softmax import PreparedSoftmax, PreparedSoftmax16

__all__ = [
    "write_add_n",
    "write_cast",
    "write_compare",
    "write_convert",
    "write_l2_normalization",
    "write_leaky_relu",
    "write_log_softmax",
    "write_lookup",
    "write_prelu",
    "write_product",
    "write_quotient",
    "write_relation",
    "write_relu",
    "write_root",
    "write_sigmoid",
    "write_softmax",
    "write_squares",
    "write_sum",
]


def _broadcast(s: StepText, function: str, *layer: str) -> None:
    """Calls of a kernel of two operands, either of which may stretch along some axes."""
    rank = len(s.output.shape)
    shapes = [aligned_shape(s.kind(position), rank) for position in (0, 1)]
    if s.is_cut:
        _broadcast_pieces(s, function, shapes, *layer)
        return
    steps = [element_steps(shape, s.output.shape) for shape in shapes]
    axes = merged_axes(s.output.shape, steps)
    in_size, out_size = s.kind(0).dtype.bits // 8, s.output.dtype.bits // 8
    sources, target = [s.whole(0), s.whole(1)], s.whole_output()
    offsets: list[list[str]] = [[], [], []]
    out_steps = element_steps(tuple(n for n, _ in axes), tuple(n for n, _ in axes))
    for axis, ((count, of_axis), out_step) in enumerate(zip(axes[:-1], out_steps[:-1], strict=True)):
        s.lines.append("    " * axis + f"for (int32_t i{axis} = 0; i{axis} < {count}; i{axis}++) {{")
        sizes = in_size, in_size, out_size
        for terms, step, size in zip(offsets, (*of_axis, out_step), sizes, strict=True):
            if step:
                terms.append(f" + i{axis} * {step * size}")
    count, (step_a, step_b) = axes[-1]
    a, b, out = (base + "".join(terms) for base, terms in zip((*sources, target), offsets, strict=True))
    depth = len(axes) - 1
    s.lines.append(
        "    " * depth + f"{function}({', '.join((*layer, a, str(step_a), b, str(step_b), out, str(count)))});"
    )
    s.lines += ["    " * axis + "}" for axis in reversed(range(depth))]


def _broadcast_pieces(s: StepText, function: str, shapes: Sequence[tuple[int, ...]], *layer: str) -> None:
    """The same of a piece: run by run of a row where both operands have it whole, else pixel by pixel."""
    if len(s.output.shape) != 4 or s.output.shape[0] > 1:
        raise refused(s, "of that shape, cut into pieces,")
    in_size, size = s.kind(0).dtype.bits // 8, s.output.dtype.bits // 8
    channels = s.output.channels
    sources = [s.map_in(0), s.map_in(1)]
    # Both operands as wide as the output: a row of pixels is one contiguous run in each of them.
    target = s.map_out()
    row, rows, col, cols = s.region()
    by_row = all(shape[2:] == tuple(s.output.shape[2:]) for shape in shapes)
    arguments = []
    for source, shape in zip(sources, shapes, strict=True):
        y = "y" if shape[1] > 1 or s.output.rows == 1 else "0"
        x = ("x" if not by_row else col) if shape[2] > 1 or s.output.cols == 1 else "0"
        arguments += [f"mcu_in_at({source}, {y}, {x}, {shape[3] * in_size})", str(int(shape[3] > 1 or channels == 1))]
    s.lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
    if by_row:
        out = f"mcu_out_at({target}, y, {col}, {channels * size})"
        s.lines.append(f"    {function}({', '.join((*layer, *arguments, out, f'{cols} * {channels}'))});")
    else:
        s.lines.append(f"    for (int32_t x = {col}; x < {col} + {cols}; x++) {{")
        out = f"mcu_out_at({target}, y, x, {channels * size})"
        s.lines.append(f"        {function}({', '.join((*layer, *arguments, out, str(channels)))});")
        s.lines.append("    }")
    s.lines.append("}")


def _plain(s: StepText) -> None:
    """Elements that are taken as they are."""
    p = cast(PreparedPlain, s.prepared)
    limits = p.limits if p.limits is not None else (INT32_MIN, INT32_MAX)
    ends = [literal(int(min(max(limit, INT32_MIN), INT32_MAX))) for limit in limits]
    _broadcast(s, "mcu_plain_32", f"MCU_{p.operation.name}", *ends)


def write_sum(s: StepText) -> None:
    if s.choice.name == "plain":
        _plain(s)
        return
    p = cast(PreparedSum, s.prepared)
    if _sum_fast(s, p):
        return
    layer = s.define(
        "mcu_sum_layer",
        {
            "left_shift": p.left_shift,
            "zero_points": p.zero_points,
            "signs": (1, p.sign),
            "multipliers": tuple(int(scaling.multiplier) for scaling in p.scalings),
            "shifts": tuple(int(scaling.shift) for scaling in p.scalings),
            "stage": stage_fields(p.stage),
        },
    )
    _broadcast(s, "mcu_sum" if s.output.dtype is DType.INT8 else "mcu_sum_16", layer)


_HALF = (1 << 30, 0)


def _sum_fast(s: StepText, p: PreparedSum) -> bool:
    """The fast kernel, where shapes are equal and the arithmetic is plain."""
    pairs = [(int(scaling.multiplier), int(scaling.shift)) for scaling in p.scalings]
    # In TFLite one of the two scalings is always exactly one half (the larger of both scales). The fast kernel shifts
    # instead of multiplying by it.
    first = 0 if pairs[0] == _HALF else 1
    second = 1 - first
    stage = p.stage
    shift = int(stage.scaling.shift)
    # The fast way needs a right shift for the other operand and for the sum, each within 32 bits.
    fits = pairs[first] == _HALF and -30 <= pairs[second][1] <= 0 and -22 <= shift <= -1
    if p.sign < 0 or s.output.dtype is not DType.INT8 or not fits or s.kind(0).shape != s.kind(1).shape:
        return False
    spans = (int(stage.lowest), int(stage.highest)) == (-128, 127)
    rising = Mode.RISING_8 if stage.lowest >= stage.zero_point else Mode.SIGNED_8
    layer = s.define(
        "mcu_sum_fast_layer",
        {
            "first_offset": -p.zero_points[first] << 20,
            "second_offset": -p.zero_points[second] << 21,
            "second_multiplier": pairs[second][0],
            "second_shift": -pairs[second][1],
            "multiplier": int(stage.scaling.multiplier),
            "shift": -shift,
            "c": (2 * stage.zero_point + 1) << (-shift - 1),
            "lowest": int(stage.lowest),
            "highest": int(stage.highest),
            "mode": f"MCU_{rising if spans else Mode.SIGNED}",
        },
    )
    _pair(s, lambda a, b, out, count: f"mcu_sum_fast({layer}, {a}, {b}, {out}, {count})", first)
    return True


def _pair(s: StepText, write: Callable[[str, str, str, str], str], first: int) -> None:
    """Calls on runs of two operands of the output's shape, operand `first` first."""
    if not s.is_cut:
        s.lines.append(write(s.whole(first), s.whole(1 - first), s.whole_output(), str(s.output.elements)) + ";")
        return
    sources, target = [s.map_in(0), s.map_in(1)], s.map_out()
    row, rows, col, cols = s.region()
    channels = s.output.channels
    a, b = (f"mcu_in_at({sources[i]}, y, {col}, {channels})" for i in (first, 1 - first))
    s.lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
    s.lines.append(f"    {write(a, b, f'mcu_out_at({target}, y, {col}, {channels})', f'{cols} * {channels}')};")
    s.lines.append("}")


def write_product(s: StepText) -> None:
    if s.choice.name == "plain":
        _plain(s)
        return
    p = cast(PreparedProduct, s.prepared)
    layer = s.define("mcu_product_layer", {"zero_points": p.zero_points, "stage": stage_fields(p.stage)})
    _broadcast(s, "mcu_multiply" if s.output.dtype is DType.INT8 else "mcu_multiply_16", layer)


def write_quotient(s: StepText) -> None:
    if s.choice.name == "plain":
        _plain(s)
        return
    p = cast(PreparedQuotient, s.prepared)
    layer = s.define("mcu_quotient_layer", {"zero_points": p.zero_points, "stage": stage_fields(p.stage)})
    _broadcast(s, "mcu_divide", layer)


def write_compare(s: StepText) -> None:
    if s.choice.name == "plain":
        _plain(s)
        return
    p = cast(PreparedPlain, s.prepared)
    # Booleans are 0 and 1: the smaller of them is their conjunction.
    function = "mcu_maximum" if p.operation in (Operation.MAXIMUM, Operation.OR) else "mcu_minimum"
    _broadcast(s, function + ("_16" if s.output.dtype is DType.INT16 else ""))


def write_prelu(s: StepText) -> None:
    p = cast(PreparedPrelu, s.prepared)
    limits = p.zero_point, p.lowest, p.highest
    layer = s.define(
        "mcu_prelu_layer",
        {
            "zero_points": p.zero_points,
            "identity": scaled_fields(p.identity, *limits),
            "slope": scaled_fields(p.slope, *limits),
        },
    )
    _broadcast(s, "mcu_prelu", layer)


def write_lookup(s: StepText) -> None:
    p = s.prepared.results if isinstance(s.prepared, PreparedRsqrt) else cast(PreparedUnary, s.prepared)
    if p.table is None:
        raise refused(s, "of floats")
    table = s.store("table", p.table.astype(np.int8))
    each_run(s, lambda a, out, count: f"mcu_lookup({table}, {a}, {out}, {count})")


def write_root(s: StepText) -> None:
    """ABS and RSQRT."""
    if s.choice.name == "lookup":
        write_lookup(s)
        return
    call = prepared_call(s)
    lowest, highest = dtype_range(DType.INT16)
    if s.step.signature.op == "ABS":
        source, target = call.input(0).quantization, call.outputs[0].quantization
        ratio, most = 1.0, highest
        if source is None:  # the magnitude of the lowest integer is itself
            most = highest + 1
        elif target is not None:
            ratio = source.scales[0] / target.scales[0]
        layer = s.define("mcu_stage", scaled_fields(scaling(ratio), 0, lowest, most))
        each_run(s, lambda a, out, n: f"mcu_abs_16({layer}, {int(ratio != 1.0)}, {a}, {out}, {n})")
        return
    by, before, after = root_scaling(call)
    layer = s.define("mcu_stage", scaled_fields(by, after, lowest, highest))
    head = f"{layer}, {literal(before)}, {ROOT_HEADROOM_BITS}"
    each_run(s, lambda a, out, n: f"mcu_rsqrt_16({head}, {a}, {out}, {n})")


def write_relu(s: StepText) -> None:
    if s.choice.name == "lookup":
        write_lookup(s)
        return
    table = cast(PreparedUnary, s.prepared).table
    assert table is not None, "integers have a table"
    lowest, highest = int(table.min()), int(table.max())
    if s.step.signature.op == "RELU6":
        each_run(s, lambda a, out, n: f"mcu_clamp_16({lowest}, {highest}, {a}, {out}, {n})")
        return
    node = s.graph.nodes[s.step.node]
    kinds = [s.graph.tensors[t].quantization for t in (node.inputs[0], node.outputs[0])]
    assert kinds[0] is not None, "preparing it asked for them"
    assert kinds[1] is not None, "preparing it asked for them"
    factor = scaling(kinds[0].scales[0] / kinds[1].scales[0])
    stage = scaled_fields(factor, kinds[1].zero_points[0], lowest, highest)
    layer = s.define("mcu_relu_layer", {"zero_point": kinds[0].zero_points[0], "stage": stage})
    each_run(s, lambda a, out, n: f"mcu_relu_16({layer}, {a}, {out}, {n})")


def write_sigmoid(s: StepText) -> None:
    if s.choice.name == "lookup":
        write_lookup(s)
        return
    is_tanh = s.step.signature.op == "TANH"
    multiplier, right = scaled16(prepared_call(s), (0, 1) if is_tanh else (0,))
    layer = s.define(
        "mcu_sigmoid_layer",
        {"table": s.store("table", SIGMOID_TABLE.astype(np.uint16)), "multiplier": multiplier, "right": right},
    )
    function = "mcu_tanhs_16" if is_tanh else "mcu_logistics_16"
    each_run(s, lambda a, out, n: f"{function}({layer}, {a}, {out}, {n})")


def write_cast(s: StepText) -> None:
    source, target = s.kind(0).dtype, s.output.dtype
    head = f"{C_TYPES[source]}, {C_TYPES[target]}, {int(target is DType.BOOL)}"
    each_run(s, lambda a, out, n: f"mcu_cast({head}, {a}, {out}, {n})")


def write_leaky_relu(s: StepText) -> None:
    if s.choice.name == "lookup":
        write_lookup(s)
        return
    node = s.graph.nodes[s.step.node]
    scales = [s.graph.tensors[t].quantization for t in (node.inputs[0], node.outputs[0])]
    assert scales[0] is not None, "preparing it asked for them"
    assert scales[1] is not None, "preparing it asked for them"
    ratio = scales[0].scales[0] / scales[1].scales[0]
    alpha = attributes_of(s.step.signature, LeakyReluAttributes).alpha
    limits = scales[1].zero_points[0], *dtype_range(s.output.dtype)
    layer = s.define(
        "mcu_leaky_relu_layer",
        {
            "zero_point": scales[0].zero_points[0],
            "identity": scaled_fields(scaling(ratio), *limits),
            "slope": scaled_fields(scaling(scales[0].scales[0] * alpha / scales[1].scales[0]), *limits),
        },
    )
    each_run(s, lambda a, out, n: f"mcu_leaky_relu_16({layer}, {a}, {out}, {n})")


def write_softmax(s: StepText) -> None:
    if isinstance(s.prepared, PreparedSoftmax16):
        wide = s.prepared
        layer = s.define(
            "mcu_softmax_16_layer",
            {
                "exponentials": s.store("exponentials", wide.exponentials),
                "reciprocals": s.store("reciprocals", wide.reciprocals),
                "multiplier": wide.multiplier,
                "shift": wide.shift,
            },
        )
        depth = s.output.channels
        each_run(s, lambda a, out, n: f"mcu_softmax_16({layer}, {a}, {out}, {n} / {depth}, {depth})")
        return
    p = cast(PreparedSoftmax, s.prepared)
    table = s.store("exponentials", p.exponentials.astype(np.int32))
    channels = s.output.channels
    each_run(s, lambda a, out, n: f"mcu_softmax({table}, {p.bits}, {a}, {out}, {n} / {channels}, {channels})")


def write_log_softmax(s: StepText) -> None:
    p = cast(PreparedLogSoftmax, s.prepared)
    layer = s.define(
        "mcu_log_softmax_layer",
        {
            "exponentials": s.store("exponentials", p.exponentials.astype(np.int32)),
            "scaled": s.store("scaled", p.scaled.astype(np.int32)),
            "radius": p.radius,
            "multiplier": p.multiplier,
            "shift": p.shift,
            "lowest": p.lowest,
            "highest": p.highest,
        },
    )
    channels = s.output.channels
    each_run(s, lambda a, out, n: f"mcu_log_softmax({layer}, {a}, {out}, {n} / {channels}, {channels})")


def write_convert(s: StepText) -> None:
    source, target = s.kind(0).dtype, s.output.dtype
    match s.prepared:
        case FromReal(scale, zero_point, lowest, highest):
            # A hexadecimal float is exact: the compiler reads the very bits that the executor computed with.
            number = f"{float(np.float32(scale)).hex()}f"
            head = f"{C_TYPES[target]}, {number}, {literal(zero_point)}, {literal(lowest)}, {literal(highest)}"
            each_run(s, lambda a, out, n: f"mcu_quantize({head}, {a}, {out}, {n})")
        case ToReal(scale, zero_point):
            head = f"{C_TYPES[source]}, {float(scale).hex()}, {literal(zero_point)}"
            each_run(s, lambda a, out, n: f"mcu_dequantize({head}, {a}, {out}, {n})")
        case Rescale(by, input_zero_point, zero_point, lowest, highest):
            stage = s.define("mcu_stage", scaled_fields(by, zero_point, lowest, highest))
            head = f"{C_TYPES[source]}, {C_TYPES[target]}, {literal(input_zero_point)}, {stage}"
            each_run(s, lambda a, out, n: f"mcu_rescale_all({head}, {a}, {out}, {n})")
        case _:
            raise refused(s, f"of {source} to {target}")


def _pairs(scalings: Sequence[Scaling]) -> Fields:
    """Multipliers and shifts of two operands."""
    return {
        "multipliers": tuple(int(scaling.multiplier) for scaling in scalings),
        "shifts": tuple(int(scaling.shift) for scaling in scalings),
    }


def write_squares(s: StepText) -> None:
    if s.choice.name == "plain":
        _plain(s)
        return
    p = cast(PreparedSquares, s.prepared)
    layer = s.define(
        "mcu_squares_layer",
        {
            "left_shift": p.left_shift,
            "zero_points": p.zero_points,
            **_pairs(p.scalings),
            "stage": stage_fields(p.stage),
        },
    )
    _broadcast(s, "mcu_squares" if s.output.dtype is DType.INT8 else "mcu_squares_16", layer)


def write_relation(s: StepText) -> None:
    p = cast(PreparedComparison, s.prepared)
    if p.scalings is None:
        function = "mcu_relate_32" if s.kind(0).dtype is DType.INT32 else "mcu_relate_8"
        _broadcast(s, function, f"MCU_{p.relation.name}")
        return
    layer = s.define(
        "mcu_relation_layer",
        {
            "relation": f"MCU_{p.relation.name}",
            "left_shift": LEFT_SHIFT,
            "zero_points": p.zero_points,
            **_pairs(p.scalings),
        },
    )
    _broadcast(s, "mcu_relate", layer)


def write_add_n(s: StepText) -> None:
    p = cast(PreparedAddN, s.prepared)
    if p.input_scaling is None or p.stage is None:
        raise refused(s, "of floats")
    inputs = range(len(p.constants))
    layer = s.define(
        "mcu_add_n_layer",
        {
            "inputs": len(inputs),
            "start": int(rescale(np.int64(-p.zero_point << HEADROOM_BITS), p.input_scaling)),
            "zero_point": p.zero_point,
            "multiplier": int(p.input_scaling.multiplier),
            "shift": int(p.input_scaling.shift),
            "stage": stage_fields(p.stage),
        },
    )
    if not s.is_cut:
        s.lines.append(f"const int8_t *const in[] = {{{', '.join(s.whole(i) for i in inputs)}}};")
        s.call("mcu_add_n", layer, "in", s.whole_output(), s.output.elements)
        return
    sources, target = [s.map_in(i) for i in inputs], s.map_out()
    row, rows, col, cols = s.region()
    channels = s.output.channels
    places = ", ".join(f"mcu_in_at({source}, y, {col}, {channels})" for source in sources)
    s.lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
    s.lines.append(f"    const int8_t *const from[] = {{{places}}};")
    s.lines.append(f"    mcu_add_n({layer}, from, mcu_out_at({target}, y, {col}, {channels}), {cols} * {channels});")
    s.lines.append("}")


def write_l2_normalization(s: StepText) -> None:
    if s.prepared is None:
        raise refused(s, "of floats")
    head, depth = literal(cast(int, s.prepared)), s.output.channels
    each_run(s, lambda a, out, n: f"mcu_l2_normalization({head}, {a}, {out}, {n} / {depth}, {depth})")
