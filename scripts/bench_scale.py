"""How time and memory grow with the nodes of a network: chains, and fan-outs whose readers are summed up.

Each measurement is a process of its own, so that its memory is its own. A growth of 1 is linear; n log n is 1.1.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mcusim import execute
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.signatures import attributes_for
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph
from mcusim.memory.planning import plan_memory
from mcusim.searching import search
from mcusim.simulation.simulate import simulate

__all__ = ["bench_scale"]

BOARD = "stm32h743"
NODES = (1000, 2000, 5000, 10_000, 20_000)
SECONDS_ENOUGH = 60.0
"""Larger networks are left out once one takes so long."""


def chain(nodes: int) -> Graph:
    """So many convolutions and activations, one after the other."""
    builder = GraphBuilder(f"chain of {nodes}")
    x = builder.input((1, 8, 8, 4))
    for index in range(nodes):
        x = builder.op("RELU", (x,)) if index % 2 else builder.conv_2d(x, 4, 1)
    return builder.build([x])


def fan_out(nodes: int) -> Graph:
    """One tensor with half as many readers, whose outputs are all kept until they are summed up."""
    builder = GraphBuilder(f"fan-out of {nodes}")
    source = total = builder.op("RELU", (builder.input((1, 8, 8, 4)),))
    for branch in [builder.op("RELU", (source,)) for _ in range(nodes // 2)]:
        total = builder.op("ADD", (total, branch))
    return builder.build([total])


def joined(nodes: int) -> Graph:
    """One operator with as many inputs."""
    builder = GraphBuilder(f"{nodes} joined")
    source = builder.op("RELU", (builder.input((1, 8, 8, 4)),))
    branches = [builder.op("RELU", (source,)) for _ in range(nodes)]
    return builder.build([builder.op("CONCATENATION", branches, attributes_for("CONCATENATION", (("axis", 3),)))])


SHAPES: dict[str, Callable[[int], Graph]] = {"chain": chain, "fan-out": fan_out, "joined": joined}


def _load(graph: Graph) -> None:
    parse_tflite(write_tflite(with_seeded_weights(graph)), name="scale", where="scale")


def _execute(graph: Graph) -> None:
    execute(with_seeded_weights(graph), [np.zeros((1, 8, 8, 4), np.int8)])


WORK: dict[str, Callable[[Graph], Any]] = {
    "load": _load,
    "run": lambda graph: simulate(graph, profile=BOARD, runtime="tinyengine"),
    "plan": lambda graph: plan_memory(graph, "tflm"),
    "patch": lambda graph: search(graph, profile=BOARD),
    "exec": _execute,
}


def bench_scale() -> None:
    """One line a network and command."""
    for shape, make in SHAPES.items():
        for name, work in WORK.items():
            before: tuple[int, float] | None = None
            for nodes in NODES:
                seconds, peak_mib = _measured(make, work, nodes)
                grown = math.log(seconds / before[1]) / math.log(nodes / before[0]) if before else math.nan
                growth = f"growth {grown:4.2f}" if before else ""
                took = f"{seconds:8.2f} s {peak_mib:7,.0f} MiB"
                print(f"   {name:6} {shape:8} {nodes:6,} nodes {took}  {growth}", flush=True)
                before = nodes, seconds
                if seconds > SECONDS_ENOUGH:
                    break


def _measured(make: Callable[[int], Graph], work: Callable[[Graph], Any], nodes: int) -> tuple[float, float]:
    """Seconds of processor time, and MiB that the process grew by at most."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        graph = make(nodes)
        at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        work(graph)
        seconds = time.process_time() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_first
        os.write(writer, f"{seconds} {grown / 1024}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    if status or not told:
        sys.exit(f"a measurement ended with status {status}")
    seconds, peak_mib = map(float, told.split())
    return max(seconds, 1e-3), peak_mib
