"""How a runtime describes itself: whose rules, whose kernels, what it stores.

Each runtime lives in one file of this folder, which ends with `register(Runtime(...))`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.errors import RuntimeNameError, did_you_mean
from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.planners import Planner
from mcusim.report import Basis
from mcusim.schedule import StageKind

__all__ = ["RUNTIMES", "Flash", "Kernel", "LedgerItem", "Persistent", "Runtime", "find_runtime", "register"]


class LedgerItem(NamedTuple):
    """One line of a memory ledger. why: what it is, in a few words."""

    name: str
    size_bytes: int
    why: str


class Persistent(NamedTuple):
    """Bytes that live as long as the runtime does. With a warning, they are a lower bound, and it says why."""

    size_bytes: int
    warning: str = ""


class Flash(NamedTuple):
    """What a runtime stores of a network. None: cannot be known, and `warning` says why."""

    model_bytes: int | None
    code_bytes: int | None
    basis: Basis
    warning: str = ""

    @property
    def total_bytes(self) -> int | None:
        """Model and code together; None where either cannot be known."""
        if self.model_bytes is None or self.code_bytes is None:
            return None
        return self.model_bytes + self.code_bytes


class Kernel(NamedTuple):
    """The function that a node is dispatched to.

    supported: whether the runtime can run it.   why: the property of the shape that sends it there, or what is missing.
    """

    name: str
    supported: bool = True
    why: str = ""


def _nothing_persistent(graph: Graph) -> Persistent:
    return Persistent(0)


def _empty_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """Whose rules and whose kernels.

    version: the release whose rules these are.
    persistent: bytes that live as long as the runtime.   persistent_ledger: the same, itemised; slower.
    flash: what it stores.   flash_ledger: the model's part of it, itemised; slower.
    memory_basis: what stands behind the arena's size.   persistent_basis: behind the persistent bytes.
    cores: where its memory rules hold; empty for everywhere.   reads_offline_plan: from the model file, as TFLM does.
    stages: kinds of stages that it runs; of others a report says what they would need, and warns.
    price_family: whose coefficients price its kernels.   evidence: what the rules were checked against, and where
    that ends.
    """

    name: str
    version: str
    title: str
    rules: LoweringRules
    planner_name: str
    planner: Planner
    kernel: Callable[[Signature], Kernel]
    flash: Callable[[Graph], Flash]
    flash_ledger: Callable[[Graph], tuple[LedgerItem, ...]] = _empty_ledger
    persistent: Callable[[Graph], Persistent] = _nothing_persistent
    persistent_ledger: Callable[[Graph], tuple[LedgerItem, ...]] = _empty_ledger
    memory_basis: Basis
    persistent_basis: Basis
    price_family: str
    evidence: str
    cores: frozenset[str] = frozenset()
    reads_offline_plan: bool = False
    stages: frozenset[StageKind] = frozenset({StageKind.LAYER})

    @property
    def cut_stages(self) -> frozenset[StageKind]:
        """Kinds of stages that it runs in pieces."""
        return self.stages - {StageKind.LAYER}


RUNTIMES: dict[str, Runtime] = {}
"""Every runtime by name. Written only while `mcusim.runtimes` is imported."""


def register(runtime: Runtime) -> Runtime:
    """Add a runtime. Raises RuntimeNameError if the name is taken."""
    if RUNTIMES.setdefault(runtime.name, runtime) is not runtime:
        raise RuntimeNameError("registered twice", where=f"runtime '{runtime.name}'", fix="rename one of them")
    return runtime


def find_runtime(name: str) -> Runtime:
    """The runtime called `NAME` or `NAME@VERSION`. Raises RuntimeNameError for an unknown name or version."""
    base, _, version = name.strip().lower().partition("@")
    runtime = RUNTIMES.get(base)
    if runtime is None:
        raise RuntimeNameError(
            "no such runtime",
            where=f"runtime '{name}'",
            fix=did_you_mean(base, RUNTIMES, listed_by="mcusim runtimes"),
        )
    if version and version != runtime.version:
        raise RuntimeNameError(
            f"no rules for version {version}",
            where=f"runtime '{name}'",
            fix=f"use {base}@{runtime.version}, or {base} for the newest with evidence",
        )
    return runtime
