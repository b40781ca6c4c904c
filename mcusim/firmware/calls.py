"""What each kernel is called with: the integers that an operator prepared, as constants and arguments of C.

One function a kernel. It stores the arrays that `choice.py` announced, defines the layer's constants, and writes the
call. `emit.py` makes the file of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import SIGMOID_TABLE
from mcusim.arithmetic.quant import Scaling, dtype_range, scaling
from mcusim.errors import ModelError
from mcusim.firmware.choice import column_depth, segments
from mcusim.firmware.steps import StepText, product
from mcusim.firmware.tables import ChannelTable, Mode, channel_table, depthwise_weights, matrix_words
from mcusim.firmware.text import literal
from mcusim.graph import ABSENT, DType, TensorType
from mcusim.ops.batch_matmul import PreparedBatchMatMul
from mcusim.ops.conv_2d import PreparedConv2D
from mcusim.ops.depthwise_conv_2d import PreparedDepthwiseConv2D
from mcusim.ops.fully_connected import PreparedFullyConnected
from mcusim.ops.gather import Picking
from mcusim.ops.leaky_relu import LeakyReluAttributes
from mcusim.ops.log_softmax import PreparedLogSoftmax
from mcusim.ops.registry import Call, attributes_of
from mcusim.ops.resize_bilinear import ONE, Mix
from mcusim.ops.shared.accumulators import Accumulator, OutputStage
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, PreparedPrelu, PreparedProduct, PreparedSum
from mcusim.ops.shared.blocks import Blocks
from mcusim.ops.shared.converting import FromReal, Rescale, ToReal
from mcusim.ops.shared.joining import Join
from mcusim.ops.shared.late import Late
from mcusim.ops.shared.lookups import PreparedUnary
from mcusim.ops.shared.padding import Frame
from mcusim.ops.shared.picking import Picks
from mcusim.ops.shared.pooling import PreparedPool
from mcusim.ops.shared.ranking import Extreme
from mcusim.ops.shared.reduction import PreparedReduction, Reduction
from mcusim.ops.shared.sigmoids import checked_log2, scaled16
from mcusim.ops.shared.slicing import Cut
from mcusim.ops.softmax import PreparedSoftmax, PreparedSoftmax16
from mcusim.ops.svdf import STATE, PreparedSvdf
from mcusim.ops.transpose_conv import PreparedTransposeConv
from mcusim.ops.unidirectional_sequence_lstm import STATES, Gate, PreparedLstm
from mcusim.region import Window

__all__ = ["write_call"]

Array = NDArray[Any]
Fields = dict[str, object]


def write_call(s: StepText) -> None:
    """Constants, declarations and the call of one step."""
    if isinstance(s.prepared, Late):
        raise refused(s, "whose weights or places the network computes")
    s.include(s.choice.file)
    _WRITERS[s.step.signature.op](s)


def refused(s: StepText, what: str) -> ModelError:
    """A step that has no kernel in C."""
    node = s.graph.nodes[s.step.node]
    return ModelError(
        f"{node.op} {what} has no kernel in C",
        where=f"network '{s.graph.name}', node {s.step.node} ({node.name[:60]!r})",
        fix="let that operator run whole (`--schedule layer`), or replace it",
    )


# ---------------------------------------------------------------------------------------------------------------------
# Convolutions


def _stage(stage: OutputStage) -> Fields:
    return _scaled(stage.scaling, stage.zero_point, stage.lowest, stage.highest)


def _scaled(scaling: Scaling, zero_point: int, lowest: int, highest: int) -> Fields:
    return {
        "multiplier": int(np.asarray(scaling.multiplier).reshape(-1)[0]),
        "shift": int(np.asarray(scaling.shift).reshape(-1)[0]),
        "zero_point": zero_point,
        "lowest": int(lowest),
        "highest": int(highest),
    }


def _channels(s: StepText, table: ChannelTable, groups: int = 1) -> Fields:
    """Stores a channel table; each group of it has an even number of channels where the kernel takes pairs."""
    pairs = s.choice.name in ("conv_2d", "fully_connected")

    s.modes.add(table.mode)

    def padded(values: Array) -> Array:
        by_group = values.reshape(groups, -1)
        odd = pairs and by_group.shape[1] % 2
        return np.pad(by_group, ((0, 0), (0, int(odd)))).reshape(-1)

    return {
        "scale": s.store("scale", np.stack([padded(table.bias), padded(table.multiplier)], axis=1).reshape(-1)),
        "shift": s.store("shift", padded(table.shift)),
        "zero_point": table.stage.zero_point,
        "lowest": int(table.stage.lowest),
        "highest": int(table.stage.highest),
        "mode": f"MCU_{table.mode}",
    }


def _windows(rows: Window, cols: Window) -> Fields:
    return {
        "kernel_rows": rows.kernel,
        "kernel_cols": cols.kernel,
        "stride_rows": rows.stride,
        "stride_cols": cols.stride,
        "dilation_rows": rows.dilation,
        "dilation_cols": cols.dilation,
        "before_rows": rows.before,
        "before_cols": cols.before,
    }


def _map_size(kind: TensorType, out_c: int) -> Fields:
    return {"in_rows": kind.rows, "in_cols": kind.cols, "in_c": kind.channels, "out_c": out_c}


def _each_image(s: StepText, function: str, *arguments: str, position: int = 0, sources: Sequence[int] = ()) -> None:
    """The call of a kernel of feature maps, for every image of a batch.

    arguments: before the two maps, and behind a MAPS that stands for them.   sources: the image that each shows; each
    its own if empty.
    """
    batch = s.output.shape[0]
    source, target = s.map_in(position), s.map_out()
    before, behind = _split(arguments)
    if batch == 1 and not sources:
        s.call(f"mcu_{function}", *before, source, target, *behind)
        return
    if s.is_cut:
        raise refused(s, f"of {batch} images, cut into pieces,")
    step_in = s.kind(position).size_bytes // s.kind(position).shape[0]
    step_out = s.output.size_bytes // batch
    for image, shown in enumerate(sources or range(batch)):
        s.lines.append("{")
        s.lines.append(f"    mcu_in of_image = *({source});")
        s.lines.append(f"    mcu_out to_image = *({target});")
        s.lines.append(f"    of_image.bytes += {shown * step_in};")
        s.lines.append(f"    to_image.bytes += {image * step_out};")
        s.lines.append(f"    mcu_{function}({', '.join((*before, '&of_image', '&to_image', *behind))});")
        s.lines.append("}")


MAPS = ""
"""Among arguments: where the maps go."""


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    at = arguments.index(MAPS) if MAPS in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _conv_2d(s: StepText) -> None:
    p = cast(PreparedConv2D, s.prepared)
    if s.choice.file == "wide.h":
        _wide(s, p.accumulator, p.rows, p.cols, 0)
        return
    out_c, kernel_h, kernel_w, group_c = p.accumulator.weights.shape
    kind = s.kind(0)
    groups = kind.channels // group_c
    runs, length = segments((kernel_h, kernel_w), kind.channels, group_c, p.cols.dilation)
    table = channel_table(p.accumulator, 0)
    by_group = table.weights.reshape(groups, out_c // groups, -1)
    words = np.concatenate([matrix_words(rows, runs, length) for rows in by_group])
    if s.choice.name == "fully_connected":
        _pixel(s, table, words, p)
        return
    depth, rest = column_depth(runs, length)
    layer = s.define(
        "mcu_conv_2d_layer",
        {
            "weights": s.store("weights", words),
            "channels": _channels(s, table, groups),
            **_map_size(kind, out_c),
            "groups": groups,
            **_windows(p.rows, p.cols),
            "runs_a_row": runs // kernel_h,
            "run_bytes": length,
            "depth": depth + rest,
            "gathered_bytes": rest,
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    _each_image(s, "conv_2d", layer, MAPS, s.scratch())


def _pixel(s: StepText, table: ChannelTable, words: Array, p: PreparedConv2D) -> None:
    """1x1 convolution of a single pixel: a dense layer."""
    kind = s.kind(0)
    layer = s.define(
        "mcu_fully_connected_layer",
        {
            "weights": s.store("weights", words),
            "channels": _channels(s, table),
            "depth": kind.channels,
            "units": table.bias.size,
            "rows": 1,
            "zero_point": p.accumulator.input_zero_point,
            "weights_zero_point": 0,
        },
    )
    batch = s.output.shape[0]
    source, target = s.map_in(0), s.map_out()
    row, _, col, _ = s.region()
    from_ = f"mcu_in_at({source}, {row} * {p.rows.stride}, {col} * {p.cols.stride}, {kind.channels})"
    to = f"mcu_out_at({target}, {row}, {col}, {s.output.channels})"
    if batch > 1 and s.is_cut:
        raise refused(s, f"of {batch} images, cut into pieces,")
    for image in range(batch):
        offsets = image * (kind.size_bytes // batch), image * (s.output.size_bytes // batch)
        s.call("mcu_fully_connected", layer, f"{from_} + {offsets[0]}", f"{to} + {offsets[1]}")


def _wide(s: StepText, a: Accumulator, rows: Window, cols: Window, position: int) -> None:
    """Convolutions of int16 activations."""
    is_depthwise = s.step.signature.op == "DEPTHWISE_CONV_2D"
    out_c = s.output.channels
    kind = s.kind(position)
    group_c = a.weights.shape[3] if not is_depthwise else 1
    layer = s.define(
        "mcu_wide_layer",
        {
            **_wide_table(s, a, out_c),
            **_map_size(kind, out_c),
            "groups": kind.channels // group_c,
            **_windows(rows, cols),
        },
    )
    _each_image(s, s.choice.name, layer, position=position)


def _wide_table(s: StepText, a: Accumulator, out_c: int) -> Fields:
    is_wide = s.choice.stored[1].element_bytes == 8
    scaling = a.stage.scaling
    return {
        "weights": s.store("weights", a.weights.astype(np.int8)),
        "bias": s.store("bias", a.bias.astype(np.int64 if is_wide else np.int32)),
        "multiplier": s.store("multiplier", np.broadcast_to(scaling.multiplier, (out_c,)).astype(np.int32)),
        "shift": s.store("shift", np.broadcast_to(scaling.shift, (out_c,)).astype(np.int8)),
        "is_wide": is_wide,
        "zero_point": a.stage.zero_point,
        "lowest": int(a.stage.lowest),
        "highest": int(a.stage.highest),
    }


def _depthwise(s: StepText) -> None:
    p = cast(PreparedDepthwiseConv2D, s.prepared)
    if s.choice.file == "wide.h":
        _wide(s, p.accumulator, p.rows, p.cols, 0)
        return
    table = channel_table(p.accumulator, 3)
    layer = s.define(
        "mcu_depthwise_layer",
        {
            "weights": s.store("weights", depthwise_weights(table.weights)),
            "channels": _channels(s, table),
            **_map_size(s.kind(0), s.output.channels),
            **_windows(p.rows, p.cols),
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    if s.choice.name == "depthwise_any":
        _each_image(s, "depthwise_any", layer)
    else:
        _each_image(s, s.choice.name, layer, MAPS, s.scratch())


def _fully_connected(s: StepText) -> None:
    p = cast(PreparedFullyConnected, s.prepared)
    units, depth = p.accumulator.weights.shape
    rows = s.kind(0).elements // depth
    if s.choice.file == "wide.h":
        layer = s.define(
            "mcu_wide_layer", {**_wide_table(s, p.accumulator, units), "in_c": depth, "out_c": units, "groups": 1}
        )
        s.call("mcu_fully_connected_16", layer, s.whole(0), s.whole_output(), rows)
        return
    accumulator, zero_point = p.accumulator, 0
    stored = s.constant(1)
    if accumulator.weights.dtype != np.int8 and stored is not None:
        zero_point = int(stored.reshape(-1)[0]) - int(accumulator.weights.reshape(-1)[0])
    table = channel_table(accumulator, 0, weights_zero_point=zero_point)
    layer = s.define(
        "mcu_fully_connected_layer",
        {
            "weights": s.store("weights", matrix_words(table.weights, 1, depth)),
            "channels": _channels(s, table),
            "depth": depth,
            "units": units,
            "rows": rows,
            "zero_point": accumulator.input_zero_point,
            "weights_zero_point": zero_point,
        },
    )
    s.call("mcu_fully_connected", layer, s.whole(0), s.whole_output())


def _transpose_conv(s: StepText) -> None:
    p = cast(PreparedTransposeConv, s.prepared)
    if s.choice.file == "wide.h":
        _wide(s, p.accumulator, p.rows, p.cols, 2)
        return
    table = channel_table(p.accumulator, 0, folds_zero_point=False)
    layer = s.define(
        "mcu_transpose_conv_layer",
        {
            "weights": s.store("weights", table.weights),
            "channels": _channels(s, table),
            **_map_size(s.kind(2), s.output.channels),
            **{k: v for k, v in _windows(p.rows, p.cols).items() if not k.startswith("dilation")},
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    _each_image(s, "transpose_conv", layer, position=2)


# ---------------------------------------------------------------------------------------------------------------------
# Element by element


def _run(s: StepText, write: Callable[[str, str, str], str], position: int = 0) -> None:
    """Calls on contiguous runs of equal elements in and out.   write: (in, out, count) -> the call."""
    count = s.output.elements
    if not s.is_cut:
        s.lines.append(write(s.whole(position), s.whole_output(), str(count)) + ";")
        return
    source, target = s.map_in(position), s.map_out()
    row, rows, col, cols = s.region()
    channels = s.output.channels
    in_pixel, out_pixel = (kind.dtype.bits // 8 * channels for kind in (s.kind(position), s.output))
    s.lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
    from_, to = f"mcu_in_at({source}, y, {col}, {in_pixel})", f"mcu_out_at({target}, y, {col}, {out_pixel})"
    s.lines.append(f"    {write(from_, to, f'{cols} * {channels}')};")
    s.lines.append("}")


def _aligned(kind: TensorType, rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(kind.shape)) + tuple(kind.shape)


def _broadcast(s: StepText, function: str, *layer: str) -> None:
    """Calls of a kernel of two operands, either of which may stretch along some axes."""
    rank = len(s.output.shape)
    shapes = [_aligned(s.kind(position), rank) for position in (0, 1)]
    if s.is_cut:
        _broadcast_pieces(s, function, shapes, *layer)
        return
    steps = [_element_steps(shape, s.output.shape) for shape in shapes]
    axes = _merged(s.output.shape, steps)
    size = s.output.dtype.bits // 8
    sources, target = [s.whole(0), s.whole(1)], s.whole_output()
    offsets: list[list[str]] = [[], [], []]
    out_steps = _element_steps(tuple(n for n, _ in axes), tuple(n for n, _ in axes))
    for axis, ((count, of_axis), out_step) in enumerate(zip(axes[:-1], out_steps[:-1], strict=True)):
        s.lines.append("    " * axis + f"for (int32_t i{axis} = 0; i{axis} < {count}; i{axis}++) {{")
        for terms, step in zip(offsets, (*of_axis, out_step), strict=True):
            if step:
                terms.append(f" + i{axis} * {step * size}")
    count, (step_a, step_b) = axes[-1]
    a, b, out = (base + "".join(terms) for base, terms in zip((*sources, target), offsets, strict=True))
    depth = len(axes) - 1
    s.lines.append(
        "    " * depth + f"{function}({', '.join((*layer, a, str(step_a), b, str(step_b), out, str(count)))});"
    )
    s.lines += ["    " * axis + "}" for axis in reversed(range(depth))]


def _element_steps(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """Elements from one place of each axis to the next; 0 where the axis stretches."""
    steps, step = [], 1
    for size, wanted in zip(reversed(shape), reversed(to), strict=True):
        steps.append(step if size > 1 or wanted == 1 else 0)
        step *= size
    return steps[::-1]


def _merged(shape: Sequence[int], steps: Sequence[Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Axes as (size, step of each operand); neighbours that are walked as one become one."""
    merged: list[tuple[int, tuple[int, ...]]] = []
    for size, *of_axis in zip(shape, *steps, strict=True):
        if size == 1:
            continue
        if merged:
            count, before = merged[-1]
            if all(old == new * size for old, new in zip(before, of_axis, strict=True)):
                merged[-1] = (count * size, tuple(of_axis))
                continue
        merged.append((size, tuple(of_axis)))
    last = merged[-1][1] if merged else ()
    if not merged or any(step > 1 for step in last):
        merged.append((1, tuple(0 for _ in steps)))
    return merged


