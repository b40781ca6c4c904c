"""X-CUBE-AI 7.3: RAM of activations and runtime. Nobody has published its planner; this rule was chosen on figures.

What its published activation RAM shows: a convolution's output may lie over its input, so the larger of the two counts
and some rows of the input; an expansion to six times the channels or more does not share, nor do ADD and
CONCATENATION; a convolution followed by a max pool never writes its own output. Where a network of integers is given
or gives floats, these lie beside it: ST printed 387.8 KiB for four convolutions on 256x64 whose input and output are
128 KiB of floats each, and 389.8 are counted. An input outside is not counted in either form.
Source: X-CUBE-AI 7.3 rows of ST's model zoo (18 networks), STM32H743 table of tinyengine's README (11).
"""

from __future__ import annotations

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import Layer, float_borders, layers
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["X_CUBE_AI"]

EXPANSION = 6
RUNTIME_BYTES, RUNTIME_BYTES_A_LAYER = 1250, 700
"""Least squares on the `runtime RAM` of ST's 18 networks: 1.22 KiB and 0.684 KiB a convolution."""

_WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def _activation_bytes(layer: Layer, before: Layer | None, after: Layer | None) -> int:
    signature = layer.signature
    in_bytes, out_bytes = layer.in_bytes, layer.out_bytes
    if signature.op in ("ADD", "CONCATENATION"):
        return in_bytes + out_bytes + layer.beside_bytes
    if signature.op == "CONV_2D" and after is not None and after.signature.op == "MAX_POOL_2D":
        return in_bytes + layer.beside_bytes
    if signature.op == "MAX_POOL_2D" and before is not None and before.signature.op == "CONV_2D":
        return out_bytes + layer.beside_bytes
    if signature.op not in _WINDOWS:
        return max(in_bytes, out_bytes) + layer.beside_bytes
    kernel = signature.input(1).shape[1]
    if kernel == 1 and out_bytes >= EXPANSION * in_bytes:
        return in_bytes + out_bytes + layer.beside_bytes
    source = signature.input(0)
    row_bytes = (source.cols + kernel // 2 * 2) * source.channels if kernel > 1 else 0
    return max(in_bytes, out_bytes) + kernel * row_bytes + layer.beside_bytes


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    return _items(graph, with_input=True)


def _external_parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    return _items(graph, with_input=False)


def _items(graph: Graph, *, with_input: bool) -> tuple[LedgerItem, ...]:
    rows = layers(graph, with_input=with_input)
    counted = [
        (_activation_bytes(layer, before, after), layer.name)
        for before, layer, after in zip((None, *rows), rows, (*rows[1:], None), strict=False)
    ]
    if not counted:
        return ()
    largest, name = max(counted, key=lambda row: row[0])
    windows = sum(layer.signature.op in _WINDOWS for layer in rows)
    borders = float_borders(graph)
    beside = borders.out_bytes + (borders.in_bytes if with_input else 0)
    floats = (LedgerItem("borders", beside, "inputs and outputs in floats, which QUANTIZE reads or DEQUANTIZE writes"),)
    return (
        LedgerItem("activations", largest, f"'{name}', output over input where it may"),
        LedgerItem("runtime", RUNTIME_BYTES + RUNTIME_BYTES_A_LAYER * windows, f"{windows} convolutions' structures"),
        *(floats if beside else ()),
    )


X_CUBE_AI = register(
    Convention(
        name="x-cube-ai",
        what="as version 7.3: the largest layer, output on top of input where possible, and the runtime's RAM",
        basis=Basis.CALIBRATED,
        evidence="ST's 18 rows for 7.3, activations: off by 5.5 % (mean), 3.3 % (median), 46 % (6.5 KiB, worst); "
        "constants not fitted to, form chosen with in view: 11 totals on STM32H743: 6.7 %, 6.2 %, 26 %; ST's 24 rows "
        "for 8.1: 11 %, 6.8 %, 45 %",
        parts=_parts,
        external_parts=_external_parts,
    )
)
