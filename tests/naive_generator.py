"""TinyEngine's code generator, as its source goes about it: tensors are objects, changed again and again, and slow.

The oracle of the convention tinyengine-codegen. Imports nothing from mcusim.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MOST = 10 * 1024 * 1024


@dataclass(eq=False)
class Tensor:
    name: str
    channels: int
    rows: int
    cols: int
    place: int | None = None

    def bytes(self) -> int:
        return math.ceil(self.channels * self.rows * self.cols / 4) * 4


@dataclass(eq=False)
class Layer:
    op: str
    inputs: list[Tensor]
    output: Tensor
    kernel: int = 1
    stride: int = 1
    rows: int = 0
    cols: int = 0
    out_rows: int = 0
    out_cols: int = 0
    starts_normal: bool = False

    def __post_init__(self) -> None:
        self.rows, self.cols = self.inputs[0].rows, self.inputs[0].cols
        self.out_rows, self.out_cols = self.output.rows, self.output.cols


@dataclass(eq=False)
class Rectangle:
    start: int
    end: int
    size: int
    index: int
    placement: int = -1
    halved_at: int | None = None


@dataclass(eq=False)
class Slot:
    low: int
    high: int


@dataclass
class Scheduler:
    layers: list[Layer]
    rectangles: list[Rectangle] = field(default_factory=list)

    def run(self) -> dict[str, int]:
        self.share_names()
        for index in range(len(self.layers)):
            self.allocate(index)
        for index, layer in enumerate(self.layers):
            if layer.op == "DEPTHWISE_CONV_2D" and layer.stride == 2 and layer.inputs[0].place == layer.output.place:
                self.rectangles[layer.output.place].halved_at = index
        return {
            "activations": self.place(),
            "im2col": max(map(im2col, self.layers)),
            "kernel": max(map(kernel, self.layers)),
        }

    def place(self) -> int:
        left, self.rectangles = self.rectangles, []
        while left:
            largest = left[0]
            for rectangle in left:
                if rectangle.size > largest.size:
                    largest = rectangle
            left.remove(largest)
            self.rectangles.append(largest)
        for rectangle in self.rectangles:
            rectangle.placement = self.fit(rectangle)
        return max(r.placement + r.size for r in self.rectangles)

    def share_names(self) -> None:
        for index, layer in enumerate(self.layers):
            if layer.op != "DEPTHWISE_CONV_2D":
                continue
            old = layer.output.name
            layer.output.name = layer.inputs[0].name
            for later in self.layers[index:]:
                for tensor in later.inputs:
                    if tensor.name == old:
                        tensor.name = layer.inputs[0].name

    def allocate(self, index: int) -> None:
        layer = self.layers[index]
        for tensor in [t for t in (*layer.inputs, layer.output) if t.place is None]:
            end = index + 1 if index == 0 else len(self.layers)
            for later in range(index + 1, len(self.layers)):
                if any(t.name == tensor.name for t in self.layers[later].inputs):
                    end = later + 1
            start = 0 if layer.starts_normal and any(t is tensor for t in layer.inputs) else index
            tensor.place = len(self.rectangles)
            self.rectangles.append(Rectangle(start, end, tensor.bytes(), tensor.place))
            for later_layer in self.layers[index + 1 :]:
                for t in (*later_layer.inputs, later_layer.output):
                    if t.name == tensor.name:
                        t.place = tensor.place

    def fit(self, new: Rectangle) -> int:
        slots = [Slot(0, MOST)]
        for old in self.rectangles:
            if old.placement == -1:
                continue
            meets = (
                new.start < old.start < new.end
                or new.start < old.end < new.end
                or old.start < new.start < old.end
                or old.start < new.end < old.end
            )
            if not meets:
                continue
            low, high = old.placement, old.placement + old.size
            if old.halved_at is not None and new.start > old.halved_at:
                high = low + math.ceil(old.size / 4)
            for slot in slots:
                touches = slot.low <= low <= slot.high or slot.low <= high <= slot.high
                if touches or low <= slot.low <= high or low <= slot.high <= high:
                    if slot.high > high:
                        slots.append(Slot(high, slot.high))
                    if slot.low < low:
                        slots.append(Slot(slot.low, low))
                    slots.remove(slot)  # as the original does, while it walks them
        return min(slot.low for slot in slots if slot.high - slot.low >= new.size)


def im2col(layer: Layer) -> int:
    if layer.op == "CONV_2D":
        return 4 * layer.kernel**2 * layer.inputs[0].channels
    if layer.op == "DEPTHWISE_CONV_2D":
        border = 2 * (layer.kernel // 2)
        return 2 * (layer.rows + border) * (layer.cols + border)
    return 0


def kernel(layer: Layer) -> int:
    if layer.op != "CONV_2D" or layer.kernel == 1:
        return 0
    return 2 * layer.kernel**2 * layer.inputs[0].channels * layer.output.channels


def field_of(layers: list[Layer], split: int, size: int) -> int:
    for layer in layers[:split][::-1]:
        if layer.op in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            size = size + layer.kernel - 1 if layer.stride == 1 else (size - 1) * 2 + layer.kernel
    return size


def resize(layers: list[Layer], split: int, patches: int) -> None:
    behind = layers[split]
    rows = field_of(layers, split, behind.rows // patches)
    cols = field_of(layers, split, max(behind.rows, behind.cols) // patches)
    for index, layer in enumerate(layers[:split]):
        before = layers[index - 1]
        layer.rows, layer.cols = (before.out_rows, before.out_cols) if index else (rows, cols)
        layer.inputs[0].rows, layer.inputs[0].cols = layer.rows, layer.cols
        if layer.op == "ADD":
            layer.out_rows, layer.out_cols = layer.rows, layer.cols
            layer.inputs[1].rows, layer.inputs[1].cols = layer.rows, layer.cols
        else:
            layer.out_rows = math.ceil((layer.rows - layer.kernel + 1) / layer.stride)
            layer.out_cols = math.ceil((layer.cols - layer.kernel + 1) / layer.stride)
            layer.output.rows, layer.output.cols = layer.out_rows, layer.out_cols
    behind.inputs[0].name += "_start"
    behind.starts_normal = True


def peak_of(rectangles: list[Rectangle]) -> int:
    """End of the highest of `rectangles`, once placed."""
    return Scheduler([], rectangles).place()


def peak_mem(layers: list[Layer], split: int = 0, patches: int = 1) -> dict[str, int]:
    """Activations, im2col and kernel buffer of the generator's PEAK_MEM, bytes."""
    if split:
        resize(layers, split, patches)
    return Scheduler(layers).run()
