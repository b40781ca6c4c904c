"""Instructions of mcusim's own C, counted in emulation beside CMSIS-NN's: layers, networks, and layers in pieces."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from measure_firmware import Counted, built_plugin, by_clang, kernel, measured

from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph, Padding
from mcusim.ops import OPS

__all__ = ["bench_firmware"]

REPO = Path(__file__).resolve().parents[1]
CMSIS_NN_LAYERS = {
    "conv 3x3 s2 3-16 @96": 4.77, "conv 3x3 16-16 @24": 2.33, "conv 1x1 16-96 @48": 3.96, "conv 1x1 24-144 @24": 3.28,
    "conv 1x1 96-24 @24": 1.85, "conv 1x1 320-1280 @3": 1.94, "depthwise 3x3 s1 96 @24": 8.01,
    "depthwise 3x3 s2 96 @24": 8.01, "depthwise 5x5 s1 96 @24": 9.35, "depthwise 7x7 s1 96 @24": 8.43,
    "dense 1280-1000": 1.91, "average pool 3x3 1280 @3": 7.47, "average pool 6x6 160 @6": 6.48, "add 24x24x24": 81.4,
}  # fmt: skip
"""Instructions a multiply-accumulate; of pools an input, of ADD an output. Counted with the same compiler, options and
emulator as here."""
CMSIS_NN_NETWORKS = {"mlperf_vww01_mbv1_025_96_int8": 24.7, "mlperf_ic01_resnet8_int8": 29.9}
"""Millions of instructions of an inference, counted so too."""
IN_PIECES = ("mcunet-vww1", ("patch:2x2@5", "stream:2@7"))


def bench_firmware() -> None:
    """Counts; says what is missing where it cannot."""
    missing = [name for name in ("arm-none-eabi-gcc", "qemu-system-arm", "cc") if shutil.which(name) is None]
    if missing:
        print(f"not counted: there is no {' and no '.join(missing)} here")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        plugin = built_plugin(folder)
        print(
            f"{'layer':28} {'mcusim':>8} {'cycles':>8} {'CMSIS-NN':>9}   a MAC or element; cycles by published timings"
        )
        for name, graph in _layers():
            model = folder / "layer.tflite"
            model.write_bytes(write_tflite(with_seeded_weights(graph, 0)))
            run, _ = measured(name, str(model), "layer", plugin, folder / "image")
            units = _units(graph)
            print(
                f"{name:28} {run.instructions / units:8.2f} {run.cycles / units:8.2f} {CMSIS_NN_LAYERS[name]:9.2f}",
                flush=True,
            )
        _networks(folder, plugin)
        _pieces(folder, plugin)


def _layers() -> Iterator[tuple[str, Graph]]:
    for name in CMSIS_NN_LAYERS:
        builder = GraphBuilder("layer")
        words = name.split()
        if words[0] == "add":
            x = builder.input((1, 24, 24, 24))
            yield name, builder.build([builder.add(x, builder.input((1, 24, 24, 24)))])
            continue
        if words[0] == "dense":
            x = builder.input((1, 1280))
            yield name, builder.build([builder.fully_connected(x, 1000)])
            continue
        kernel_size = int(next(word for word in words if "x" in word).split("x")[0])
        stride = 2 if "s2" in words else 1
        channels, size = words[-2].split("-"), int(words[-1][1:])
        x = builder.input((1, size, size, int(channels[0])))
        if words[0] == "conv":
            y = builder.conv_2d(x, int(channels[1]), kernel_size, stride=stride, padding=Padding.SAME)
        elif words[0] == "depthwise":
            y = builder.depthwise_conv_2d(x, kernel_size, stride=stride, padding=Padding.SAME)
        else:
            y = builder.average_pool_2d(x, kernel_size, stride=1, padding=Padding.VALID)
        yield name, builder.build([y])


def _units(graph: Graph) -> int:
    """Multiply-accumulates; of a pool inputs, of ADD outputs."""
    call = graph.nodes[-1].signature
    if "POOL" in call.op:
        return call.input(0).elements
    return OPS[call.op].work(call, call.output.rows, call.output.cols, 1).macs or call.output.elements


def _networks(folder: Path, plugin: Path) -> None:
    corpus = Path(os.environ.get("MCUSIM_CORPUS") or REPO.parent / "shared" / "corpus") / "models"
    networks = [(name, str(corpus / f"{name}.tflite")) for name in CMSIS_NN_NETWORKS]
    for name, model in [*(pair for pair in networks if Path(pair[1]).is_file()), ("mcunet-in2", "mcunet-in2")]:
        run, steps = measured(name, model, "layer", plugin, folder / name)
        other = CMSIS_NN_NETWORKS.get(name)
        beside = f"; CMSIS-NN: {other:.1f} M" if other is not None else ""
        if importlib.util.find_spec("ziglang") is not None:
            beside += f"; by clang: {by_clang(model, plugin, folder / f'{name} by clang') / 1e6:.2f} M"
        print(f"\n{name}: {run.instructions / 1e6:.2f} M instructions, {run.cycles / 1e6:.2f} M cycles{beside}")
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for step in steps:
            op = OPS.get(step.signature.op)
            of_kernel = sums[kernel(step) or step.signature.op]
            of_kernel[0] += step.instructions
            of_kernel[1] += step.cycles
            if op is not None and step.signature.outputs:
                output = step.signature.output
                of_kernel[2] += op.work(step.signature, output.rows, output.cols, 1).macs
        for of, (instructions, cycles, macs) in sorted(sums.items(), key=lambda pair: -pair[1][0]):
            rates = f"{instructions / macs:6.2f} {cycles / macs:6.2f}   a MAC" if macs else ""
            print(f"  {of:24} {instructions / 1e6:8.3f} M {cycles / 1e6:8.3f} M  {rates}")


def _pieces(folder: Path, plugin: Path) -> None:
    """What an output takes in pieces, over what it takes in a whole layer."""
    name, schedules = IN_PIECES
    _, whole = measured(name, name, "layer", plugin, folder / "whole")
    for spec in schedules:
        _, cut = measured(name, name, spec, plugin, folder / "cut")
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for one, other in zip(whole, cut, strict=True):
            if other.calls > 1:
                sums[kernel(other)][0] += _an_output(other) * one.places
                sums[kernel(other)][1] += _an_output(one) * one.places
        ratios = ", ".join(f"{of} {pieces / plain - 1:+.1%}" for of, (pieces, plain) in sums.items() if plain)
        print(f"\n{name} {spec}, an output over that of a whole layer: {ratios}")


def _an_output(step: Counted) -> float:
    return step.instructions / (step.places or 1)