def _broadcast_pieces(s: StepText, function: str, shapes: Sequence[tuple[int, ...]], *layer: str) -> None:
    """The same of a piece: run by run of a row where both operands have it whole, else pixel by pixel."""
    if len(s.output.shape) != 4 or s.output.shape[0] > 1:
        raise refused(s, "of that shape, cut into pieces,")
    size = s.output.dtype.bits // 8
    channels = s.output.channels
    sources = [s.map_in(0), s.map_in(1)]
    target = s.map_out()
    row, rows, col, cols = s.region()
    by_row = all(shape[2:] == tuple(s.output.shape[2:]) for shape in shapes)
    arguments = []
    for source, shape in zip(sources, shapes, strict=True):
        y = "y" if shape[1] > 1 or s.output.rows == 1 else "0"
        x = ("x" if not by_row else col) if shape[2] > 1 or s.output.cols == 1 else "0"
        arguments += [f"mcu_in_at({source}, {y}, {x}, {shape[3] * size})", str(int(shape[3] > 1 or channels == 1))]
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


def _sum(s: StepText) -> None:
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
            "stage": _stage(p.stage),
        },
    )
    _broadcast(s, "mcu_sum" if s.output.dtype is DType.INT8 else "mcu_sum_16", layer)


_HALF = (1 << 30, 0)


