"""PEAK_MEM of TinyEngine's code generator, to the byte, with what a clean planner would do otherwise.

Activations are placed by first fit, largest first; beside them lie one im2col and one kernel buffer, each as large as
the neediest layer asks. `patch:NxN@S` runs the first S layers patch by patch: patches of one size, convolutions in them
unpadded. What a clean planner does not do:

1. What nobody reads stays to the end of the network: the output of the patch stage, as its link is cut, and the last
   tensor of a patch.
2. Only the first input of the first layer behind the stage is the stage's output. Whoever else reads that tensor gets
   the last tensor of a patch.
3. A depthwise convolution whose input nobody has made (the first layer behind the stage, or of the network) is not in
   place: its output is a tensor of its own, and both live to the last reader of either.
4. A depthwise convolution is in place even where its input is needed again.
5. The output of an ADD in the stage is as large as without patches (A15).
6. Tensors of exactly the same life are taken as not being in each other's way.
7. The list of free gaps is edited while it is walked: beside a tenant that shrank to a quarter, a gap may stay that
   another tenant reaches into.

Source: tinyengine code_generator, GeneralMemoryScheduler.py, allocator/firstFit.py, PatchBasedUtil.py, InputResizer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.generator_layers import GeneratorLayer, generator_layers, map_bytes
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule, StageKind, StageSpec

__all__ = ["TINYENGINE_CODEGEN"]

_ALIGNMENT = 4
_CUT_LINK = -2
"""The tensor that the first layer behind a patch stage reads: no layer makes it."""
_NO_LIMIT = 1 << 62


# ---------------------------------------------------------------------------------------------------------------------
# Patches


def _strides(layer: GeneratorLayer) -> tuple[int, int]:
    attributes = layer.call.attributes
    assert isinstance(attributes, WindowAttributes)
    return attributes.stride_h, attributes.stride_w


def _receptive_field(layers: Sequence[GeneratorLayer], size: int) -> int:
    """Side of the input patch that `size` of the stage's output needs; the larger side of each kernel counts."""
    for layer in reversed(layers):
        if layer.is_window:
            grown = max(layer.kernel)
            size = size + grown - 1 if _strides(layer)[0] == 1 else (size - 1) * 2 + grown
    return size


