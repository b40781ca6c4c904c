#!/usr/bin/env python3
"""What mcusim predicts, the firmware is: networks x schedules x cores, built from the generated C and emulated.

    scripts/prove_firmware                 a seeded sample of 12 of the matrix
    scripts/prove_firmware --all           all of it (an hour on two cores)
    scripts/prove_firmware --only mcunet-vww1 --schedule stream:1@10

Of each row: every step's bytes equal the executor's; `.data` and `.bss` of the network equal the predicted SRAM; the
constant arrays equal the predicted weights and tables. Exit code 1 where one of them does not.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "tests")]

from drafts import inputs_for  # noqa: E402
from lanes import CPU, QemuLane, expected_steps, write_files  # noqa: E402

from mcusim.errors import McusimError  # noqa: E402
from mcusim.report import Report  # noqa: E402
from mcusim.schedule import parse_schedule  # noqa: E402
from mcusim.simulation.emission import codegen, network_of, seeded  # noqa: E402
from mcusim.zoo.loading import load  # noqa: E402

BOARD = "stm32h743"
"""Large enough for every row; what is proved does not depend on it."""
ZOO = (
    "mcunet-in0", "mcunet-vww0", "mcunet-vww1", "mbv2-w0.3-r64", "mbv2-w0.35-r144", "proxyless-w0.25-r112",
    "proxyless-w0.3-r64", "person-det", "smallcifar", "mcunet-in2",
)  # fmt: skip
CORPUS = (
    "mlperf_vww01_mbv1_025_96_int8", "mlperf_ic01_resnet8_int8", "mlperf_kws01_dscnn_int8", "mlperf_ad01_int8",
    "mlperf_sww01_streaming_wakeword_int8", "micronet_vww2", "micronet_kws_large", "mww_v2_okay_nabu",
    "mww_v1_alexa", "tflm_person_detect", "tflm_keyword_scrambled", "tinymaix_cifar10_q", "armzoo_kws_dscnn_l",
)  # fmt: skip
SCHEDULES = ("layer", "patch:2x2@5", "patch:3x3@7", "stream:1@6", "stream:2@9", "patch:2x2@3+stream:2@4")
CORES = ("cortex-m4", "cortex-m7", "cortex-m33")


class Row(NamedTuple):
    """One row of the matrix."""

    network: str
    schedule: str
    core: str


def matrix() -> Iterator[Row]:
    """All rows. Without a corpus, those of the zoo alone."""
    corpus = [str(path) for name in CORPUS if (path := _corpus() / "models" / f"{name}.tflite").is_file()]
    for network, schedule, core in itertools.product([*corpus, *ZOO], SCHEDULES, CORES):
        yield Row(network, schedule, core)


def _corpus() -> Path:
    return Path(os.environ.get("MCUSIM_CORPUS") or REPO.parent / "shared" / "corpus")


def ram_bytes(files: dict[str, str], core: str, name: str) -> int:
    """`.data` and `.bss` of the network's object file."""
    with tempfile.TemporaryDirectory() as where:
        write_files(files, Path(where))
        command = ["arm-none-eabi-gcc", *CPU[core].flags.split(), "-mthumb", "-O2", "-c", f"{name}.c", "-o", "n.o"]
        subprocess.run(command, cwd=where, check=True)
        listed = subprocess.run(
            ["arm-none-eabi-size", "-A", "n.o"], cwd=where, check=True, capture_output=True, text=True
        )
    return sum(int(size) for size in re.findall(r"^\.(?:data|bss)\S* +(\d+)", listed.stdout, re.MULTILINE))


def prove(row: Row) -> tuple[str, Report | None]:
    """What is wrong with a row, "" if nothing; and its report."""
    graph = seeded(load(row.network), 0)
    try:
        made = codegen(graph, profile=BOARD, schedule=row.schedule, name="net")
    except McusimError as error:
        return f"not made: {error.what}", None
    network, _ = network_of(graph, parse_schedule(row.schedule), "net")
    inputs = inputs_for(graph, 0)
    shown = QemuLane(row.core).run(made.files, "net", inputs)
    wanted = [(s, r, c, QemuLane.digest(b)) for s, r, c, b in expected_steps(graph, network.program, inputs)]
    if shown != wanted:
        first = next((pair for pair in zip(shown, wanted, strict=False) if pair[0] != pair[1]), None)
        return f"step {first}", made.report
    ram = ram_bytes(dict(made.files), row.core, "net")
    if ram != made.report.sram.peak_bytes:
        return f"{ram} bytes of RAM, predicted {made.report.sram.peak_bytes}", made.report
    stored = re.search(r"NET_STORED_BYTES (\d+)", made.files["net.h"])
    if stored is None or int(stored[1]) != made.report.flash.model_bytes:
        return f"stored {stored and stored[1]}, predicted {made.report.flash.model_bytes}", made.report
    return "", made.report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every row of the matrix")
    parser.add_argument("--sample", type=int, default=12, metavar="N", help="so many rows, drawn")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw")
    parser.add_argument("--only", metavar="NETWORK", help="one network, a name or a file")
    parser.add_argument("--schedule", metavar="SPEC", help="with --only: one schedule")
    parser.add_argument("--core", choices=CORES, help="one core")
    asked = parser.parse_args()
    if not QemuLane(CORES[0]).is_there:
        return refused("it needs arm-none-eabi-gcc and qemu-system-arm")
    if asked.schedule and not asked.only:
        return refused("--schedule goes with --only NETWORK")
    rows = list(matrix())
    if asked.only:
        try:
            load(asked.only)
            schedules = [str(parse_schedule(asked.schedule))] if asked.schedule else SCHEDULES
        except McusimError as error:
            return refused(str(error))
        rows = [Row(asked.only, s, c) for s in schedules for c in CORES]
    if asked.core:
        rows = [row for row in rows if row.core == asked.core]
    if not asked.all and not asked.only:
        rows = random.Random(asked.seed).sample(rows, min(asked.sample, len(rows)))
    failed = skipped = 0
    print(f"{'network':36} {'schedule':24} {'core':11} {'SRAM':>9} {'stored':>9}  equal")
    for row in rows:
        started = time.monotonic()
        wrong, report = prove(row)
        is_made = not wrong.startswith("not made")
        failed += bool(wrong) and is_made
        skipped += not is_made
        sram, stored = (report.sram.peak_bytes, report.flash.model_bytes) if report is not None else ("", "")
        verdict = wrong or "bytes, RAM, weights"
        shown = Path(row.network).name.removesuffix(".tflite")
        print(
            f"{shown[:36]:36} {row.schedule:24} {row.core:11} {sram:>9} {stored:>9}  {verdict}"
            f" ({time.monotonic() - started:.0f} s)",
            flush=True,
        )
    made = len(rows) - skipped
    print(f"{made - failed} of {made} rows hold" + (f"; {skipped} were not made" if skipped else ""))
    return 1 if failed else 0 if made else 2


def refused(sentence: str) -> int:
    """Says why there is no answer; the exit code for that."""
    print(f"prove_firmware: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