def _sum_fast(s: StepText, p: PreparedSum) -> bool:
    """The fast kernel, where shapes are equal and the arithmetic is plain."""
    pairs = [(int(scaling.multiplier), int(scaling.shift)) for scaling in p.scalings]
    first = 0 if pairs[0] == _HALF else 1
    second = 1 - first
    stage = p.stage
    shift = int(stage.scaling.shift)
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


def _product(s: StepText) -> None:
    p = cast(PreparedProduct, s.prepared)
    layer = s.define("mcu_product_layer", {"zero_points": p.zero_points, "stage": _stage(p.stage)})
    _broadcast(s, "mcu_multiply" if s.output.dtype is DType.INT8 else "mcu_multiply_16", layer)


def _compare(s: StepText) -> None:
    p = cast(PreparedPlain, s.prepared)
    _broadcast(s, "mcu_maximum" if p.operation is Operation.MAXIMUM else "mcu_minimum")


def _prelu(s: StepText) -> None:
    p = cast(PreparedPrelu, s.prepared)
    limits = p.zero_point, p.lowest, p.highest
    layer = s.define(
        "mcu_prelu_layer",
        {
            "zero_points": p.zero_points,
            "identity": _scaled(p.identity, *limits),
            "slope": _scaled(p.slope, *limits),
        },
    )
    _broadcast(s, "mcu_prelu", layer)


