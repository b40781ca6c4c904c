#!/usr/bin/env python3
"""Count what mcusim's own kernels execute, and fit the prices of `mcusim/pricing/emulated.py` to it.

    python scripts/measure_firmware.py            counts, fits, and writes mcusim/firmware/data/emulated*.json
    python scripts/measure_firmware.py --networks 6       a quick look at the first networks; writes nothing
    python scripts/measure_firmware.py --judge 40 --seed 7       40 networks drawn with a seed that no fit used, counted
                                                  and held against what the package predicts; writes nothing

Every network is written as C, built with arm-none-eabi-gcc -O2 for a Cortex-M4, and run in QEMU with a plugin that
counts between the marks that `-DMODEL_MARK` sets behind every step. The outputs must be the executor's. Needs
arm-none-eabi-gcc, qemu-system-arm and a C compiler for this machine.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from drawn_networks import OURS, drawn_layers, drawn_networks
from numpy.typing import NDArray
from scipy.optimize import nnls

from mcusim.errors import McusimError
from mcusim.execution import execute
from mcusim.firmware.choice import choose
from mcusim.graph import ABSENT, Graph, Signature
from mcusim.ops import OPS
from mcusim.pricing.emulated import emulation
from mcusim.pricing.kernel_loops import amounts_of
from mcusim.published.tables.firmware import EmulatedNetwork
from mcusim.question.arguments import the_graph
from mcusim.schedule import parse_schedule
from mcusim.simulation.emission import codegen, network_of, seeded

REPO = Path(__file__).resolve().parents[1]
HARNESS = REPO / "scripts" / "emulation"
DATA = REPO / "mcusim" / "firmware" / "data"
COMPILER = "gcc 12.2, -O2"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
CLANG = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-O2", "-fomit-frame-pointer",
         "-fno-unwind-tables", "-fno-sanitize=all")  # fmt: skip
ROOMY = "stm32h743"
"""A board on which every network here fits: what is counted does not depend on it."""

SHOWN = (
    "mcunet-vww0", "mcunet-vww1", "mcunet-vww2", "mcunet-in0", "mcunet-in1", "mcunet-in2", "mbv2-w0.35-r144",
    "proxyless-w0.25-r112", "proxyless-w0.3-r64", "person-det",
)  # fmt: skip
"""The networks of `mcusim report firmware`: their weights are drawn with seed 0."""
CUT = {
    "mcunet-vww1": ("patch:2x2@5", "patch:3x3@13", "stream:2@7", "stream:3@6"),
    "mbv2-w0.35-r144": ("patch:2x2@5", "patch:3x3@13", "stream:2@7", "layer@3+stream:18@2"),
    "mcunet-in0": ("patch:2x2@5", "stream:2@7"),
    "mcunet-in2": ("patch:3x3@13",),
}
PIECES = ("stream:1@10", "stream:2@9", "patch:4x4@5", "patch:3x3@7", "patch:2x2@5")
IN_PIECES = ("mcunet-vww0", "proxyless-w0.3-r64", "mcunet-in0")
"""Networks whose cut layers are fitted too, in pieces of a row, of two, and of few rows and columns."""
LARGEST_FILE_BYTES = 1_600_000
FOLDS = 6
LAYER, NETWORK = 50_000, 1_000_000
"""Instructions of a layer and of a network from which on the errors are told: less is lost in any of them."""


class Counted(NamedTuple):
    """One step in all its pieces together."""

    network: str
    signature: Signature
    places: int
    calls: int
    instructions: int
    cycles: int


# ---------------------------------------------------------------------------------------------------------------------
# Counting


def built_plugin(folder: Path) -> Path:
    """The plugin that counts, for this machine."""
    plugin = folder / "count.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, HARNESS / "count.c"], check=True)
    return plugin


def built(files: Mapping[str, str], folder: Path, by_clang: bool = False) -> Path:
    """The image of a network with the harness.   by_clang: the network is compiled by the clang of `ziglang`."""
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    image, network = folder / "network.elf", folder / "model.c"
    if by_clang:
        network = folder / "model.o"
        clang: list[str | Path] = [sys.executable, "-m", "ziglang", "cc", *CLANG, "-DMODEL_MARK", "-I", folder]
        subprocess.run([*clang, "-c", folder / "model.c", "-o", network], check=True, capture_output=True)
    sources = [HARNESS / "start.c", HARNESS / "main.c", network]
    options: list[str | Path] = [
        "-O2",
        "-DMODEL_MARK",
        "-std=gnu99",
        "-ffreestanding",
        "-nostartfiles",
        "-nodefaultlibs",
        "-T",
        HARNESS / "board.ld",
        "-I",
        folder,
    ]
    command: list[str | Path] = ["arm-none-eabi-gcc", *CPU, *options, *sources, "-o", image, "-lc", "-lgcc"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[:2000])
    return image


def all_kept(folder: Path) -> Path:
    """The network's object file with every constant array in it: an optimiser may take small ones into the code."""
    compiled = folder / "kept.o"
    options = ["-O1", "-std=c99", "-ffreestanding", "-fno-toplevel-reorder", "-I", str(folder)]
    subprocess.run(["arm-none-eabi-gcc", *CPU, *options, "-c", folder / "model.c", "-o", compiled], check=True)
    return compiled


