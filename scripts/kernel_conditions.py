"""Asks TFLM about variants of one-operator networks: runs or not, head bytes, output bytes, beside what mcusim says.

    scripts/kernel_conditions.py                 all of them: some 78,000, fifteen minutes of one core
    scripts/kernel_conditions.py PAD CONV_2D     those of some operators
    scripts/kernel_conditions.py --sample 1000   so many of all, drawn from a seed
    scripts/kernel_conditions.py --mixed 1000    so many with up to three changes at once
    scripts/kernel_conditions.py --idle          each in a subgraph that nothing enters: set up, and never run

It prints a table, then every disagreement, and exits with 1 if there is one. A variant that mcusim's reader does not
take (operands that contradict each other) is counted apart. Where TFLM dies, mcusim has to refuse.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from one_operator import Network, Operator, tensor
from operator_catalogue import OPERATORS, about
from operator_lines import networks
from operator_variants import mixtures, variants
from tflm_judge import Answer, Outcome, Question, judge

from mcusim import execute
from mcusim.errors import McusimError
from mcusim.frontends.tflite import parse_tflite
from mcusim.lowering.lower import lower
from mcusim.memory.placement import place
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.refusals import cannot_start, missing_nodes
from mcusim.runtimes.tflm import with_pointer_bits
from mcusim.schedule import LAYER

__all__ = ["Said", "Trial", "Variant", "all_mixtures", "all_variants", "disagreement", "idle", "other_bytes", "tried"]

TFLM = with_pointer_bits(RUNTIMES["tflm"], 64)

DELIBERATE = MappingProxyType(
    {
        ("SPACE_TO_BATCH_ND", "types"): "block shape and paddings are read as int32, whatever they are",
        ("BATCH_TO_SPACE_ND", "types"): "block shape and crops are read as int32, whatever they are",
        ("STRIDED_SLICE", "types"): "begin is read as int32, whatever it is",
        ("TRANSPOSE", "types"): "the permutation is read as int32, whatever it is",
        ("SLICE", "types"): "sizes are read as begins are, whatever they are",
        ("CUSTOM:TFLite_Detection_PostProcess", "types"): "anchors are read as float32, whatever they are",
        ("SPLIT", "types"): "the axis is read as int32, whatever it is",
        ("SPLIT_V", "types"): "the axis is read as int32, whatever it is",
        ("PAD", "types"): "paddings are read as int32, whatever they are",
        ("PADV2", "types"): "paddings are read as int32, whatever they are",
        ("MIRROR_PAD", "types"): "paddings are read as int32 or int64, and of another type as nothing",
    }
)
"""Where TFLM runs on bytes that mean something else, and mcusim refuses: (operator, kind of variant) -> why."""

MEANINGLESS = ("TFLM writes past the end", "by scales that nothing sets", "and the kernel needs one above 0")
"""Refusals of what TFLM may go through all the same, with answers that mean nothing, or over memory of others."""

DATA = MappingProxyType(
    {
        ("VAR_HANDLE", "options"): "the wheel itself, not TFLM, looks for its options",
        ("FLOOR_DIV", "constants"): "a variable divisor holds 0",
        ("RSQRT", "quantisation"): "what is fed is negative",
        ("EMBEDDING_LOOKUP", "constants"): "made-up positions point outside",
        ("GATHER_ND", "ranks"): "what is fed points outside",
        ("SPACE_TO_BATCH_ND", "constants"): "a variable block shape holds 0",
        ("BATCH_TO_SPACE_ND", "constants"): "a variable block shape holds 0",
        ("BROADCAST_ARGS", "constants"): "made-up shapes do not broadcast",
        ("CUSTOM:TFLite_Detection_PostProcess", "constants"): "anchors at run time are made of what is fed",
        ("CUSTOM:SignalRfft", "types"): "an option repeats the type, and mcusim does not read it",
        ("CUSTOM:SignalIrfft", "types"): "an option repeats the type, and mcusim does not read it",
        ("CUSTOM:SignalOverlapAdd", "types"): "an option repeats the type, and mcusim does not read it",
        ("CUSTOM:TFLite_Detection_PostProcess", "types"): "boxes are made of what is fed",
    }
)
"""Where it depends on elements whether TFLM goes through: (operator, kind of variant) -> why."""


MOST_OUTPUTS = 8
AT_ONCE = 1000
"""So many files are held at a time."""


class Said(StrEnum):
    """What mcusim says."""

    RUNS = "runs"
    REFUSED = "refused"
    NOT_READ = "not read"


class Variant(NamedTuple):
    """op: its operator.   kind: what varies."""

    op: str
    kind: str
    network: Network


class Trial(NamedTuple):
    """A variant, what TFLM and mcusim make of it. why: mcusim's reason.   head_bytes: as mcusim plans them."""

    variant: Variant
    answer: Answer
    said: Said
    why: str
    head_bytes: int
    is_mixed: bool = False


def all_variants(ops: Sequence[str] = ()) -> list[Variant]:
    """Every variant of the networks of some operators, or of all."""
    return [
        Variant(op, kind, variant)
        for op, each in networks().items()
        if not ops or op in ops
        for network in each
        for kind, variant in variants(network)
    ]


def idle(variant: Variant) -> Variant:
    """The same network in a subgraph that nothing enters, beside one that runs."""
    floats = tensor((1, 4), "float32")
    runs = Operator("RELU", (0,), (1,))
    label = f"{variant.network.label}  (entered by nobody)"
    body = replace(variant.network, label="")
    return variant._replace(network=Network(label, (floats, floats), (runs,), outputs=(1,), bodies=(body,)))


REDUCERS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL", "REDUCE_ANY"})