def _lookup(s: StepText) -> None:
    p = cast(PreparedUnary, s.prepared)
    if p.table is None:
        raise refused(s, "of floats")
    table = s.store("table", p.table.astype(np.int8))
    _run(s, lambda a, out, count: f"mcu_lookup({table}, {a}, {out}, {count})")


def _sigmoid(s: StepText) -> None:
    if s.choice.name == "lookup":
        _lookup(s)
        return
    is_tanh = s.step.signature.op == "TANH"
    multiplier, right = scaled16(_prepared_call(s), (0, 1) if is_tanh else (0,))
    layer = s.define(
        "mcu_sigmoid_layer",
        {"table": s.store("table", SIGMOID_TABLE.astype(np.uint16)), "multiplier": multiplier, "right": right},
    )
    function = "mcu_tanhs_16" if is_tanh else "mcu_logistics_16"
    _run(s, lambda a, out, n: f"{function}({layer}, {a}, {out}, {n})")


def _prepared_call(s: StepText) -> Call:
    """The node as it was prepared."""
    node, tensors = s.graph.nodes[s.step.node], s.graph.tensors
    inputs = tuple(None if t == ABSENT else tensors[t] for t in node.inputs)
    return Call(s.step.signature, inputs, tuple(tensors[t] for t in node.outputs), node.name)


def _lstm(s: StepText) -> None:
    p = cast(PreparedLstm, s.prepared)
    if any(s.constant(i) is None for i in (*range(1, 9), *range(12, 16))):
        raise refused(s, "whose weights the network computes")
    batch, steps, inputs = s.kind(0).shape if not p.time_major else (s.kind(0).shape[i] for i in (1, 0, 2))
    units = p.input_gate.bias.size
    gates = [
        _gate(s, number, gate) for number, gate in enumerate((p.input_gate, p.forget_gate, p.cell_gate, p.output_gate))
    ]
    table = s.store("table", SIGMOID_TABLE.astype(np.uint16))
    cell = s.graph.tensors[s.tensor(STATES[1])].quantization
    assert cell is not None, "preparing it asked for a scale"
    shift = 12 + checked_log2(cell.scales[0])[0]
    pairs = {"forget": p.forget_scaling, "input": p.input_scaling, "hidden": p.hidden_scaling}
    layer = s.define(
        "mcu_lstm_layer",
        {
            "gates": tuple(gates),
            "activation": {"table": table, "multiplier": 3, "right": 0},
            "cell_tanh": {"table": table, "multiplier": 3 << max(shift, 0), "right": max(-shift, 0)},
            "batch": batch,
            "steps": steps,
            "inputs": inputs,
            "units": units,
            "time_step": batch * inputs if p.time_major else inputs,
            "batch_step": inputs if p.time_major else steps * inputs,
            "out_time_step": batch * units if p.time_major else units,
            "out_batch_step": units if p.time_major else steps * units,
            "element_bytes": s.kind(0).dtype.bits // 8,
            "is_wide": p.is_wide,
            "input_zero_point": p.input_zero_point,
            "hidden_zero_point": p.hidden_zero_point,
            "hidden_lowest": p.hidden_range[0],
            "hidden_highest": p.hidden_range[1],
            **{f"{name}_multiplier": int(by.multiplier) for name, by in pairs.items()},
            **{f"{name}_shift": int(by.shift) for name, by in pairs.items()},
            "clip": p.cell_clip,
        },
    )
    s.call("mcu_lstm", layer, s.whole(0), s.whole(STATES[0]), s.whole(STATES[1]), s.whole_output(), s.scratch())


