"""What mcusim says that TFLM runs, against TFLM: a sample of the variants of one-operator networks.

`scripts/kernel_conditions.py` asks all of them. MCUSIM_VARIANTS: how many here.
"""

from __future__ import annotations

import os
import random

import pytest

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from kernel_conditions import all_variants, disagreement, tried
from operator_lines import networks
from tflm_judge import Question, judge

from mcusim.runtimes.tflm_conditions import TFLM_CONDITIONS

WITHOUT_LINES = frozenset({"READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "IF", "WHILE", "CUSTOM:TFLM_DECODE"})
"""Operators that take more than one operator to be tried: subgraphs and variables (`test_subgraphs.py`)."""


def test_every_operator_has_a_line_and_each_line_runs() -> None:
    """A variant of what does not run says nothing."""
    assert set(networks()) == set(TFLM_CONDITIONS) - WITHOUT_LINES
    found = [network for each in networks().values() for network in each]
    questions = [Question(network.content(), network.feeds()) for network in found]
    for network, answer in zip(found, judge(questions), strict=True):
        assert answer.runs, (network.label, answer.said)


def test_a_sample_of_variants_runs_where_mcusim_says_so() -> None:
    every = all_variants()
    chosen = random.Random(20261130).sample(every, int(os.environ.get("MCUSIM_VARIANTS", "600")))
    told = [f"{trial.variant.network.label}: {said}" for trial in tried(chosen) if (said := disagreement(trial))]
    assert not told, "\n".join(told)
