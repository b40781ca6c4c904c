"""Published measurements, and the layers of the networks that were measured: data of the package, with sources.

`data/measurements.csv` has a row for every published latency that was found, also those that are no evidence, with the
reason in `left_out`. `network` is `zoo:NAME`, or `layers:NAME` for a table in `data/layers.csv`; `+fc1000` replaces
the last fully connected layer's outputs by 1000. One's own measurements take the same form (docs/latency.md).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from mcusim.errors import InputError
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import ABSENT, Graph, Padding, Signature
from mcusim.lowering.lower import lower
from mcusim.ops import OPS, Work
from mcusim.pricing.efforts import EFFORTS, efforts
from mcusim.pricing.systems import System, series_of
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import LAYER
from mcusim.zoo.loading import load

__all__ = [
    "KernelTime",
    "Measurement",
    "family_of",
    "kernel_times",
    "measurements",
    "network_efforts",
    "network_layers",
    "work_of_table",
]

_SAME_NETWORK = {
    "st_resnet_v1_8_32_cifar10": "mlperf_ic01_resnet8_int8",
    "st_mobilenet_v1_025_96_flowers": "mlperf_vww01_mbv1_025_96_int8",
}
"""Tables of one network under two names (equal layers but for the classifier): left out together when scored."""

_FAMILIES = (
    ("mcunet", r"mcunet"),
    ("proxyless", r"proxyless"),
    ("ssd", r"ssd"),
    ("mobilenet-v2", r"mbv2|mobilenet_v2"),
    ("fd-mobilenet", r"fdmobilenet"),
    ("mobilenet-v1", r"mbv1|mobilenet_v1|person_detect"),
    ("resnet", r"resnet"),
    ("yolo-lc", r"yolo"),
    ("squeezenet", r"squeezenet"),
    ("autoencoder", r"ad01"),
    ("ds-cnn", r"dscnn"),
    ("micronet", r"micronet"),
    ("yamnet", r"yamnet"),
    ("small-cnn", r"smallcifar|mnist|conv_"),
    ("dense", r"fc_|dense"),
)
"""Networks that are built alike, and what their names contain: left out together when the model is scored."""


class Measurement(NamedTuple):
    """One published time. latency_ms: as printed, so that its digits say how exact it is.

    left_out: why it is no evidence; "" where it is.   energy_uj: None where not published.
    """

    id: str
    source: str
    model: str
    network: str
    system: System
    clock_hz: int
    latency_ms: str
    energy_uj: float | None
    power_setting: str
    left_out: str
    note: str

    @property
    def cycles(self) -> float:
        """Core cycles of one inference."""
        return float(self.latency_ms) * self.clock_hz / 1e3

    @property
    def rounding(self) -> float:
        """Standard deviation of the logarithm that the printed digits leave open."""
        # Half a unit of the last digit, as the standard deviation of a uniform error: divided by the root of 3.
        decimals = len(self.latency_ms.partition(".")[2])
        return 0.5 * 10.0**-decimals / 3**0.5 / float(self.latency_ms)

    @property
    def network_id(self) -> str:
        """What is left out together when the model is scored: one network, whatever its classifier."""
        name = self.network.partition(":")[2].partition("+")[0]
        return _SAME_NETWORK.get(name, name)


def family_of(network: str) -> str:
    """The family of a network of the package's data, `zoo:NAME` or `layers:NAME`; its own name if it has no kin."""
    name = network.partition(":")[2].partition("+")[0]
    return next((family for family, pattern in _FAMILIES if re.search(pattern, name)), name)


class KernelTime(NamedTuple):
    """One operator measured alone, or all of one kind in a network together.

    op, inputs, output, kernel, stride: what was measured, as printed; of a whole network, only `op`.
    amounts: of each of EFFORTS.   network: `layers:NAME` for a sum over a network's layers, else "".
    work: what one operator does; None for a sum.
    """

    id: str
    source: str
    op: str
    inputs: str
    output: str
    kernel: str
    stride: str
    network: str
    system: System
    clock_hz: int
    cycles: float
    amounts: tuple[float, ...]
    work: Work | None

    @property
    def model(self) -> str:
        """What was measured, in words."""
        if self.network:
            return f"{self.op} of {self.network.partition(':')[2]}"
        parts = (self.op, self.inputs.replace("+", " and "), "to", self.output, self.kernel and f"kernel {self.kernel}")
        return " ".join([part for part in parts if part])