NOBODYS = frozenset({"SignalFramer", "SignalStacker", "SignalEnergy", "SPACE_TO_BATCH_ND", "STRIDED_SLICE"})
"""Operators that answer with memory that nothing has set, for some options."""


def all_mixtures(count: int, seed: int, ops: Sequence[str] = ()) -> list[Variant]:
    """So many networks with several changes, of the lines and of the catalogue."""
    bases: dict[str, list[Network]] = {op: list(each) for op, each in networks().items()}
    for name in OPERATORS:
        for network in about(name):
            custom = network.operators[0].custom
            bases.setdefault(f"CUSTOM:{custom}" if custom else name, []).append(network)
    wanted = {op: each for op, each in bases.items() if not ops or op in ops}
    return [Variant(*mixture) for mixture in mixtures(wanted, count, seed)]


def other_bytes(trial: Trial) -> str | None:
    """In what mcusim's own execution differs from TFLM's outputs; "" where it equals, None where one gives none."""
    network, answer = trial.variant.network, trial.answer
    is_known = answer.runs and answer.is_fed and trial.variant.op.removeprefix("CUSTOM:") not in NOBODYS
    if trial.said is not Said.RUNS or not is_known:
        return None
    try:
        content = replace(network, label="").content()  # as judged: TFLM may read what lies behind a constant
        graph = parse_tflite(content, name="variant", where="variant")
        results = execute(graph, _feeds(network))
    except McusimError:
        return None
    for number, (ours, theirs) in enumerate(zip(results, answer.outputs, strict=False)):
        if graph.tensors[graph.outputs[number]].dtype.is_packed:  # the wheel hands out something else
            continue
        differing = int(((ours != theirs) & ~((ours != ours) & (theirs != theirs))).sum())
        if differing:
            return f"output {number}: {differing} of {ours.size} elements differ"
    return ""


def tried(chosen: Sequence[Variant], *, is_mixed: bool = False) -> Iterator[Trial]:
    """Ask TFLM and mcusim about each variant; about one file once."""
    seen: set[int] = set()
    for start in range(0, len(chosen), AT_ONCE):
        asked: list[tuple[Variant, Question]] = []
        for variant in chosen[start : start + AT_ONCE]:
            content = replace(variant.network, label="").content()
            if hash(content) not in seen:
                seen.add(hash(content))
                asked.append((variant, Question(content, _feeds(variant.network))))
        answers = judge([question for _, question in asked], MOST_OUTPUTS)
        for (variant, question), answer in zip(asked, answers, strict=True):
            yield Trial(variant, answer, *_said(question.content), is_mixed)


def _feeds(network: Network) -> Sequence[NDArray[np.generic]]:
    """Elements for its inputs; none where numpy has no such type, and TFLM runs on what lies there."""
    try:
        return network.feeds()
    except (TypeError, ValueError):
        return ()


def _said(content: bytes) -> tuple[Said, str, int]:
    try:
        program = lower(parse_tflite(content, name="variant", where="variant"), LAYER, TFLM.rules)
        reasons = [*(refused.why for refused in missing_nodes(program, TFLM)), *cannot_start(program, TFLM)]
    except McusimError as error:
        return Said.NOT_READ, error.what, 0
    if reasons:
        return Said.REFUSED, reasons[0], 0
    return Said.RUNS, "", place(program, TFLM.planner).arena_bytes


def disagreement(trial: Trial) -> str:
    """In what mcusim and TFLM differ; "" if they do not, or ought to."""
    variant, answer, said = trial.variant, trial.answer, trial.said
    places = {(variant.op, kind) for kind in variant.kind.split(" + ")}
    if said is Said.NOT_READ or (places & set(DATA) and said is Said.RUNS):
        return ""
    if trial.is_mixed and said is Said.RUNS and not answer.runs:
        if variant.op in {op for op, _ in DATA}:
            return ""  # what is fed is drawn over the whole range there
        if variant.op in REDUCERS and "constants: input 1 at run time" in variant.network.label:
            return ""  # axes are drawn as well, and name no dimension
    if said is Said.REFUSED:
        is_meant = bool(places & set(DELIBERATE)) or any(sentence in trial.why for sentence in MEANINGLESS)
        return f"mcusim refuses: {trial.why}" if answer.runs and not is_meant else ""
    if not answer.runs:
        return f"TFLM: {answer.said.splitlines()[0] if answer.said else answer.outcome}"
    if answer.head_bytes != trial.head_bytes:
        return f"head of {answer.head_bytes} bytes, and {trial.head_bytes} planned"
    return ""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("ops", nargs="*", metavar="OPERATOR")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--mixed", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--idle", action="store_true")
    asked = parser.parse_args(arguments)
    chosen = all_mixtures(asked.mixed, asked.seed, asked.ops) if asked.mixed else all_variants(asked.ops)
    if asked.sample:
        chosen = random.Random(asked.seed).sample(chosen, min(asked.sample, len(chosen)))
    if asked.idle:
        chosen = list(map(idle, chosen))
    counts: Counter[tuple[Said, Outcome]] = Counter()
    differing = compared = 0
    for trial in tried(chosen, is_mixed=bool(asked.mixed)):
        counts[trial.said, trial.answer.outcome] += 1
        bytes_told = other_bytes(trial)
        compared += bytes_told is not None
        difference = disagreement(trial) or bytes_told
        differing += bool(difference)
        if difference:
            print(f"{trial.variant.network.label}\n    {difference}")
    print(f"{sum(counts.values()):,} variants, {differing} disagreements; outputs of {compared:,} compared")
    for (said, outcome), count in sorted(counts.items()):
        print(f"  mcusim: {said:9} TFLM: {outcome:14} {count:7,}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
