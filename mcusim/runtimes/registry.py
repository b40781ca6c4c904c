"""How a runtime describes itself: whose rules, whose kernels, what it stores.

Each runtime lives in one file of this folder, which ends with `register(Runtime(...))`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.errors import RuntimeNameError, did_you_mean
from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.planners import Planner
from mcusim.report import Basis
from mcusim.runtimes.conditions import Refusal
from mcusim.schedule import StageKind

__all__ = [
    "RUNTIMES",
    "CodeItem",
    "Flash",
    "Kernel",
    "LedgerItem",
    "Need",
    "Persistent",
    "Runtime",
    "find_runtime",
    "register",
]


class LedgerItem(NamedTuple):
    """One line of a memory ledger. why: what it is, in a few words."""

    name: str
    size_bytes: int
    why: str


class CodeItem(NamedTuple):
    """One line of the code that a network links. name: an operator, or what else takes flash.

    size_bytes: None where nothing tells.   basis: of the size.   why: what it is.   functions: those with names.
    """

    name: str
    size_bytes: int | None
    basis: Basis
    why: str
    functions: Mapping[str, int] = MappingProxyType({})


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
    caveat: what a report must say of figures that rest on it, or "".
    hint: where that property costs time: what would be faster; "" where nothing is known to be.
    is_confirmed: whether it is known that the runtime takes such a node; where it is not, no verdict is given.
    """

    name: str
    supported: bool = True
    why: str = ""
    caveat: str = ""
    hint: str = ""
    is_confirmed: bool = True


def _refuses_nothing(graph: Graph) -> Iterable[Refusal]:
    return ()


class Need(NamedTuple):
    """node: its index.   since: year and month of the release that it needs.   why: what brought it, and where."""

    node: int
    since: str
    why: str


def _needs_nothing(graph: Graph) -> Iterable[Need]:
    return ()


def _nothing_persistent(graph: Graph) -> Persistent:
    return Persistent(0)


def _no_harness(graph: Graph) -> int:
    return 0


def _empty_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    return ()