def _patched(layers: Sequence[GeneratorLayer], split: int, side: int) -> list[GeneratorLayer]:
    """The layers with the sizes of a patch in the first `split`, and the link behind them cut."""
    behind = layers[split]
    rows = _receptive_field(layers[:split], behind.rows // side)
    cols = _receptive_field(layers[:split], max(behind.rows, behind.cols) // side)
    resized_layers = []
    for layer in layers[:split]:
        resized = layer._replace(rows=rows, cols=cols)
        read_bytes = map_bytes(layer.call.input(0), rows, cols)
        if layer.is_window:
            (kernel_rows, kernel_cols), (down, across) = layer.kernel, _strides(layer)
            rows, cols = -(-(rows - kernel_rows + 1) // down), -(-(cols - kernel_cols + 1) // across)
            resized = resized._replace(write_bytes=(map_bytes(layer.call.output, rows, cols),))
        resized_layers.append(resized._replace(read_bytes=(read_bytes,) * len(layer.reads)))
    return [*resized_layers, behind._replace(reads=(_CUT_LINK, *behind.reads[1:])), *layers[split + 1 :]]


# ---------------------------------------------------------------------------------------------------------------------
# Lives


class _Tenant(NamedTuple):
    """A tensor, or those that share one place, alive on layers [first, end).

    quarter_after: a layer that leaves a quarter of it in use: a depthwise convolution of stride 2, in place.
    """

    size_bytes: int
    first: int
    end: int
    quarter_after: int = _NO_LIMIT


def _in_place(layers: Sequence[GeneratorLayer]) -> list[GeneratorLayer]:
    """The layers with the output of each depthwise convolution under the name of its input."""
    name: dict[int, int] = {}
    moved = []
    for layer in layers:
        reads = tuple([name.get(t, t) for t in layer.reads])
        writes = layer.writes
        if layer.is_in_place and reads and writes:
            name[writes[0]] = reads[0]
            writes = (reads[0], *writes[1:])
        moved.append(layer._replace(reads=reads, writes=writes))
    return moved


def _tenants(layers: Sequence[GeneratorLayer], split: int) -> list[_Tenant]:
    """Everything that is placed, in order of first appearance. split: the first layer behind the stage; 0: no stage."""
    last_read = {tensor: index for index, layer in enumerate(layers) for tensor in layer.reads}
    home: dict[int, int] = {}  # tensor -> where later layers find it
    tenants: list[_Tenant] = []
    for index, layer in enumerate(layers):
        fresh = []
        reads = zip(layer.reads, layer.read_bytes, strict=True)
        writes = zip(layer.writes, layer.write_bytes, strict=True)
        for is_read, sized in ((True, reads), (False, writes)):
            fresh += [(is_read, tensor, size) for tensor, size in sized if tensor not in home]
        own_input = home.get(layer.reads[0]) if layer.reads else None
        for is_read, tensor, size in fresh:
            first = 0 if is_read and index == split else index
            last = last_read.get(tensor, index)
            end = last + 1 if last > index else 1 if index == 0 else len(layers)
            home[tensor] = len(tenants)
            tenants.append(_Tenant(-(-size // _ALIGNMENT) * _ALIGNMENT, first, end))
        if own_input is not None and layer.is_in_place and _strides(layer) == (2, 2):
            tenants[own_input] = tenants[own_input]._replace(quarter_after=index)
    return tenants


# ---------------------------------------------------------------------------------------------------------------------
# Places


def _peak_bytes(tenants: Sequence[_Tenant]) -> int:
    """End of the highest tenant: largest first, ties in order of appearance, each at the lowest gap that it sees."""
    placed: list[tuple[_Tenant, int]] = []
    for tenant in sorted(tenants, key=lambda tenant: -tenant.size_bytes):
        placed.append((tenant, _lowest_gap(tenant, placed)))
    return max([offset + tenant.size_bytes for tenant, offset in placed], default=0)


def _lowest_gap(tenant: _Tenant, placed: Sequence[tuple[_Tenant, int]]) -> int:
    size, first, end, _ = tenant
    gaps = [(0, _NO_LIMIT)]
    for (height, other_first, other_end, quarter_after), low in placed:
        if other_first >= end or other_end <= first or (other_first == first and other_end == end):
            continue
        high = low + (-(-height // 4) if first > quarter_after else height)
        at = 0
        while at < len(gaps):  # a gap that was cut goes, its parts follow at the end, and its neighbour is passed over
            start, stop = gaps[at]
            if start <= high and low <= stop:
                gaps += [(high, stop)] * (stop > high) + [(start, low)] * (start < low)
                del gaps[at]
            at += 1
    return min([start for start, stop in gaps if stop - start >= size])


# ---------------------------------------------------------------------------------------------------------------------
# Schedules


def _stage(layers: Sequence[GeneratorLayer], schedule: Schedule) -> tuple[int, int]:
    """(layers in the patch stage, patches a side); no layers: layer by layer.

    Raises ScheduleError for a schedule that the generator cannot express, with the nearest that it can.
    """
    if schedule.is_layer:
        return 0, 1
    stages = list(schedule.stages)
    while not stages[-1].is_cut:
        stages.pop()
    spec = stages[0]
    if spec.kind is not StageKind.PATCH or len(stages) > 1:
        raise _refused("the generator knows one patch stage, from the first layer on", schedule, layers)
    if spec.rows != spec.cols:
        what = f"the generator cuts into as many rows as columns, not {spec.rows}x{spec.cols}"
        raise _refused(what, schedule, layers)
    split, side = spec.nodes or 0, spec.rows
    able = _cuttable(layers)
    if split > able:
        why = (
            "the last layer cannot be in the stage"
            if able == len(layers) - 1
            else f"the generator cuts convolutions of stride 1 or 2 and ADDs, and layer {able + 1} is {layers[able].op}"
        )
        raise _refused(why, schedule, layers)
    rows, cols = layers[split].rows, layers[split].cols
    if rows % side or cols % side:
        what = f"the stage's output, {rows}x{cols}, does not divide into {side}x{side} patches of one size"
        raise _refused(what, schedule, layers)
    return split, side


def _cuttable(layers: Sequence[GeneratorLayer]) -> int:
    """How many layers from the first on may be in a patch stage: one must be left behind it."""
    for index, layer in enumerate(layers[:-1]):
        if not (layer.op == "ADD" or (layer.is_window and set(_strides(layer)) <= {1, 2})):
            return index
    return max(len(layers) - 1, 0)


def _refused(what: str, schedule: Schedule, layers: Sequence[GeneratorLayer]) -> ScheduleError:
    nearest = _nearest(schedule, layers)
    where = f"convention tinyengine-codegen, schedule '{schedule}'"
    return ScheduleError(what, where=where, fix=f"use {nearest or 'layer'}")


def _nearest(schedule: Schedule, layers: Sequence[GeneratorLayer]) -> StageSpec | None:
    """What the generator can do that is most like the first cut stage of `schedule`: its end, then its grid."""
    end = 0
    wanted = StageSpec()
    for wanted in schedule.stages:
        end += wanted.nodes or 0
        if wanted.is_cut:
            break
    for split in range(min(end, _cuttable(layers)), 0, -1):
        rows, cols = layers[split].rows, layers[split].cols
        pieces = max(wanted.rows, wanted.cols, -(-rows // wanted.band_rows) if wanted.band_rows else 1)
        sides = [n for n in range(2, min(rows, cols) + 1) if rows % n == cols % n == 0]
        if sides:
            side = min(sides, key=lambda n: (abs(n - pieces), n))
            return StageSpec(StageKind.PATCH, split, side, side)
    return None


# ---------------------------------------------------------------------------------------------------------------------
# The convention


def _im2col_bytes(layer: GeneratorLayer) -> int:
    if layer.op == "DEPTHWISE_CONV_2D":
        border = 2 * (layer.kernel[0] // 2)  # added to the patch too, which has its border already
        return 2 * (layer.rows + border) * (layer.cols + border)
    if layer.op == "CONV_2D":
        _, rows, cols, in_c = layer.call.input(1).shape
        return 4 * rows * cols * in_c
    return 4 * layer.call.input(1).shape[-1] if layer.op == "FULLY_CONNECTED" else 0


def _kernel_bytes(layer: GeneratorLayer) -> int:
    return 2 * layer.call.input(1).elements if layer.op == "CONV_2D" and layer.kernel[0] > 1 else 0


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    layers = generator_layers(graph)
    split, side = _stage(layers, schedule)
    if split:
        layers = _patched(layers, split, side)
    tenants = _tenants(_in_place(layers), split)
    where = f"first fit; {side}x{side} patches of {layers[0].rows}x{layers[0].cols}" if split else "first fit"
    return (
        LedgerItem("activations", _peak_bytes(tenants), f"{len(tenants)} buffers, {where}"),
        LedgerItem("im2col", max(map(_im2col_bytes, layers), default=0), "two int16 columns, or one padded channel"),
        LedgerItem("kernel", max(map(_kernel_bytes, layers), default=0), "int16 weights of a k > 1 convolution"),
    )


TINYENGINE_CODEGEN = register(
    Convention(
        name="tinyengine-codegen",
        what="PEAK_MEM of TinyEngine's code generator, its quirks included: first fit + im2col + kernel buffer",
        basis=Basis.DERIVED,
        evidence="equals the generator's output on mcunet-vww1, mcunet-in3, mcunetv2_large and person-det layer by "
        "layer, on mcunet-vww1 in 2x2 patches over 5 layers and mcunetv2_large in 4x4 over 8",
        parts=_parts,
        takes_pieces=True,
        places=True,
    )
)
