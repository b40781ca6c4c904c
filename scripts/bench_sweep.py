"""How fast sweeps are: beside bare `simulate`, over cores, over Dask workers; and how many answers `auto` gives.

All ratios are of one run on one machine. A network is drawn from a space, so that no file is read; drawing is timed
with both sides. Processor time where one process works, wall time where several do.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcusim.schedule import LAYER
from mcusim.simulation.simulate import report_of
from mcusim.sweeping.answering import answers
from mcusim.sweeping.drawing import DrawnNetwork
from mcusim.sweeping.running import run_sweep
from mcusim.sweeping.spec import Sweep, read_spec
from mcusim.sweeping.store import opened

__all__ = ["bench_sweep"]

SPEC = """
boards = ["stm32f412", "stm32f746", "stm32h743"]
runtimes = ["{runtime}"]
schedules = ["{schedule}"]
space = "mcunet"
sample = {networks}
seed = {seed}
"""
NETWORKS, AUTO_NETWORKS, MANY = 300, 80, 4000
TURNS = 6


def bench_sweep() -> None:
    """Rates of one process, then of several."""
    for runtime, schedule, networks in (
        ("tinyengine", "layer", NETWORKS),
        ("tflm", "layer", NETWORKS),
        ("tinyengine", "auto", AUTO_NETWORKS),
    ):
        with tempfile.TemporaryDirectory() as folder:
            _overhead(Path(folder), runtime, schedule, networks)
    with tempfile.TemporaryDirectory() as folder:
        _cut(Path(folder))
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        alone = _swept(Path(folder), 1, None)
        for count in sorted({2, cores} - {1}):
            if count <= cores:
                times = f"{_swept(Path(folder), count, None) / alone:.2f} x of one"
                print(f"   {count} processes: {times}")
        for count in sorted({1, cores}):
            with _dask(count) as address:
                if address is None:
                    print("   dask.distributed is not installed (extra `dask`): nothing to compare with")
                    break
                times = f"{_swept(Path(folder), count, address) / alone:.2f} x of one process"
                print(f"   {count} Dask workers: {times}")


def _overhead(folder: Path, runtime: str, schedule: str, networks: int) -> None:
    """Answers of a sweep, written as Parquet, beside Reports of the same questions; both in this process."""
    sweep = _spec(folder, runtime, schedule, networks, seed=1)
    drawing, bare = _drawing(sweep), _bare(sweep)  # what layers that are alike cost is found out here
    swept = _in_here(folder / "warm", sweep)
    for turn in range(TURNS):
        drawing, bare = min(drawing, _drawing(sweep)), min(bare, _bare(sweep))
        swept = min(swept, _in_here(folder / str(turn), sweep))
    count = len(sweep)
    print(
        f"   {runtime:<10} {schedule:<5} {count / (bare - drawing):6.0f} Reports a second of networks that are there, "
        f"{count / bare:6.0f} with drawing them, {count / swept:6.0f} in a sweep: {swept / bare:.3f} x the time"
    )


def _cut(folder: Path) -> None:
    """Reports with `auto` of the networks alone that have to be cut, drawn before; the first time, and then."""
    sweep = _spec(folder, "tinyengine", "auto", AUTO_NETWORKS, seed=2)
    cut, first, again = [], 0.0, float("inf")
    for place, network in enumerate(sweep.networks):
        for number in range(place * sweep.each, (place + 1) * sweep.each):
            seconds, schedule = _timed(sweep, network.source, number)
            if schedule != str(LAYER):
                cut.append((network.source, number))
                first += seconds
    for _ in range(TURNS):
        again = min(again, sum(_timed(sweep, source, number)[0] for source, number in cut))
    print(
        f"   auto, {len(cut)} of {len(sweep)} answers that have to be cut: {len(cut) / first:.0f} a second with the "
        f"first use of their layers, {len(cut) / again:.0f} without"
    )


def _timed(sweep: Sweep, source: object, number: int) -> tuple[float, str]:
    """Seconds of one Report, and its schedule."""
    assert isinstance(source, DrawnNetwork)
    question = sweep.question(number).about(source.graph())
    began = time.process_time()
    report = report_of(question)
    return time.process_time() - began, report.schedule.spec


def _spec(folder: Path, runtime: str, schedule: str, networks: int, seed: int) -> Sweep:
    path = folder / f"{seed}.toml"
    path.write_text(SPEC.format(runtime=runtime, schedule=schedule, networks=networks, seed=seed), encoding="utf-8")
    return read_spec(path)


def _drawing(sweep: Sweep) -> float:
    began = time.process_time()
    for network in sweep.networks:
        assert isinstance(network.source, DrawnNetwork)
        network.source.graph()
    return time.process_time() - began


def _bare(sweep: Sweep) -> float:
    """Each network drawn once, and a Report of each of its questions."""
    began = time.process_time()
    for place, network in enumerate(sweep.networks):
        assert isinstance(network.source, DrawnNetwork)
        graph = network.source.graph()
        for number in range(place * sweep.each, (place + 1) * sweep.each):
            report_of(sweep.question(number).about(graph))
    return time.process_time() - began


def _in_here(folder: Path, sweep: Sweep) -> float:
    """The work of a sweep, of the workers and of who writes, in one process."""
    began = time.process_time()
    with opened(folder, sweep) as store:
        for part in store.missing():
            store.write(part, answers([sweep.question(number) for number in range(*part)]))
    return time.process_time() - began


def _swept(folder: Path, processes: int, scheduler: str | None) -> float:
    """Answers a second of wall time, the start of the workers not counted: from the first part to the last."""
    times: list[tuple[float, int]] = []
    name = f"{processes} {scheduler or ''}".replace("/", "-")
    run_sweep(
        _spec(folder, "tinyengine", "layer", MANY, seed=4),
        folder / name,
        processes=processes,
        scheduler=scheduler,
        progress=lambda there, _: times.append((time.monotonic(), there)),
    )
    (start, first), (end, last) = times[2 * processes], times[-1]
    rate = (last - first) / (end - start)
    print(f"   {processes} {'Dask workers' if scheduler else 'processes'}: {rate:6.0f} answers a second of wall time")
    return rate


@contextmanager
def _dask(workers: int) -> Iterator[str | None]:
    """The address of a scheduler with so many worker processes of one thread; None where Dask is not installed."""
    try:
        from distributed import LocalCluster
    except ImportError:
        yield None
        return
    cluster: Any = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)  # type: ignore[no-untyped-call]
    with cluster:
        yield cluster.scheduler_address
