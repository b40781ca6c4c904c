"""How fast mcusim is, measured in one run beside what people would otherwise use. Prints; asserts nothing.

scripts/bench                 all of it
scripts/bench start           the command line, from the prompt back to the prompt
scripts/bench simulate        whole Reports a second, on a stream of networks no two of which are alike
scripts/bench exec            calls of int8 networks, real and seeded, beside LiteRT's kernels, on one core
scripts/bench search          the front of all schedules of a network, beside lowering each of them
scripts/bench scale           time and memory on chains and fan-outs of 1,000 to 20,000 nodes
scripts/bench firmware        instructions of the generated C, counted in emulation, beside CMSIS-NN's
scripts/bench sweep           answers of sweeps beside bare Reports, over cores and over Dask workers
scripts/bench plan            arenas: each runtime's own plan beside the proved optimum, and the time both take
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module, resources
from pathlib import Path
from typing import Any, TypeVar

from bench_exec import bench_exec
from bench_firmware import bench_firmware
from bench_scale import bench_scale
from bench_search import bench_search
from bench_sweep import bench_sweep

from mcusim import zoo
from mcusim.errors import McusimError
from mcusim.frontends.description import graph_from_dict
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.planners import peak_bytes, plan_optimal
from mcusim.program import Buffer
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER
from mcusim.simulation.simulate import simulate
from mcusim.zoo.loading import load

BOARD = "stm32h743"
WARM_UP_CALLS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[[], *BENCHES], metavar="|".join(BENCHES))
    for name in parser.parse_args().what or list(BENCHES):
        print(f"== {name}")
        BENCHES[name]()


def bench_start() -> None:
    """Wall time of whole commands, each the median of several after one to warm the file cache."""
    command = str(Path(sys.executable).parent / "mcusim")
    bare = _seconds([sys.executable, "-c", "pass"])
    print(f"   python -c pass                                  {bare:6.3f} s")
    for arguments in ("--help", f"run mcunet-in3 --profile {BOARD}", "run --profile stm32f412 --json -"):
        taken = _seconds([command, *arguments.split()])
        print(f"   mcusim {arguments:<40} {taken:6.3f} s  ({taken / bare:.1f} x python alone)")


def _seconds(command: list[str], times: int = 7) -> float:
    def run() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    run()
    return statistics.median(run() for _ in range(times))


def bench_simulate(networks: int = 600) -> None:
    """Whole Reports a second on one core, for seeded mutations of mcunet-in2, built before the clock starts."""
    for runtime in ("tinyengine", "tflm"):
        stream = mutations(seed=2024)
        for graph in (next(stream) for _ in range(WARM_UP_CALLS)):
            simulate(graph, profile=BOARD, runtime=runtime)
        graphs = [next(stream) for _ in range(networks)]
        start = time.perf_counter()
        for graph in graphs:
            simulate(graph, profile=BOARD, runtime=runtime)
        per_second = networks / (time.perf_counter() - start)
        nodes = statistics.mean(len(graph.nodes) for graph in graphs)
        print(
            f"   {runtime:<12} {per_second:7.0f} Reports a second  ({networks} distinct networks of {nodes:.0f} nodes)"
        )
        if runtime == "tflm":
            _beside_the_interpreter(graphs[:20], per_second)


def _beside_the_interpreter(graphs: list[Graph], per_second: float) -> None:
    """The only other way to an exact arena size: write a file and let TFLM's interpreter allocate it."""
    try:
        interpreter = import_module("tflite_micro.python.tflite_micro.runtime").Interpreter
    except ImportError:
        print("   (tflite-micro is not installed: nothing to compare with)")
        return
    from mcusim.frontends.synthesis import with_seeded_weights

    files = [write_tflite(with_seeded_weights(graph)) for graph in graphs]
    start = time.perf_counter()
    for content in files:
        interpreter.from_bytes(content, arena_size=4 << 20)
    taken = len(files) / (time.perf_counter() - start)
    print(f"   tflite-micro {taken:7.0f} allocations a second from files written before: {per_second / taken:.1f} x")


