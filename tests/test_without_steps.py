"""Networks in which nothing computes: inputs that are outputs at once, and operators that only relabel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from one_operator import Network, Operand, Operator, constant

import mcusim
from mcusim.frontends.tflite import parse_tflite

COMMANDS = (
    ("run", "--profile", "stm32h743", "--html", "report.html"),
    ("fit", "--profile", "stm32h743"),
    ("patch", "--profile", "stm32h743"),
    ("plan",),
    ("plan", "--runtime", "tflm", "--json", "-"),
    ("plan", "--csv", "plan.csv"),
    ("plan", "--emit", "header", "plan.h"),
    ("bits", "--profile", "stm32h743"),
    ("ops",),
    ("export", "again.tflite"),
    ("exec", "--seed", "1", "--input", "random"),
)


def empty() -> Network:
    """Its input is its output."""
    return Network("empty", (Operand((1, 4, 4, 2)),), (), (0,), (), (0,))


def relabelling() -> Network:
    operands = (Operand((1, 4, 4, 2)), constant(np.array([1, 32]), "int32"), Operand((1, 32)))
    return Network("relabelling", operands, (Operator("RESHAPE", (0, 1), (2,)),), (2,), (), (0,))


@pytest.mark.parametrize("network", [empty(), relabelling()], ids=["empty", "relabelling"])
class TestWithoutSteps:
    @pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
    def test_every_command_answers(self, network: Network, words: tuple[str, ...], elsewhere: None) -> None:
        Path("net.tflite").write_bytes(network.content())
        command, *rest = words
        code, _, error = run(command, "net.tflite", *rest)
        assert code == 0, error

    def test_what_comes_in_goes_out(self, network: Network) -> None:
        graph = parse_tflite(network.content(), name="n", where="n")
        array = np.arange(32, dtype=np.int8).reshape(1, 4, 4, 2)
        [answer] = mcusim.execute(graph, array)
        np.testing.assert_array_equal(answer.reshape(-1), array.reshape(-1))