def _gate(s: StepText, number: int, gate: Gate) -> Fields:
    return {
        "inputs": s.store(f"inputs_{number}", np.ascontiguousarray(gate.inputs.T).astype(np.int8)),
        "recurrent": s.store(f"recurrent_{number}", np.ascontiguousarray(gate.recurrent.T).astype(np.int8)),
        "bias": s.store(f"bias_{number}", gate.bias.astype(np.int32)),
        "input_multiplier": int(gate.input_scaling.multiplier),
        "input_shift": int(gate.input_scaling.shift),
        "recurrent_multiplier": int(gate.recurrent_scaling.multiplier),
        "recurrent_shift": int(gate.recurrent_scaling.shift),
    }


def _gather(s: StepText) -> None:
    p = cast(Picking, s.prepared)
    shape, positions = s.kind(0).shape, s.kind(1)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    layer = s.define(
        "mcu_gather_layer",
        {
            "batches": product(shape[: p.batch_dims]),
            "outer": product(shape[p.batch_dims : p.axis]),
            "size": shape[p.axis],
            "inner_bytes": product(shape[p.axis + 1 :]) * (s.output.dtype.bits // 8),
            "positions": product(positions.shape[p.batch_dims :]),
            "position_bytes": positions.dtype.bits // 8,
        },
    )
    s.call("mcu_gather", layer, s.whole(0), s.whole(1), s.whole_output())


def _extreme(s: StepText) -> None:
    p = cast(Extreme, s.prepared)
    kind = s.kind(0)
    layer = s.define(
        "mcu_extreme_layer",
        {
            "outer": product(kind.shape[: p.axis]),
            "size": kind.shape[p.axis],
            "inner": product(kind.shape[p.axis + 1 :]),
            "is_largest": p.is_largest,
            "from_type": _TYPES[kind.dtype],
            "out_bytes": s.output.dtype.bits // 8,
        },
    )
    s.call("mcu_extreme", layer, s.whole(0), s.whole_output())


def _cast(s: StepText) -> None:
    source, target = s.kind(0).dtype, s.output.dtype
    head = f"{_TYPES[source]}, {_TYPES[target]}, {int(target is DType.BOOL)}"
    _run(s, lambda a, out, n: f"mcu_cast({head}, {a}, {out}, {n})")


def _leaky_relu(s: StepText) -> None:
    if s.choice.name == "lookup":
        _lookup(s)
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
            "identity": _scaled(scaling(ratio), *limits),
            "slope": _scaled(scaling(scales[0].scales[0] * alpha / scales[1].scales[0]), *limits),
        },
    )
    _run(s, lambda a, out, n: f"mcu_leaky_relu_16({layer}, {a}, {out}, {n})")


def _softmax(s: StepText) -> None:
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
        _run(s, lambda a, out, n: f"mcu_softmax_16({layer}, {a}, {out}, {n} / {depth}, {depth})")
        return
    p = cast(PreparedSoftmax, s.prepared)
    table = s.store("exponentials", p.exponentials.astype(np.int32))
    channels = s.output.channels
    _run(s, lambda a, out, n: f"mcu_softmax({table}, {p.bits}, {a}, {out}, {n} / {channels}, {channels})")


def _log_softmax(s: StepText) -> None:
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
    _run(s, lambda a, out, n: f"mcu_log_softmax({layer}, {a}, {out}, {n} / {channels}, {channels})")


_TYPES = {
    DType.INT8: "MCU_INT8",
    DType.UINT8: "MCU_UINT8",
    DType.BOOL: "MCU_UINT8",
    DType.INT16: "MCU_INT16",
    DType.INT32: "MCU_INT32",
}


def _convert(s: StepText) -> None:
    source, target = s.kind(0).dtype, s.output.dtype
    match s.prepared:
        case FromReal(scale, zero_point, lowest, highest):
            number = f"{float(np.float32(scale)).hex()}f"
            head = f"{_TYPES[target]}, {number}, {literal(zero_point)}, {literal(lowest)}, {literal(highest)}"
            _run(s, lambda a, out, n: f"mcu_quantize({head}, {a}, {out}, {n})")
        case ToReal(scale, zero_point):
            head = f"{_TYPES[source]}, {float(scale).hex()}, {literal(zero_point)}"
            _run(s, lambda a, out, n: f"mcu_dequantize({head}, {a}, {out}, {n})")
        case Rescale(by, input_zero_point, zero_point, lowest, highest):
            stage = s.define("mcu_stage", _scaled(by, zero_point, lowest, highest))
            head = f"{_TYPES[source]}, {_TYPES[target]}, {literal(input_zero_point)}, {stage}"
            _run(s, lambda a, out, n: f"mcu_rescale_all({head}, {a}, {out}, {n})")
        case _:
            raise refused(s, f"of {source} to {target}")


# ---------------------------------------------------------------------------------------------------------------------
# Windows, axes, matrices