def symbols(image: Path) -> dict[str, tuple[int, int, str]]:
    """Name -> (address, bytes, OBJECT or FUNC)."""
    listed = subprocess.run(["arm-none-eabi-readelf", "-sW", image], check=True, capture_output=True, text=True).stdout
    fields = [line.split() for line in listed.splitlines()]
    rows = [row for row in fields if len(row) == 8 and row[3] in ("OBJECT", "FUNC")]
    return {row[7]: (int(row[1], 16) & ~1, int(row[2], 0), row[3]) for row in rows}


def emulated(image: Path, plugin: Path, mark: int) -> tuple[list[tuple[int, int]], str]:
    """(instructions, cycles) at every mark, and the hash of the outputs."""
    counts = image.with_suffix(".txt")
    machine = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native", "-plugin", f"{plugin},mark={mark},out={counts}"]
    done = subprocess.run(
        [*machine, *semihosting, "-kernel", image], check=True, timeout=600, capture_output=True, text=True
    )
    digest = re.search(r"hash (\w{8})", done.stdout + done.stderr)
    rows = [tuple(map(int, line.split())) for line in counts.read_text().splitlines()]
    return [(row[0], row[1]) for row in rows], digest[1] if digest else ""


def drawn_inputs(graph: Graph) -> list[NDArray[Any]]:
    """The bytes that the harness draws, as the network's inputs."""
    state, inputs = 1, []
    for tensor in (graph.tensors[index] for index in graph.inputs):
        drawn = bytearray()
        for _ in range(tensor.size_bytes):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            drawn.append(state >> 24)
        inputs.append(np.frombuffer(bytes(drawn), tensor.dtype.value).reshape(tensor.shape))
    return inputs


def hashed(outputs: Sequence[NDArray[Any]]) -> str:
    """FNV-1a of the outputs' bytes, as the harness has it."""
    value = 2166136261
    for byte in b"".join(np.ascontiguousarray(array).tobytes() for array in outputs):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return f"{value:08x}"


def measured(
    name: str, model: str | Graph, spec: str, plugin: Path, folder: Path
) -> tuple[EmulatedNetwork, list[Counted]]:
    """A network under a schedule, step by step."""
    graph, schedule = seeded(the_graph(model), 0), parse_schedule(spec)
    image = built(codegen(graph, profile=ROOMY, schedule=spec).files, folder)
    known = symbols(image)
    counts, digest = emulated(image, plugin, known["model_mark"][0])
    program = network_of(graph, schedule, "model")[0].program
    iterations = [i for i in program.steps() if any(view != ABSENT for view in i.step.writes) or i.step.updates]
    spent = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(counts[:-1])]
    if len(spent) != len(iterations):
        raise RuntimeError(f"{name}, {spec}: {len(spent)} steps were counted, and {len(iterations)} are planned")
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for iteration, (instructions, cycles) in zip(iterations, spent, strict=True):
        sums[id(iteration.step)][0] += instructions
        sums[id(iteration.step)][1] += cycles
    steps = [
        Counted(name, step.signature, step.priced_rows * step.priced_cols, step.calls, *sums[id(step)])
        for step in program.body()
        if id(step) in sums
    ]
    kept = symbols(all_kept(folder))
    stored = sum(size for key, (_, size, kind) in kept.items() if re.match(r"model_\d+_", key) and kind == "OBJECT")
    code = sum(size for key, (_, size, kind) in known.items() if key.startswith("model_") and kind == "FUNC")
    expected = hashed(execute(graph, drawn_inputs(graph), schedule=spec, runtime="mcusim"))
    total = counts[-1][0] - counts[0][0], counts[-1][1] - counts[0][1]
    return EmulatedNetwork(name, spec, *total, known["model_arena"][1], stored, code, digest == expected), steps


