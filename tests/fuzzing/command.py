"""Hostile networks: structured mutations of small and real ones through everything that mcusim does with a file.

scripts/fuzz                              1,000 cases
scripts/fuzz run --cases 200000 --jobs 2 --seconds 3600 --corpus FOLDER --keep FOLDER
scripts/fuzz run --only 'Signal|LSTM'     networks of these operators alone
scripts/fuzz replay FILE.tflite ...       what a file answers, stage by stage
scripts/fuzz minimise FILE.tflite         the smallest network with the same fault, beside it
scripts/fuzz show --seed 1 NUMBER         write case NUMBER of a run to standard output

A case ends in a result or in one sentence, within 2 s of processor time and 1 GB, inside its memory (guard pages and
red zones around every buffer, arenas that begin with garbage), and with the same bytes by compiled kernels, plain
kernels, schedules, an export, and TFLM itself where it takes the file. What does not is a fault: exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzzing.answers import STAGES, Answer, answer
from fuzzing.minimise import minimised
from fuzzing.mutations import mutated
from fuzzing.pool import Done, run_pool
from fuzzing.seeds import Seeds

STAGE_NAMES = tuple(STAGES)
SHOWN = 400
JUDGE = "judge"
"""A crash in this stage is TFLM's."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(
        do=run, cases=1000, seconds=float("inf"), jobs=1, seed=0, first=0, corpus=None, keep=None, only=""
    )
    parser.set_defaults(no_judge=False)
    kinds = parser.add_subparsers()
    runs = kinds.add_parser("run")
    runs.add_argument("--cases", type=int, default=1000)
    runs.add_argument("--seconds", type=float, default=float("inf"), help="of wall time")
    runs.add_argument("--jobs", type=int, default=1)
    runs.add_argument("--seed", type=int, default=0)
    runs.add_argument("--first", type=int, default=0, help="number of the first case")
    runs.add_argument("--corpus", type=Path, help="folder of real networks, mutated too")
    runs.add_argument("--only", default="", help="networks of one operator, of those that this pattern finds")
    runs.add_argument("--keep", type=Path, help="folder for files with faults")
    runs.add_argument("--no-judge", action="store_true", help="without TFLM")
    for name, do in (("replay", replay), ("minimise", minimise)):
        subparser = kinds.add_parser(name)
        subparser.add_argument("files", nargs="+", type=Path)
        subparser.set_defaults(do=do)
    shows = kinds.add_parser("show")
    shows.add_argument("number", type=int)
    shows.add_argument("--seed", type=int, default=0)
    shows.add_argument("--corpus", type=Path)
    shows.set_defaults(do=show)
    arguments = parser.parse_args()
    return int(arguments.do(arguments))


def case(seeds: Seeds, seed: int, number: int) -> tuple[str, bytes, np.random.Generator]:
    """Where a case comes from, its file, and what is drawn from further on: the same for the same numbers."""
    rng = np.random.default_rng([seed, number])
    source = seeds.draw(rng)
    return source.name, mutated(source.content, rng), rng


def run(arguments: argparse.Namespace) -> int:
    seeds = Seeds(arguments.corpus, arguments.only)
    use_judge = not arguments.no_judge
    _warm_up(use_judge)

    def work(number: int, enter: Callable[[int], None]) -> Answer:
        _, content, rng = case(seeds, arguments.seed, number)
        return answer(content, rng, enter=lambda stage: enter(STAGE_NAMES.index(stage)), use_judge=use_judge)

    tally = Tally(seeds, arguments.seed, arguments.keep)
    ends = time.monotonic() + arguments.seconds
    try:
        for done in run_pool(
            work,
            first=arguments.first,
            jobs=arguments.jobs,
            goes_on=lambda count: count < arguments.cases and time.monotonic() < ends,
        ):
            tally.add(done)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    tally.tell()
    return 1 if tally.faults else 0


def _warm_up(use_judge: bool) -> None:
    """Compile the kernels before anything is timed, and load what is loaded once."""
    rng = np.random.default_rng(0)
    seeds = Seeds(None)
    for _ in range(300):
        answer(seeds.draw(rng).content, rng, use_judge=use_judge)


class Tally:
    """Counts of a run, and its faults, one of each kind."""

    def __init__(self, seeds: Seeds, seed: int, keep: Path | None) -> None:
        self._seeds, self._seed, self._keep = seeds, seed, keep
        self._started = time.monotonic()
        self.cases, self.counts, self.refused = 0, Counter[str](), Counter[str]()
        self.faults, self.judge_crashes = Counter[str](), Counter[str]()

    def add(self, done: Done) -> None:
        self.cases += 1
        if done.crash:
            stage = STAGE_NAMES[int(str(done.outcome))] if int(str(done.outcome)) >= 0 else "mutate"
            if stage == JUDGE:
                self.judge_crashes[done.crash] += 1
            else:
                self._fault(done.number, f"{stage}: {done.crash}", "")
            return
        assert isinstance(done.outcome, Answer | tuple)
        refused, faults, counts = done.outcome
        self.counts.update(counts)
        self.refused.update(list(refused)[:1])
        for kind, details in faults:
            self._fault(done.number, kind, details)

    def _fault(self, number: int, kind: str, details: str) -> None:
        self.faults[kind] += 1
        if self.faults[kind] > 3:
            return
        source, content, _ = case(self._seeds, self._seed, number)
        print(f"case {number} ({source}): {kind}\n    {details[-SHOWN:]}", flush=True)
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
            name = f"{hashlib.sha256(kind.encode()).hexdigest()[:8]}-{source}-{self._seed}-{number}"
            (self._keep / f"{name}.tflite").write_bytes(content)
            (self._keep / f"{name}.json").write_text(json.dumps({"kind": kind, "details": details, "source": source}))

    def tell(self) -> None:
        seconds = time.monotonic() - self._started
        print(f"{self.cases:,} cases of seed {self._seed} in {seconds:,.0f} s")
        for name, count in sorted(self.counts.items()):
            print(f"   {name:28} {count:9,}")
        refusals = ", ".join(f"{name} {count:,}" for name, count in self.refused.most_common())
        print(f"   first refused by             {refusals}")
        print(f"   TFLM itself crashed          {sum(self.judge_crashes.values()):9,}")
        print(f"   faults                       {sum(self.faults.values()):9,} of {len(self.faults)} kinds")
        for kind, count in self.faults.most_common():
            print(f"      {count:7,} x {kind}")


def replay(arguments: argparse.Namespace) -> int:
    _warm_up(True)
    faults = 0
    for path in arguments.files:
        outcome = answer(
            path.read_bytes(), np.random.default_rng(0), enter=lambda stage: print(f"  {stage}", flush=True)
        )
        print(path.name)
        for stage, sentence in outcome.refused.items():
            print(f"  {stage} refuses: {sentence}")
        for kind, details in outcome.faults:
            print(f"  FAULT {kind}\n{details}")
        faults += len(outcome.faults)
    return 1 if faults else 0


def minimise(arguments: argparse.Namespace) -> int:
    _warm_up(True)
    for path in arguments.files:
        kind, content = minimised(path.read_bytes())
        if not kind:
            print(f"{path}: no fault")
            continue
        target = path.with_name(f"{path.stem}-least.tflite")
        target.write_bytes(content)
        print(f"{target}: {len(content)} bytes, {kind}")
    return 0


def show(arguments: argparse.Namespace) -> int:
    _, content, _ = case(Seeds(arguments.corpus), arguments.seed, arguments.number)
    sys.stdout.buffer.write(content)
    return 0