def _pool(s: StepText) -> None:
    p = cast(PreparedPool, s.prepared)
    kind = s.kind(0)
    layer = s.define(
        "mcu_pool_layer",
        {
            "in_rows": kind.rows,
            "in_cols": kind.cols,
            "channels": kind.channels,
            **{k: v for k, v in _windows(p.rows, p.cols).items() if not k.startswith("dilation")},
            "lowest": int(p.lowest),
            "highest": int(p.highest),
        },
    )
    _each_image(s, s.choice.name, layer)


def _reduce(s: StepText) -> None:
    p = cast(PreparedReduction, s.prepared)
    kind = s.kind(0)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    steps = _element_steps(kind.shape, kind.shape)
    kept = [(kind.shape[a], steps[a]) for a in range(len(kind.shape)) if a not in p.axes]
    folded = [(kind.shape[a], steps[a]) for a in p.axes]
    stage = p.stage
    offset = (p.zero_point * p.count) & 0xFFFFFFFF
    offset -= (offset >> 31) << 32
    no_stage = {"multiplier": 0, "shift": 0, "zero_point": 0, "lowest": 0, "highest": 0}
    fields = _stage(stage) if stage is not None else no_stage
    is_pixels = p.axes == (1, 2) and kind.shape[0] == 1 and len(kind.shape) == 4 and kind.dtype is DType.INT8
    if is_pixels and p.reduction in (Reduction.MEAN, Reduction.SUM):
        layer = s.define(
            "mcu_reduce_pixels_layer",
            {"pixels": kind.rows * kind.cols, "channels": kind.channels, "offset": offset, "stage": fields},
        )
        s.call("mcu_reduce_pixels", layer, s.whole(0), s.whole_output())
        return
    if len(kept) + len(folded) > 6:
        raise refused(s, f"of {len(kind.shape)} axes")
    layer = s.define(
        "mcu_reduce_layer",
        {
            "kept": len(kept),
            "folded": len(folded),
            "sizes": tuple(size for size, _ in kept + folded),
            "steps": tuple(step for _, step in kept + folded),
            "extreme": {Reduction.MAX: 1, Reduction.MIN: -1}.get(p.reduction, 0),
            "element_bytes": kind.dtype.bits // 8,
            "offset": offset,
            "stage": fields,
        },
    )
    s.call("mcu_reduce", layer, s.whole(0), s.whole_output())


def _batch_matmul(s: StepText) -> None:
    p = cast(PreparedBatchMatMul, s.prepared)
    a, b, out = s.kind(0).shape, s.kind(1).shape, s.output.shape
    rows, cols = out[-2:]
    depth = a[-2] if p.transposes[0] else a[-1]
    layer = s.define(
        "mcu_batch_matmul_layer",
        {
            "rows": rows,
            "depth": depth,
            "cols": cols,
            "a_row": 1 if p.transposes[0] else depth,
            "a_depth": rows if p.transposes[0] else 1,
            "b_depth": 1 if p.transposes[1] else cols,
            "b_col": depth if p.transposes[1] else 1,
            "zero_points": p.zero_points,
            "stage": _stage(p.stage),
        },
    )
    leading = out[:-2]
    sources, target = (s.whole(0), s.whole(1)), s.whole_output()
    for number, place in enumerate(np.ndindex(*leading) if leading else [()]):
        offsets = [_matrix_offset(shape, leading, place) for shape in (a, b)]
        s.call(
            "mcu_batch_matmul",
            layer,
            *(f"{base} + {offset}" for base, offset in zip(sources, offsets, strict=True)),
            f"{target} + {number * rows * cols}",
        )


def _matrix_offset(shape: Sequence[int], leading: Sequence[int], place: Sequence[int]) -> int:
    """Elements to the matrix that stands at a place of the leading axes, along which `shape` may stretch."""
    own = (1,) * (len(leading) - len(shape) + 2) + tuple(shape[:-2])
    steps = _element_steps(own, leading)
    return sum(step * index for step, index in zip(steps, place, strict=True)) * product(shape[-2:])


def _bilinear(s: StepText) -> None:
    p = cast(Mix, s.prepared)
    if p.rounds_once:
        raise refused(s, "rounded once")
    tables = [
        np.array([(a, b, round(place) - a * ONE) for (a, b), place in zip(reads, places, strict=True)], np.int16)
        for reads, places in ((p.row_reads, p.row_places), (p.col_reads, p.col_places))
    ]
    name = s.store("places", np.concatenate(tables).reshape(-1))
    layer = s.define(
        "mcu_resize_bilinear_layer",
        {"rows": name, "cols": f"{name} + {tables[0].size}", "channels": s.output.channels},
    )
    _each_image(s, "resize_bilinear", layer)


def _svdf(s: StepText) -> None:
    p = cast(PreparedSvdf, s.prepared)
    filters, memory = p.times.shape
    batch, inputs = s.kind(0).shape
    time_bytes = s.kind(2).dtype.bits // 8
    layer = s.define(
        "mcu_svdf_layer",
        {
            "features": s.store("features", np.ascontiguousarray(p.features.T).astype(np.int8)),
            "times": s.store("times", p.times.astype(np.int8 if time_bytes == 1 else np.int16)),
            "bias": s.store("bias", p.bias.astype(np.int32)),
            "batch": batch,
            "inputs": inputs,
            "filters": filters,
            "memory": memory,
            "rank": p.rank,
            "time_bytes": time_bytes,
            "input_zero_point": p.input_zero_point,
            "state_zero_point": p.state_zero_point,
            "feature": _scaled(p.feature_scaling, 0, p.state_lowest, p.state_highest),
            "stage": _stage(p.stage),
        },
    )
    s.call("mcu_svdf", layer, s.whole(0), s.whole(STATE), s.whole_output())


# ---------------------------------------------------------------------------------------------------------------------
# Movement


