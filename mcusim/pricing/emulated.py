"""What mcusim's own C kernels take: counted in emulation, layer by layer, never yet on a board.

A kernel's instructions are a sum: so many for each multiply-accumulate, for each output, for each element that is laid
out before it is used, for each call. `kernel_loops.py` says how many of each a signature asks for, and
`firmware/data/emulated.json` what each costs. It was fitted to the executed instructions of a pinned compiler
(`scripts/measure_firmware.py`), and to the cycles that the published instruction timings of a Cortex-M4 give for them,
with memory that answers at once.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources
from math import exp, hypot, log
from typing import NamedTuple

import msgspec

from mcusim.boards.board import Board
from mcusim.graph import Signature
from mcusim.ops import OPS
from mcusim.ops.registry import Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.pricing.cycles import Cause
from mcusim.pricing.efforts import EffortModel, Parts, WorkRates
from mcusim.pricing.kernel_loops import amounts_of
from mcusim.pricing.physics import physics, wait_factor

__all__ = [
    "EMULATED_FAMILY",
    "Emulation",
    "emulated_model",
    "emulated_prices",
    "emulation",
    "instructions_of",
]

EMULATED_FAMILY = "mcusim"
"""The price family of the runtime whose kernels these are."""

_CAUSES = {
    **dict.fromkeys(("mac", "pair", "block"), Cause.COMPUTE),
    "output": Cause.STORE,
    **dict.fromkeys(("call", "four", "weight"), Cause.OVERHEAD),
}


class InstructionPrice(msgspec.Struct, frozen=True):
    """Of one unit of an effort."""

    instructions: float
    cycles: float


class Emulation(msgspec.Struct, frozen=True):
    """What was fitted.   prices: by effort.   other: of efforts that no measured network needed, by their last word.

    layer_spread, network_spread: standard deviation of the logarithm of counted over predicted instructions, on
    networks that were left out of the fit.   compiler: of the code that was counted.
    """

    prices: dict[str, InstructionPrice]
    other: dict[str, InstructionPrice]
    layer_spread: float
    network_spread: float
    networks: int
    compiler: str


@cache
def emulation() -> Emulation:
    """The package's fit."""
    content = resources.files("mcusim.firmware").joinpath("data", "emulated.json").read_bytes()
    return msgspec.json.decode(content, type=Emulation)


def cause_of(effort: str) -> Cause:
    """What an effort's cycles are spent on: its name's last word says so."""
    return _CAUSES.get(effort.rpartition("_")[2], Cause.MEMORY)


class EmulatedPrices(NamedTuple):
    """On a board.   cycles: of one unit of each effort, in the order of `effort_names`.   spread: of the logarithm of
    a network's cycles.   evidence: what stands behind them.
    """

    cycles: tuple[float, ...]
    spread: float
    evidence: str


@cache
def effort_names() -> tuple[str, ...]:
    """Those that were counted, then those that stand for what was not."""
    measured = emulation()
    return (*measured.prices, *(f"other_{word}" for word in measured.other))


@cache
def _places() -> dict[str, int]:
    return {name: place for place, name in enumerate(effort_names())}


def _place(effort: str) -> int:
    """Of an effort; what nobody counted is priced as its like, and what has no like as an input that is read."""
    places = _places()
    for name in (effort, f"other_{effort.rpartition('_')[2]}", "other_input"):
        if name in places:
            return places[name]
    raise KeyError(effort)


def _price(effort: str) -> InstructionPrice:
    measured = emulation()
    return measured.prices[effort] if effort in measured.prices else measured.other[effort.removeprefix("other_")]


def emulated_prices(board: Board) -> EmulatedPrices:
    """A Cortex-M4's cycles, times the core's own speed and the flash's wait states (assumption A21)."""
    shift, spread = physics().core[board.core]
    factor = exp(shift) * wait_factor(board)
    evidence = f"{EMULATED_FAMILY}'s kernels were counted in emulation ({emulation().compiler}), and no board has "
    evidence += "confirmed their times yet"
    # Three sources of doubt that know nothing of each other: the core's factor, the fit itself, the wait states.
    total = hypot(spread, emulation().network_spread, log(wait_factor(board)) / 2)
    return EmulatedPrices(tuple([_price(name).cycles * factor for name in effort_names()]), total, evidence)


@cache
def emulated_model() -> EffortModel:
    """How the work of mcusim's kernels is taken apart."""
    return EffortModel(tuple([cause_of(name) for name in effort_names()]), _parts, _rates)


def _parts(call: Signature, work: Work) -> Parts:
    # The measured efforts count by place of the output; work is counted in elements of it.
    amounts, per_place = amounts_of(call), _outputs_of_a_place(call)
    places = work.outputs / per_place if per_place else 0.0
    parts = [(_place(name), amount * places) for name, amount in amounts.a_place]
    parts += [(_place(name), amount * work.calls) for name, amount in amounts.a_call]
    return tuple([pair for pair in parts if pair[1]])


def _rates(cycles: tuple[float, ...], call: Signature, work: Work) -> WorkRates:
    amounts, per_place = amounts_of(call), _outputs_of_a_place(call)
    a_place = sum([amount * cycles[_place(name)] for name, amount in amounts.a_place])
    entry = sum([amount * cycles[_place(name)] for name, amount in amounts.a_call])
    return WorkRates(0.0, a_place / per_place if per_place else 0.0, 0.0, entry)


def instructions_of(call: Signature, work: Work) -> float:
    """Executed instructions of some work of a node, on a Cortex-M4."""
    names = effort_names()
    return sum([amount * _price(names[place]).instructions for place, amount in _parts(call, work)])


@lru_cache(SIGNATURES_KEPT)
def _outputs_of_a_place(call: Signature) -> int:
    op = OPS.get(call.op)
    return op.work(call, 1, 1, 0).outputs if op is not None and call.outputs else 0