def mutations(seed: int) -> Iterator[Graph]:
    """Distinct networks, each a few random changes away from mcunet-in2."""
    text = resources.files("mcusim").joinpath("zoo", "networks", "mcunet-in2.toml").read_text(encoding="utf-8")
    parent = tomllib.loads(text)["network"]
    draw = random.Random(seed)
    seen: set[str] = set()
    while True:
        child = _mutate(parent, draw)
        if str(child) not in seen:
            seen.add(str(child))
            yield graph_from_dict(child)


def _mutate(parent: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    side = draw.choice(range(96, 192, 16))
    layers = [dict(layer) for layer in parent["layers"]]
    for layer in layers:
        if layer["op"] == "mbconv" and layer.get("expand", 1) > 1:
            layer["kernel"], layer["expand"] = draw.choice((3, 5, 7)), draw.choice((3, 4, 5, 6))
    return {**parent, "input": [side, side, 3], "layers": layers}


def bench_plan() -> None:
    """Greedy and minimal plans of the corpus and the zoo; networks whose greedy plan is minimal are only counted."""
    networks = [*_corpus(), *map(load, zoo.names())]
    for name in ("tflm", "tinyengine"):
        runtime = find_runtime(name)
        minimal, slowest_ms, unproved = 0, 0.0, 0
        for graph in networks:
            buffers = lower(graph, LAYER, runtime.rules).buffers
            greedy, greedy_ms = _timed(runtime.planner, buffers)
            best, best_ms = _timed(plan_optimal, buffers)
            greedy_bytes = peak_bytes(buffers, greedy)
            slowest_ms, unproved = max(slowest_ms, best_ms), unproved + (not best.proved)
            minimal += best.proved and greedy_bytes == best.arena_bytes
            if greedy_bytes != best.arena_bytes or not best.proved or graph.name == "mcunet-in3":
                proof = "proved" if best.proved else f"gap {best.gap:.1%}"
                print(
                    f"   {name:<11} {graph.name:<30} greedy {greedy_bytes:9,} B {greedy_ms:5.2f} ms   "
                    f"best {best.arena_bytes:9,} B {best_ms:5.2f} ms  {proof} ({best.method})"
                )
        print(
            f"   {name:<11} {len(networks)} networks: greedy is minimal on {minimal}, {unproved} unproved, "
            f"slowest optimum {slowest_ms:.1f} ms"
        )


T = TypeVar("T")


def _timed(planner: Callable[[Sequence[Buffer]], T], buffers: Sequence[Buffer], times: int = 5) -> tuple[T, float]:
    """The plan and the median milliseconds that it takes."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        plan = planner(buffers)
        taken.append((time.perf_counter() - start) * 1e3)
    return plan, statistics.median(taken)


def _corpus() -> Iterator[Graph]:
    """Networks of the corpus, where there is one; what does not read is said and left out."""
    folder = Path(os.environ.get("MCUSIM_CORPUS") or Path(__file__).resolve().parents[2] / "shared" / "corpus")
    paths = sorted((folder / "models").glob("*.tflite"))
    if not paths:
        print("   no corpus here ($MCUSIM_CORPUS, or shared/corpus beside the clone): the zoo's networks only")
    for path in paths:
        try:
            yield replace(load(path), name=path.stem)
        except McusimError as error:
            print(f"   left out: {error.where}: {error.what}")


BENCHES: dict[str, Callable[[], None]] = {
    "start": bench_start,
    "simulate": bench_simulate,
    "exec": bench_exec,
    "search": bench_search,
    "plan": bench_plan,
    "scale": bench_scale,
    "sweep": bench_sweep,
    "firmware": bench_firmware,
}

if __name__ == "__main__":
    main()
