"""Calls of the operators that sum products of inputs and weights.

What a channel needs behind its sum lies in one table, in the order in which the kernel reads it. For `conv_2d`, which
computes two channels at once, that is for each pair

    bias 0, bias 1, multiplier 0, multiplier 1        int32
    shift 0, shift 1                                  int8, in a table of its own

A group with an odd number of channels is filled up by an entry whose output is thrown away. Where a kernel multiplies
stored inputs as they are, the bias makes up for their zero point: sum(w * (x - z)) = sum(w * x) - z * sum(w).
"""

from __future__ import annotations

from typing import cast

import numpy as np

from mcusim.firmware.calls.shared import (
    MAPS,
    Array,
    Fields,
    each_image,
    map_fields,
    refused,
    stage_fields,
    window_fields,
)
from mcusim.firmware.choice import column_depth, matrix_of, segments
from mcusim.firmware.steps import StepText
from mcusim.firmware.tables import ChannelTable, Mode, channel_table, depthwise_weights, matrix_words
from mcusim.graph import DType
from mcusim.ops.conv_2d import PreparedConv2D
from mcusim.ops.depthwise_conv_2d import PreparedDepthwiseConv2D
from mcusim.ops.fully_connected import PreparedFullyConnected
from mcusim.ops.shared.accumulators import Accumulator
from mcusim.ops.shared.late import Late
from mcusim.ops.transpose_conv import PreparedTransposeConv
from mcusim.region import Window

__all__ = [
    "write_conv_2d",
    "write_dense_computed",
    "write_depthwise",
    "write_fully_connected",
    "write_transpose_conv",
]


def _channels(s: StepText, table: ChannelTable, groups: int = 1) -> Fields:
    """Stores a channel table; each group of it has an even number of channels where the kernel takes pairs."""
    pairs = s.choice.name in ("conv_2d", "fully_connected")
    has_one_way = s.choice.name in ("conv_2d", "transpose_conv")
    mode, shift = (table.way, table.shift) if has_one_way else (table.mode, table.marked_shift)
    s.modes |= {mode} if has_one_way else table.modes

    def padded(values: Array, fill: int = 0) -> Array:
        by_group = values.reshape(groups, -1)
        odd = pairs and by_group.shape[1] % 2
        return np.pad(by_group, ((0, 0), (0, int(odd))), constant_values=fill).reshape(-1)

    multiplier = table.multiplier
    if s.choice.name == "conv_2d" and mode is not Mode.CAREFUL:
        # As `kernels/gemm.h` has them: twice the multiplier less 2^32, and the whole right shift.
        multiplier, shift = (multiplier.astype(np.int64) * 2 - (1 << 32)).astype(np.int32), shift + np.int8(1)
    by_channel = np.stack([padded(table.bias), padded(multiplier)], axis=1)
    if s.choice.name == "conv_2d":  # both biases, then both multipliers of two channels
        by_channel = by_channel.reshape(-1, 2, 2).transpose(0, 2, 1)
    return {
        "scale": s.store("scale", by_channel.reshape(-1)),
        "shift": s.store("shift", padded(shift, fill=1)),  # one that every way of requantising can do
        "zero_point": table.stage.zero_point,
        "lowest": int(table.stage.lowest),
        "highest": int(table.stage.highest),
        "mode": f"MCU_{mode}",
    }


def write_conv_2d(s: StepText) -> None:
    if s.choice.name == "conv_computed":
        _computed(s, "OF_GROUPS")
        return
    p = cast(PreparedConv2D, s.prepared)
    if s.choice.file == "wide.h":
        _wide(s, p.accumulator, p.rows, p.cols, 0)
        return
    _matrix(s, p, channel_table(p.accumulator, 0))


def _matrix(s: StepText, p: PreparedConv2D | PreparedDepthwiseConv2D, table: ChannelTable) -> None:
    """What the matrix product does.   table: weights with output channels first, or last."""
    out_c, (kernel_h, kernel_w), group_c, _, _ = matrix_of(s.step.signature)
    kind = s.kind(0)
    groups = kind.channels // group_c
    runs, length = segments((kernel_h, kernel_w), kind.channels, group_c, p.cols.dilation)
    first = table.weights if table.weights.shape[0] == out_c else np.moveaxis(table.weights, 3, 0)
    # Depthwise weights are stored with the output channels last (1HWO), convolutions' first (OHWI).
    by_group = first.reshape(groups, out_c // groups, -1)
    # One group after the other, as the kernel walks through them.
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
            **map_fields(kind, out_c),
            "groups": groups,
            **window_fields(p.rows, p.cols),
            "runs_a_row": runs // kernel_h,
            "run_bytes": length,
            "depth": depth + rest,
            "gathered_bytes": rest,
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    each_image(s, "conv_2d", layer, MAPS, s.scratch())


def _pixel(s: StepText, table: ChannelTable, words: Array, p: PreparedConv2D | PreparedDepthwiseConv2D) -> None:
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
            **map_fields(kind, out_c),
            "groups": kind.channels // group_c,
            **window_fields(rows, cols),
        },
    )
    each_image(s, s.choice.name, layer, position=position)


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