def _copy(s: StepText) -> None:
    if s.is_cut:
        size = s.output.dtype.bits // 8
        _run(s, lambda a, out, n: f"mcu_copy({out}, {a}, (uint32_t)({n} * {size}))")
        return
    s.call("mcu_copy", s.whole_output(), s.whole(0), f"{s.output.size_bytes}u")


def _read_variable(s: StepText) -> None:
    s.call("mcu_copy", s.whole_output(), s.whole(0), f"{s.output.size_bytes}u")


def _assign_variable(s: StepText) -> None:
    target = s.at(s.memory.variables[s.tensor(0)])
    s.call("mcu_copy", target, s.whole(1), f"{s.kind(1).size_bytes}u")


def _shape(s: StepText) -> None:
    values = np.array(s.prepared, np.int32)
    name = s.store("shape", values)
    s.call("mcu_copy", s.whole_output(), f"(const int8_t *){name}", f"{s.output.size_bytes}u")


def _nothing(s: StepText) -> None:
    """Named for the session only."""


def _move(
    s: StepText, sizes: Sequence[int], to: Sequence[int], source: Sequence[int], a: str, out: str, suffix: str = ""
) -> None:
    """Elements of a box, whose axes have steps in elements."""
    size = s.output.dtype.bits // 8
    axes = _merged(sizes, [to, source]) if product(sizes) else []
    if not axes:
        return
    if len(axes) > 8:
        raise refused(s, f"of {len(sizes)} axes")
    layer = s.define(
        "mcu_move_layer",
        {
            "axes": len(axes),
            "element_bytes": size,
            "sizes": tuple(count for count, _ in axes),
            "to": tuple(steps[0] * size for _, steps in axes),
            "from": tuple(steps[1] * size for _, steps in axes),
        },
        suffix,
    )
    s.call("mcu_move", layer, a, out)


def _steps_of(shape: Sequence[int]) -> list[int]:
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return steps[::-1]


def _plus(base: str, elements: int, size: int) -> str:
    return f"{base} + {elements * size}" if elements else base


def _concatenation(s: StepText) -> None:
    p = cast(Join, s.prepared)
    if any(p.regrades):
        raise refused(s, "of inputs with other scales")
    if s.is_cut:
        _join_pieces(s, p)
        return
    size, out_steps = s.output.dtype.bits // 8, _steps_of(s.output.shape)
    target = s.whole_output()
    for position, start in enumerate(p.starts):
        shape = s.kind(position).shape
        if p.stacks:
            shape = (*shape[: p.axis], 1, *shape[p.axis :])
        out = _plus(target, start * out_steps[p.axis], size)
        _move(s, shape, out_steps, _steps_of(shape), s.whole(position), out, f"_{position}")


def _place_fields(s: StepText, kind: TensorType) -> Fields:
    size = s.output.dtype.bits // 8
    return {
        "first_row": 0,
        "end_row": s.output.rows,
        "from_row": 0,
        "row_step": 1,
        "first_col": 0,
        "end_col": s.output.cols,
        "from_col": 0,
        "col_step": 1,
        "first_channel": 0,
        "channels": kind.channels,
        "from_channel": 0,
        "channel_step": 1,
        "element_bytes": size,
        "in_pixel_bytes": kind.channels * size,
        "out_pixel_bytes": s.output.channels * size,
    }


def _check_map(s: StepText) -> None:
    if len(s.output.shape) != 4 or s.output.shape[0] > 1:
        raise refused(s, "of that shape, cut into pieces,")


def _join_pieces(s: StepText, p: Join) -> None:
    _check_map(s)
    s.include("place.h")
    target = s.map_out()
    for position, start in enumerate(p.starts):
        kind = s.kind(position)
        fields = _place_fields(s, kind)
        if p.axis == 1:
            fields |= {"first_row": start, "end_row": start + kind.rows}
        elif p.axis == 2:
            fields |= {"first_col": start, "end_col": start + kind.cols}
        else:
            fields["first_channel"] = start
        layer = s.define("mcu_place_layer", fields, f"_{position}")
        s.call("mcu_place", layer, s.map_in(position), target)


def _slices(s: StepText) -> None:
    p = cast(Cut, s.prepared)
    if s.is_cut:
        _slice_pieces(s, p)
        return
    source = s.kind(p.source)
    steps, size = _steps_of(source.shape), source.dtype.bits // 8
    base = s.whole(p.source)
    for number, walks in enumerate(p.outputs):
        if s.step.writes[number] == ABSENT:
            continue
        out = s.step.signature.outputs[number]
        start = sum(walk.start * steps[walk.source] for walk in walks if walk.source is not None)
        shown = [walk for walk in walks if not (walk.is_dropped and walk.source is not None)]
        from_ = [walk.stride * steps[walk.source] if walk.source is not None else 0 for walk in shown]
        sizes = [walk.length for walk in shown]
        suffix = f"_{number}" if len(p.outputs) > 1 else ""
        _move(s, sizes, _steps_of(out.shape), from_, _plus(base, start, size), s.whole_output(number), suffix)


def _slice_pieces(s: StepText, p: Cut) -> None:
    _check_map(s)
    s.include("place.h")
    if len(p.outputs) != 1:
        raise refused(s, "of several outputs, cut into pieces,")
    rows, cols, channels = p.outputs[0][1:]
    fields = _place_fields(s, s.kind(p.source)) | {
        "from_row": rows.start,
        "row_step": rows.stride,
        "from_col": cols.start,
        "col_step": cols.stride,
        "channels": channels.length,
        "from_channel": channels.start,
        "channel_step": channels.stride,
    }
    s.call("mcu_place", s.define("mcu_place_layer", fields), s.map_in(p.source), s.map_out())