def by_clang(model: str, plugin: Path, folder: Path) -> int:
    """Instructions of a network layer by layer, compiled by clang."""
    image = built(codegen(seeded(the_graph(model), 0), profile=ROOMY).files, folder, by_clang=True)
    counts, _ = emulated(image, plugin, symbols(image)["model_mark"][0])
    return counts[-1][0] - counts[0][0]


def jobs(corpus: Path | None) -> Iterator[tuple[str, str | Graph, str]]:
    """(name, model, schedule) of everything that is counted: the networks that are shown first."""
    for name, graph in drawn_layers():
        yield name, graph, "layer"
    for name in SHOWN:
        for spec in ("layer", *CUT.get(name, ())):
            yield name, name, spec
    for name in IN_PIECES:
        for spec in PIECES:
            if spec not in CUT.get(name, ()):
                yield name, name, spec
    for name in ("mbv1-w0.5-r192",):
        yield name, name, "layer"
    for file in sorted(corpus.glob("models/*.tflite")) if corpus is not None else ():
        if file.stat().st_size < LARGEST_FILE_BYTES:
            yield file.stem, str(file), "layer"


# ---------------------------------------------------------------------------------------------------------------------
# Fitting


def amounts(step: Counted) -> dict[str, float]:
    """Of each effort, by name."""
    asked, sums = amounts_of(step.signature), defaultdict[str, float](float)
    for name, amount in asked.a_place:
        sums[name] += amount * step.places
    for name, amount in asked.a_call:
        sums[name] += amount * step.calls
    return sums


def kernel(step: Counted) -> str:
    """What is fitted together: the kernels of fast depthwise convolutions share their efforts."""
    choice = choose(step.signature)
    name = choice.name if choice is not None else ""
    return "depthwise" if re.match(r"depthwise_\d", name) else name


def fitted(steps: Sequence[Counted], what: str) -> dict[str, float]:
    """Of one unit of each effort. Layers whose numbers send them a slow way, far off the others, count for nothing."""
    solution: dict[str, float] = {}
    for name in sorted({kernel(step) for step in steps}):
        rows = [step for step in steps if kernel(step) == name and amounts(step)]
        if not rows:
            continue
        prices = solved(rows, what)
        near = [s for s in rows if 0.67 < getattr(s, what) / max(predicted(prices, s), 1.0) < 1.5]
        solution.update(solved(near, what) if len(near) > len(rows) / 2 else prices)
    return solution


def solved(steps: Sequence[Counted], what: str) -> dict[str, float]:
    """Least squares of relative errors; no effort costs less than nothing."""
    names = sorted({name for step in steps for name in amounts(step)})
    table = np.array([[amounts(step).get(name, 0.0) for name in names] for step in steps])
    counted = np.array([float(getattr(step, what)) for step in steps])
    weights = 1.0 / np.sqrt(counted * (counted + 20_000.0))
    scaled = table * weights[:, None]
    scale = np.maximum(scaled.max(axis=0), 1e-30)
    return dict(zip(names, (nnls(scaled / scale, counted * weights)[0] / scale).tolist(), strict=True))


def predicted(prices: Mapping[str, float], step: Counted) -> float:
    return sum(prices.get(name, 0.0) * amount for name, amount in amounts(step).items())


class Errors(NamedTuple):
    """Logarithms of counted over predicted instructions, of networks that were left out of the fit."""

    layers: list[float]
    networks: list[float]

    @staticmethod
    def spread(values: Sequence[float]) -> float:
        """A standard deviation that a few odd ones do not move."""
        return float(np.median(np.abs(values))) / 0.6745