def write_depthwise(s: StepText) -> None:
    if s.choice.name == "conv_computed":
        _computed(s, "OF_ONE")
        return
    p = cast(PreparedDepthwiseConv2D, s.prepared)
    if s.choice.file == "wide.h":
        _wide(s, p.accumulator, p.rows, p.cols, 0)
        return
    if s.choice.file in ("conv_2d.h", "fully_connected.h"):
        _matrix(s, p, channel_table(p.accumulator, 3))
        return
    is_any = s.choice.name == "depthwise_any"
    table = channel_table(p.accumulator, 3, folds_zero_point=not is_any)
    layer = s.define(
        "mcu_depthwise_layer",
        {
            "weights": s.store("weights", table.weights[0] if is_any else depthwise_weights(table.weights)),
            "channels": _channels(s, table),
            **map_fields(s.kind(0), s.output.channels),
            **window_fields(p.rows, p.cols),
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    if is_any:
        each_image(s, "depthwise_any", layer)
    else:
        each_image(s, s.choice.name, layer, MAPS, s.scratch())


def write_fully_connected(s: StepText) -> None:
    if s.choice.name == "dense_computed":
        write_dense_computed(s)
        return
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


def _without_weights(s: StepText) -> object:
    """The integers of a step whose weights are computed: scales and zero points are known before them."""
    late = s.prepared
    if not isinstance(late, Late):
        raise refused(s, "of such weights")
    kinds = s.step.signature.inputs
    made_up = [np.zeros(0) if kind is None else np.zeros(kind.shape, kind.dtype.unpacked.value) for kind in kinds]
    # A trial with weights of zeros: all that depends on scales only comes out as it will for the real ones.
    return late.prepared(made_up, is_trial=True)


def _computed(s: StepText, way: str, position: int = 0) -> None:
    """A convolution whose weights the network computes.   position: of the activations."""
    p = cast(PreparedConv2D | PreparedDepthwiseConv2D | PreparedTransposeConv, _without_weights(s))
    signature, kind, out_c, bias = s.step.signature, s.kind(position), s.output.channels, 2 + (position == 2)
    scaling, stage = p.accumulator.stage.scaling, p.accumulator.stage
    is_16 = kind.dtype is DType.INT16
    bias_bits = signature.input(bias).dtype.bits if signature.has(bias) else 0
    layer = s.define(
        "mcu_computed_layer",
        {
            "multiplier": s.store("multiplier", np.broadcast_to(scaling.multiplier, (out_c,)).astype(np.int32)),
            "shift": s.store("shift", np.broadcast_to(scaling.shift, (out_c,)).astype(np.int8)),
            "way": f"MCU_{way}",
            "bias_bytes": bias_bits // 8,
            "is_wide": int(is_16 and not (way == "OF_GROUPS" and bias_bits == 32)),
            **map_fields(kind, out_c),
            "groups": kind.channels // signature.input(1).shape[3] if way == "OF_GROUPS" else 1,
            **window_fields(p.rows, p.cols),
            "in_bytes": kind.dtype.bits // 8,
            "in_zero_point": p.accumulator.input_zero_point,
            "zero_point": stage.zero_point,
            "lowest": int(stage.lowest),
            "highest": int(stage.highest),
        },
    )
    bias_at = s.whole(bias) if signature.has(bias) else "0"
    each_image(s, "conv_computed", layer, s.whole(1), bias_at, position=position)


def write_dense_computed(s: StepText) -> None:
    p = cast(PreparedFullyConnected, _without_weights(s))
    units, depth = p.accumulator.weights.shape
    layer = s.define(
        "mcu_dense_computed_layer",
        {
            "depth": depth,
            "units": units,
            "rows": s.kind(0).elements // depth,
            "zero_point": p.accumulator.input_zero_point,
            "weights_zero_point": -int(p.accumulator.weights.reshape(-1)[0]),
            "stage": stage_fields(p.accumulator.stage),
        },
    )
    bias = s.whole(2) if s.step.signature.has(2) else "0"
    s.call("mcu_dense_computed", layer, s.whole(0), s.whole(1), bias, s.whole_output())


def write_transpose_conv(s: StepText) -> None:
    if s.choice.name == "conv_computed":
        _computed(s, "SPREAD", position=2)
        return
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
            **map_fields(s.kind(2), s.output.channels),
            **{k: v for k, v in window_fields(p.rows, p.cols).items() if not k.startswith("dilation")},
            "zero_point": p.accumulator.input_zero_point,
        },
    )
    each_image(s, "transpose_conv", layer, position=2)