def _pad(s: StepText) -> None:
    p = cast(Frame, s.prepared)
    size = s.output.dtype.bits // 8
    if p.value is None:
        values = s.constant(2)
        if values is None:
            raise refused(s, "by a value that is computed")
        value = int(values.reshape(-1)[0])
    else:
        value = int(p.value)
    kind = s.kind(0)
    if s.is_cut:
        _check_map(s)
        s.include("place.h")
        target = s.map_out()
        _, top, left, front = p.before
        fields = _place_fields(s, kind) | {
            "first_row": top,
            "end_row": top + kind.rows,
            "first_col": left,
            "end_col": left + kind.cols,
            "first_channel": front,
        }
        s.call("mcu_place_value", target, literal(value), size, s.output.channels * size)
        s.call("mcu_place", s.define("mcu_place_layer", fields), s.map_in(0), target)
        return
    target, steps = s.whole_output(), _steps_of(s.output.shape)
    s.call("mcu_fill", target, literal(value), size, s.output.elements)
    start = sum(before * step for before, step in zip(p.before, steps, strict=True))
    _move(s, kind.shape, steps, _steps_of(kind.shape), s.whole(0), _plus(target, start, size))


def _transpose(s: StepText) -> None:
    order = cast(tuple[int, ...], s.prepared)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    steps = _steps_of(s.kind(0).shape)
    from_ = [steps[axis] for axis in order]
    _move(s, s.output.shape, _steps_of(s.output.shape), from_, s.whole(0), s.whole_output())


def _blocks(s: StepText) -> None:
    p = cast(Blocks, s.prepared)
    s.include("blocks.h")
    size = s.output.dtype.bits // 8
    pixel = (s.kind(0) if p.gathers else s.output).channels * size
    name = "space_to_depth" if p.gathers else "depth_to_space"
    _each_image(s, name, str(p.size), str(pixel))


def _picks(s: StepText) -> None:
    p = cast(Picks, s.prepared)
    s.include("pick.h")
    size, out = s.output.dtype.bits // 8, s.output
    if len(out.shape) > 4 or max(out.shape) > 65535:
        raise refused(s, f"to shape {out.shape}")
    places = [
        np.arange(length, dtype=np.uint16) if shown is None else shown.astype(np.uint16)
        for shown, length in zip(p.places, out.shape, strict=True)
    ]
    values = np.concatenate([*places, np.zeros(1, np.uint16)])
    name = s.store("places", values)
    rank = len(out.shape)
    starts = np.cumsum([0, *(len(axis) for axis in places)]).tolist()
    is_whole = p.places[-1] is None

    def axis(number: int) -> str:
        """Its places; of an axis that is not there, one place that shows place 0."""
        if rank + number < 0:
            return f"{name} + {len(values) - 1}"
        return f"{name} + {starts[rank + number]}"

    in_channels = s.kind(0).channels
    fields: Fields = {
        "rows": axis(-3),
        "cols": axis(-2),
        "channels": "0" if is_whole else axis(-1),
        "in_pixel_bytes": in_channels * size,
        "out_pixel_bytes": out.channels * size,
        "element_bytes": size,
    }
    layer = s.define("mcu_pick_layer", fields)
    if rank == 4:
        images = p.places[0].tolist() if p.places[0] is not None else ()
        _each_image(s, "pick", layer, sources=images)
        return
    rows, cols = _aligned(out, 4)[1:3]
    in_cols = _aligned(s.kind(0), 4)[2]
    pitches = in_cols * in_channels * size, cols * out.channels * size
    s.lines.append(f"const mcu_in in = {{{s.whole(0)}, 0, 0, {pitches[0]}, 0}};")
    s.lines.append(f"const mcu_out out = {{{s.whole_output()}, 0, 0, {pitches[1]}, 0, 0, {rows}, 0, {cols}}};")
    s.call("mcu_pick", layer, "&in", "&out")


_WRITERS: dict[str, Callable[[StepText], None]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
    "ADD": _sum,
    "SUB": _sum,
    "MUL": _product,
    "MAXIMUM": _compare,
    "MINIMUM": _compare,
    "PRELU": _prelu,
    **dict.fromkeys(("HARD_SWISH", "RELU", "RELU6", "ABS", "ELU", "EXP", "LOG", "NEG", "RSQRT", "SQRT"), _lookup),
    **dict.fromkeys(("SQUARE", "SIN", "COS"), _lookup),
    **dict.fromkeys(("LOGISTIC", "TANH"), _sigmoid),
    "GATHER": _gather,
    "ARG_MAX": _extreme,
    "ARG_MIN": _extreme,
    "CAST": _cast,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "LEAKY_RELU": _leaky_relu,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduce),
    "QUANTIZE": _convert,
    "DEQUANTIZE": _convert,
    "BATCH_MATMUL": _batch_matmul,
    "RESIZE_BILINEAR": _bilinear,
    "SVDF": _svdf,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "PACK": _concatenation,
    **dict.fromkeys(("UNPACK", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V"), _slices),
    "TRANSPOSE": _transpose,
    "SPACE_TO_DEPTH": _blocks,
    "DEPTH_TO_SPACE": _blocks,
    **dict.fromkeys(("MIRROR_PAD", "TILE", "RESIZE_NEAREST_NEIGHBOR"), _picks),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "COPY"), _copy),
    "READ_VARIABLE": _read_variable,
    "ASSIGN_VARIABLE": _assign_variable,
    "SHAPE": _shape,
    "VAR_HANDLE": _nothing,
    "CALL_ONCE": _nothing,
}