def left_out(steps: Sequence[Counted]) -> Errors:
    """Each network predicted by the others."""
    names = sorted({step.network for step in steps if not step.network.startswith(OURS)})
    order = np.random.default_rng(0).permutation(len(names))
    layers, networks = [], []
    for fold in range(FOLDS):
        out = {names[i] for i in order[fold::FOLDS]}
        prices = fitted([step for step in steps if step.network not in out], "instructions")
        for name in out:
            own = [step for step in steps if step.network == name]
            pairs = [(step.instructions, predicted(prices, step)) for step in own]
            layers += [math.log(counted / estimated) for counted, estimated in pairs if counted > LAYER and estimated]
            all_counted, all_told = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
            if all_counted > NETWORK and all_told:
                networks.append(math.log(all_counted / all_told))
    return Errors(layers, networks)


def fit_document(steps: Sequence[Counted], errors: Errors) -> dict[str, Any]:
    """What the package reads."""
    of_instructions, of_cycles = fitted(steps, "instructions"), fitted(steps, "cycles")
    prices = {
        name: {"instructions": round(of_instructions[name], 4), "cycles": round(of_cycles.get(name, 0.0), 4)}
        for name in sorted(of_instructions)
    }
    other = {}
    for word in sorted({name.rpartition("_")[2] for name in prices} | {"input"}):
        like = [price for name, price in prices.items() if name.endswith(f"_{word}") and price["cycles"]]
        other[word] = {
            part: float(np.median([price[part] for price in like] or [1.0])) for part in ("instructions", "cycles")
        }
    return {
        "prices": prices,
        "other": other,
        "layer_spread": round(Errors.spread(errors.layers), 4),
        "network_spread": round(Errors.spread(errors.networks), 4),
        "networks": len({step.network for step in steps}),
        "compiler": COMPILER,
    }


def tell(errors: Errors) -> None:
    print(f"layers within 10 %: {np.mean(np.abs(errors.layers) < np.log(1.1)):.1%} of {len(errors.layers)}")
    print(f"networks within 5 %: {np.mean(np.abs(errors.networks) < np.log(1.05)):.1%} of {len(errors.networks)}")


def judge(networks: Iterator[tuple[str, Graph]]) -> None:
    """What the package predicts beside what is counted, of networks that no fit has seen."""
    prices = {name: price.instructions for name, price in emulation().prices.items()}
    errors = Errors([], [])
    with tempfile.TemporaryDirectory() as made:
        plugin = built_plugin(Path(made))
        for name, graph in networks:
            try:
                run, counted = measured(name, graph, "layer", plugin, Path(made) / name)
            except McusimError as error:
                print(f"{name}: left out: {error}", flush=True)
                continue
            steps = [step for step in counted if step.signature.op in OPS and predicted(prices, step)]
            expected, taken = (sum(predicted(prices, step) for step in steps), sum(step.instructions for step in steps))
            large = [step for step in steps if step.instructions > LAYER]
            errors.layers.extend(math.log(step.instructions / predicted(prices, step)) for step in large)
            errors.networks.append(math.log(taken / expected))
            equal = "" if run.is_equal else "; its bytes are not the executor's"
            print(f"{name}: {taken / 1e6:.2f} M instructions, {expected / taken - 1:+.1%}{equal}", flush=True)
    tell(errors)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--corpus", type=Path, help="folder of real networks to count too")
    asked.add_argument("--networks", type=int, help="only so many; writes nothing")
    asked.add_argument(
        "--judge", type=int, metavar="N", help="draw so many networks, and hold the package against them"
    )
    asked.add_argument("--seed", type=int, default=1, help="of that draw")
    options = asked.parse_args()
    if options.judge is not None:
        judge(drawn_networks(options.seed, options.judge))
        return
    runs: list[EmulatedNetwork] = []
    steps: list[Counted] = []
    with tempfile.TemporaryDirectory() as made:
        plugin = built_plugin(Path(made))
        for number, (name, model, spec) in enumerate([*jobs(options.corpus)][: options.networks]):
            try:
                run, counted = measured(name, model, spec, plugin, Path(made) / str(number))
            except (McusimError, RuntimeError) as error:
                print(f"{name}, {spec}: left out: {error}")
                continue
            runs.append(run)
            steps += [step for step in counted if step.signature.op in OPS]
            print(run, flush=True)
    errors = left_out(steps)
    tell(errors)
    if options.networks is None:
        (DATA / "emulated.json").write_text(json.dumps(fit_document(steps, errors), indent=1) + "\n")
        shown = [
            msgspec.structs.asdict(run)
            for run in runs
            if run.network in SHOWN and run.schedule in ("layer", *CUT.get(run.network, ()))
        ]
        (DATA / "emulated_networks.json").write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    main()