def _code_untold(graph: Graph) -> tuple[CodeItem, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """Whose rules and whose kernels.

    version: the release whose rules these are.
    persistent: bytes that live as long as the runtime.   persistent_ledger: the same, itemised; slower.
    setup: the bytes of arena without which it does not start, whatever it takes afterwards; None where it needs none.
    harness: what the benchmark adds behind published totals. It is named and not counted.
    flash: what it stores.   flash_ledger: the model's part of it, itemised; slower.   code: the other part, itemised.
    code_error: how far the estimate of the code may be off, as a share of it.
    resolver: the operators that an image must link for a network; None for generated code, which calls functions.
    memory_basis: what stands behind the arena's size.   persistent_basis: behind the persistent bytes.
    cores: where its memory rules hold; empty for everywhere.   reads_offline_plan: from the model file, as TFLM does.
    runs_compiled: files that bring their own operators (`Source.compiled`), placed by the plan in them.
    weight_bits, activation_bits: widths that its kernels take.
    kernel: which function serves a node.   patch_kernel: which serves it in a patch, where that is another.
    refuses: nodes that have a kernel by their signature, and still cannot run: for their scales and zero points, or
    for what stands around them.   prepares: of these nodes, which no inference comes to, those that keep a network
    from being set up; None where nothing is set up.   needs: nodes that need a release not older than one, where
    history tells.
    stages: kinds of stages that it runs; of others a report says what they would need, and warns.
    price_family: whose measurements price its kernels.   evidence: what the rules were checked against, and where
    that ends.
    stack_bytes: what its calls take of the stack at most, beside all else; None where nobody has counted that.
    counted_by: the convention that counts its SRAM where its planner is not known.   bounds_memory: whether all that
    is known of its arena is what must be alive at once, a lower bound.
    preference: its place among those that answer where none is asked for, the fastest on most boards
    first; None for one that never does.
    parts: what the names of the parts begin with that its makers offer it for; "" for any.
    versions: those whose latency was measured, newest first.   current: how many of them answer where no version is
    asked for.   asked_version: the one that the user named, "" if none.   pointer_bits: of the target.
    on_core: the runtime as it is built for a core, where that changes what it asks for.
    builds: what kind of build was measured, by the option that names it ("": the default), where a user's own may
    differ from it.
    """

    name: str
    version: str
    title: str
    rules: LoweringRules
    planner_name: str
    planner: Planner
    kernel: Callable[[Signature], Kernel]
    refuses: Callable[[Graph], Iterable[Refusal]] = _refuses_nothing
    prepares: Callable[[Graph, Iterable[int]], Iterable[Refusal]] | None = None
    needs: Callable[[Graph], Iterable[Need]] = _needs_nothing
    patch_kernel: Callable[[Signature], Kernel] | None = None
    flash: Callable[[Graph], Flash]
    flash_ledger: Callable[[Graph], tuple[LedgerItem, ...]] = _empty_ledger
    code: Callable[[Graph], tuple[CodeItem, ...]] = _code_untold
    resolver: Callable[[Graph], frozenset[str]] | None = None
    persistent: Callable[[Graph], Persistent] = _nothing_persistent
    persistent_ledger: Callable[[Graph], tuple[LedgerItem, ...]] = _empty_ledger
    setup: Callable[[Graph], int] | None = None
    harness: Callable[[Graph], int] = _no_harness
    memory_basis: Basis
    persistent_basis: Basis
    price_family: str
    evidence: str
    cores: frozenset[str] = frozenset()
    reads_offline_plan: bool = False
    runs_compiled: bool = False
    code_error: float = 0.1
    weight_bits: tuple[int, ...] = (8, 4)
    activation_bits: tuple[int, ...] = (8,)
    stages: frozenset[StageKind] = frozenset({StageKind.LAYER})
    stack_bytes: int | None = None
    counted_by: str = ""
    bounds_memory: bool = False
    preference: int | None = None
    parts: str = ""
    versions: tuple[str, ...] = ()
    current: int = 1
    asked_version: str = ""
    pointer_bits: int = 32
    builds: tuple[tuple[str, str], ...] = ()
    on_core: Callable[[Runtime, str], Runtime] | None = None

    def on(self, core: str) -> Runtime:
        """The same runtime built for a core: its kernels may ask for other working memory there."""
        return self if self.on_core is None else self.on_core(self, core)

    @property
    def current_versions(self) -> tuple[str, ...]:
        """Those measured versions that stand for the runtime today."""
        return self.versions[: self.current]

    def shown_version(self, priced: str = "") -> str:
        """The version that a report names: the one asked for, else that of the rules.

        priced: the one whose times price. It is named where there are no rules of a version's own.
        """
        return self.asked_version or (priced if priced and not self.has_placement else self.version)

    @property
    def has_placement(self) -> bool:
        """Whether it is known where its planner puts buffers."""
        return not self.counted_by and not self.bounds_memory

    def serves(self, board: Board) -> bool:
        """Whether its makers offer it for the board's part, by its name, series or title."""
        names = (board.name, board.series or "", board.title)
        return not self.parts or any(self.parts in name.lower() for name in names)

    @property
    def cut_stages(self) -> frozenset[StageKind]:
        """Kinds of stages that it runs in pieces."""
        return self.stages - {StageKind.LAYER}

    def kernel_in(self, stage: StageKind, call: Signature) -> Kernel:
        """The function that serves a node in a stage of some kind."""
        return self.patch_kernel(call) if self.patch_kernel and stage is StageKind.PATCH else self.kernel(call)


RUNTIMES: dict[str, Runtime] = {}
"""Every runtime by name. Written only while `mcusim.runtimes` is imported."""


def register(runtime: Runtime) -> Runtime:
    """Add a runtime. Raises RuntimeNameError if the name is taken."""
    if RUNTIMES.setdefault(runtime.name, runtime) is not runtime:
        raise RuntimeNameError("registered twice", where=f"runtime '{runtime.name}'", fix="rename one of them")
    return runtime


@cache
def find_runtime(name: str) -> Runtime:
    """The runtime called `NAME` or `NAME@VERSION`: a version of its rules, or one whose latency was measured.

    `7.3.0` is `7.3`; a build of its own kind may follow a plus sign, as in `x-cube-ai@9.0+mlperf`.
    Raises RuntimeNameError for an unknown name or version.
    """
    base, _, version = name.strip().lower().partition("@")
    runtime = RUNTIMES.get(base)
    if base == "all":
        fix = "name one, as in tflm (`mcusim run MODEL --profile BOARD --runtime all` asks them all)"
        raise RuntimeNameError("'all' is many runtimes, and this answer is of one", where="runtime", fix=fix)
    if runtime is None:
        raise RuntimeNameError(
            "no such runtime",
            where=f"runtime '{name}'",
            fix=did_you_mean(base, RUNTIMES, listed_by="mcusim runtimes"),
        )
    if not version or (version == runtime.version and version not in runtime.versions):
        return runtime
    number, _, option = version.partition("+")
    known = next((known for known in runtime.versions if _same_version(known, number)), None)
    if known is None:
        measured = ", ".join(runtime.versions)
        near = " or ".join([f"{base}@{beside}" for beside in _beside(number, runtime)])
        raise RuntimeNameError(
            f"no rules and no measurements for version {number}",
            where=f"runtime '{name}'",
            fix=f"use {near}, or {base} for the newest with evidence"
            + (f"; measured versions: {measured}" if measured else ""),
        )
    return replace(runtime, asked_version=f"{known}+{option}" if option else known)


def _beside(asked: str, runtime: Runtime) -> list[str]:
    """What a version that nobody knows may stand for: the known numbers just below and above it, or a like spelling.

    The version of the rules where nothing is near.
    """
    place = _numbers(asked)
    numbered = sorted([known for known in {*runtime.versions, runtime.version} if _numbers(known)], key=_numbers)
    below = [known for known in numbered if _numbers(known) < place][-1:]
    above = [known for known in numbered if _numbers(known) > place][:1]
    near = [*below, *above] if place else get_close_matches(asked, runtime.versions, n=2)
    return near or [runtime.version]


def _numbers(version: str) -> tuple[int, ...]:
    """10.2 -> (10, 2); () for what is no number."""
    return tuple(map(int, version.split("."))) if re.fullmatch(r"\d{1,9}(\.\d{1,9})*", version) else ()


def _same_version(known: str, asked: str) -> bool:
    """Whether two spellings mean one version: zeros at the end do not count."""

    def bare(version: str) -> str:
        return re.sub(r"(\.0)+$", "", version)

    return known == asked or bare(known) == bare(asked)
