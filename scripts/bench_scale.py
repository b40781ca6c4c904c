"""How time and memory grow with the nodes of a network: chains, and fan-outs whose readers are summed up.

Each measurement is a process of its own with one thread, so that its memory and time are its own. Growth is that from
the last but one number of nodes to the last: 1 is linear, n log n is 1.1.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

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


def _file_of(graph: Graph) -> bytes:
    return write_tflite(with_seeded_weights(graph))


class Work(NamedTuple):
    """prepare: what is done with the network before anything is measured.   measured: is given what that returns."""

    prepare: Callable[[Graph], Any]
    measured: Callable[[Any], Any]


WORK: dict[str, Work] = {
    "load": Work(_file_of, lambda content: parse_tflite(content, name="scale", where="scale")),
    "write": Work(with_seeded_weights, write_tflite),
    "run": Work(lambda graph: graph, lambda graph: simulate(graph, profile=BOARD, runtime="tinyengine")),
    "plan": Work(lambda graph: graph, lambda graph: plan_memory(graph, "tflm")),
    "patch": Work(lambda graph: graph, lambda graph: search(graph, profile=BOARD)),
    "exec": Work(with_seeded_weights, lambda graph: execute(graph, [np.zeros((1, 8, 8, 4), np.int8)])),
}


def bench_scale() -> None:
    """A table: a line a network and command, seconds for each number of nodes, growth and memory of the last two."""
    heads = "".join(f"{nodes:>10,}" for nodes in NODES)
    print(f"   {'nodes':16}{heads}   growth       MiB")
    for shape, make in SHAPES.items():
        for name, work in WORK.items():
            print(f"   {name:6} {shape:9}", end="", flush=True)
            measured: list[tuple[int, float, float]] = []
            for nodes in NODES:
                measured.append((nodes, *_measured(make, work, nodes)))
                print(f"{measured[-1][1]:8.2f} s", end="", flush=True)
                if measured[-1][1] > SECONDS_ENOUGH:
                    break
            (few, quick, _), (many, slow, peak_mib) = measured[-2:] if len(measured) > 1 else measured * 2
            growth = math.log(slow / quick) / math.log(many / few) if many > few else math.nan
            print(f"{'' if len(measured) == len(NODES) else ' and more':>{10 * (len(NODES) - len(measured))}}", end="")
            print(f"{growth:9.2f}{peak_mib:10,.0f}", flush=True)


def _measured(make: Callable[[int], Graph], work: Work, nodes: int) -> tuple[float, float]:
    """Seconds of processor time, and MiB that the process grew by at most."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        given = work.prepare(make(nodes))
        at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        work.measured(given)
        seconds = time.process_time() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_first
        os.write(writer, f"{seconds} {grown / 1024}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    if status or not answer:
        sys.exit(f"a measurement ended with status {status}")
    seconds, peak_mib = map(float, answer.split())
    return max(seconds, 1e-3), peak_mib