@cache
def kernel_times() -> tuple[KernelTime, ...]:
    """All of `data/kernels.csv`."""
    text = resources.files("mcusim.pricing").joinpath("data", "kernels.csv").read_text(encoding="utf-8")
    return tuple(_kernel_time(row) for row in csv.DictReader(io.StringIO(text)))


def _kernel_time(row: Mapping[str, str]) -> KernelTime:
    board, op, network = row["board"], row["op"], row["network"]
    if network:
        layers = [layer for layer in _tables()[network.partition(":")[2]] if layer.op == op]
    else:
        layers = [_layer(row, 1)]
    works = [work for layer in layers for work in [_whole(_signature(layer))] * layer.repeats]
    system = System(row["runtime"], row["version"], row["option"], row["core"], series_of(board), board)
    shape = (row["inputs"], row["output"], row["kernel"], row["stride"])
    work = None if network else works[0]
    numbers = (int(row["clock_hz"]), float(row["cycles"]), add_efforts(works))
    return KernelTime(row["id"], row["source"], op, *shape, network, system, *numbers, work)


@cache
def measurements() -> tuple[Measurement, ...]:
    """Every row of the package's measurements."""
    text = resources.files("mcusim.pricing").joinpath("data", "measurements.csv").read_text(encoding="utf-8")
    return tuple(_measurement(row) for row in csv.DictReader(io.StringIO(text)))


def _measurement(row: Mapping[str, str]) -> Measurement:
    board = row["board"]
    system = System(row["runtime"], row["version"], row["option"], row["core"], series_of(board), board, row["memory"])
    return Measurement(
        row["id"],
        row["source"],
        row["model"],
        row["network"],
        system,
        int(row["clock_hz"] or 0),
        row["latency_ms"],
        float(row["energy_uj"]) if row["energy_uj"] else None,
        row["power_setting"],
        row["left_out"],
        row["note"],
    )


# ---------------------------------------------------------------------------------------------------------------------
# Efforts of a network


@cache
def network_efforts(network: str, runtime_name: str) -> tuple[float, ...]:
    """Amounts of each of EFFORTS that an inference takes under the rules of a runtime.

    Raises InputError for a network that there is not.
    """
    return add_efforts(network_layers(network, runtime_name))


@cache
def network_layers(network: str, runtime_name: str) -> tuple[Work, ...]:
    """The work of every layer that an inference carries out under the rules of a runtime.

    Raises InputError for a network that there is not.
    """
    runtime = RUNTIMES[runtime_name]
    kind, _, name = network.partition(":")
    if kind == "zoo":
        return tuple(work_of_graph(load(name), runtime))
    if kind != "layers":
        raise InputError(f"network is '{network}'", where="measurements", fix="write zoo:NAME or layers:NAME")
    table, _, classifier = name.partition("+fc")
    return tuple(work_of_table(table, runtime, int(classifier) if classifier else None))


def add_efforts(works: Iterable[Work]) -> tuple[float, ...]:
    """The efforts of several pieces of work together."""
    total = [0.0] * len(EFFORTS)
    for work in works:
        for place, amount in efforts(work):
            total[place] += amount
    return tuple(total)


def work_of_graph(graph: Graph, runtime: Runtime) -> Iterator[Work]:
    """The work of every step that the runtime carries out, layer by layer."""
    for step in lower(graph, LAYER, runtime.rules).body():
        op = OPS.get(step.signature.op)
        if op is not None and step.signature.outputs and step.node != ABSENT:
            yield _whole(step.signature)


def work_of_table(name: str, runtime: Runtime, classes: int | None = None) -> Iterator[Work]:
    """The work of every layer of a table. classes: outputs of the classifier, if not the table's own.

    Layers that only compute shapes are not in the tables. Paddings count where the runtime carries them out.
    """
    for row in _tables()[name]:
        # A runtime that folds paddings runs none: its tables list them all the same.
        if row.op == "PAD" and runtime.rules.folds_padding:
            continue
        if row.op == "FULLY_CONNECTED" and classes is not None:
            row = row._replace(output=(classes,))
        yield from [_whole(_signature(row))] * row.repeats


def _whole(signature: Signature) -> Work:
    return OPS[signature.op].work(signature, signature.output.rows, signature.output.cols, 1)


class _Row(NamedTuple):
    op: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str
    repeats: int


@cache
def _tables() -> dict[str, list[_Row]]:
    text = resources.files("mcusim.pricing").joinpath("data", "layers.csv").read_text(encoding="utf-8")
    tables: dict[str, list[_Row]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        tables.setdefault(row["network"], []).append(_layer(row, int(row["count"])))
    return tables


def _layer(row: Mapping[str, str], repeats: int) -> _Row:
    return _Row(
        row["op"],
        tuple(_sizes(shape) for shape in row["inputs"].split("+")),
        _sizes(row["output"]),
        _sizes(row["kernel"]),
        _sizes(row["stride"]),
        row["padding"],
        repeats,
    )


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _signature(row: _Row) -> Signature:
    """The layer by itself, as the builder makes it."""
    builder = GraphBuilder()
    inputs = [builder.input((1, *shape)) for shape in row.inputs]
    output = _LAYERS[row.op](builder, inputs, row)
    return next(node.signature for node in builder.build([output]).nodes)


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    return (sizes[0], sizes[-1])


def _conv(builder: GraphBuilder, inputs: list[int], row: _Row) -> int:
    return builder.conv_2d(inputs[0], row.output[-1], _pair(row.kernel), _pair(row.stride), Padding(row.padding))


def _depthwise(builder: GraphBuilder, inputs: list[int], row: _Row) -> int:
    multiplier = row.output[-1] // row.inputs[0][-1]
    kernel, stride = _pair(row.kernel), _pair(row.stride)
    return builder.depthwise_conv_2d(inputs[0], kernel, stride, Padding(row.padding), multiplier=multiplier)


def _pool(op: str, builder: GraphBuilder, inputs: list[int], row: _Row) -> int:
    make = builder.average_pool_2d if op == "AVERAGE_POOL_2D" else builder.max_pool_2d
    padding = Padding(row.padding) if row.padding else _padding_of(row)
    return make(inputs[0], _pair(row.kernel), _pair(row.stride), padding)


def _padding_of(row: _Row) -> Padding:
    size, kernel, stride = row.inputs[0][0], row.kernel[0], row.stride[0]
    return Padding.VALID if (size - kernel) // stride + 1 == row.output[0] else Padding.SAME


def _pad(builder: GraphBuilder, inputs: list[int], row: _Row) -> int:
    rows, cols = (row.output[i] - row.inputs[0][i] for i in (0, 1))
    return builder.pad(inputs[0], rows // 2, rows - rows // 2, cols // 2, cols - cols // 2)


def _elementwise(op: str, builder: GraphBuilder, inputs: list[int], row: _Row) -> int:
    # The table prints a repeated input once (x + x).
    pair = inputs if len(inputs) > 1 else [inputs[0], inputs[0]]
    return builder.op(op, pair)


_LAYERS: dict[str, Callable[[GraphBuilder, list[int], _Row], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": lambda builder, inputs, row: builder.fully_connected(inputs[0], row.output[-1]),
    "AVERAGE_POOL_2D": lambda *place: _pool("AVERAGE_POOL_2D", *place),
    "MAX_POOL_2D": lambda *place: _pool("MAX_POOL_2D", *place),
    "PAD": _pad,
    "ADD": lambda *place: _elementwise("ADD", *place),
    "MUL": lambda *place: _elementwise("MUL", *place),
    "CONCATENATION": lambda builder, inputs, row: builder.concatenation(inputs, _joined_axis(row)),
    "MEAN": lambda builder, inputs, row: builder.mean(inputs[0]),
    "REDUCE_MAX": lambda builder, inputs, row: builder.op("REDUCE_MAX", [inputs[0], builder.integers((1, 2))]),
    "SOFTMAX": lambda builder, inputs, row: builder.softmax(inputs[0]),
    "QUANTIZE": lambda builder, inputs, row: builder.op("QUANTIZE", inputs),
    "DEQUANTIZE": lambda builder, inputs, row: builder.op("DEQUANTIZE", inputs),
    "RESIZE_BILINEAR": lambda builder, inputs, row: builder.op(
        "RESIZE_BILINEAR", [inputs[0], builder.integers(row.output[:2])]
    ),
    "TRANSPOSE": lambda builder, inputs, row: builder.transpose(inputs[0], (0, 2, 1, 3)),
}


def _joined_axis(row: _Row) -> int:
    """The axis along which the inputs of a concatenation differ, or add up."""
    for axis, size in enumerate(row.output):
        if sum(shape[axis] for shape in row.inputs) == size and len(row.inputs) > 1 and size != row.inputs[0][axis]:
            return axis + 1
    return -1
