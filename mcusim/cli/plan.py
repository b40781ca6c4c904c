"""`mcusim plan`: one network's arena, the smallest plan, and that plan in forms that a TFLM project reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypedDict

import typer

from mcusim.arguments import chosen_runtime
from mcusim.boards.board import Board
from mcusim.cli.documents import RuntimeName, Versioned
from mcusim.cli.options import (
    BANK,
    INPUT,
    JSON,
    LINKED,
    MAX_MEMORY,
    MODELS,
    PLANNER,
    SCHEDULE,
    board_option,
    choice_option,
    image_option,
    option,
    place_option,
    profile_file,
)
from mcusim.cli.shared_arena import tell_shared
from mcusim.cli.sheets import comparisons_csv, tenants_csv
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError, ScheduleError
from mcusim.graph import Graph
from mcusim.lowering.reorder import Reordered, reorder
from mcusim.lowering.rules import InputPlace
from mcusim.memory.banks import BankUse, Spread, bank_uses, beyond_end, external_runs, spread_out
from mcusim.memory.counting import Comparison, compare_plans
from mcusim.memory.flash import FlashLedger, KernelCode, flash_ledger
from mcusim.memory.images import Image
from mcusim.memory.planning import MemoryPlan, Tenant, offline_plan, plan_memory
from mcusim.memory.tflm_header import tflm_header
from mcusim.networks.export import export_model
from mcusim.networks.loading import load
from mcusim.render.banks import bank_lines, spread_lines
from mcusim.render.plan import BufferChoice, comparison_lines, plan_lines
from mcusim.render.text import paragraph
from mcusim.report import Basis
from mcusim.runtimes import CodeItem, LedgerItem, Runtime, find_runtime
from mcusim.runtimes.tflm import with_pointer_bits
from mcusim.schedule import Schedule, parse_schedule
from mcusim.version import __version__

if TYPE_CHECKING:
    from rich.text import Text


__all__ = ["CountedDocument", "PlanDocument", "plan"]


class BestPlan(TypedDict):
    """The smallest plan. gap: of the runtime's own arena above it, as a share; proved: whether none is smaller."""

    arena_bytes: int
    lower_bound_bytes: int
    proved: bool
    gap: float
    method: str


class StepDocument(TypedDict):
    layer: int | None
    name: str
    op: str
    alive_bytes: int


class FlashDocument(TypedDict):
    """The model's bytes, the kernels that the network runs, and the code that it links."""

    model: Sequence[LedgerItem]
    kernels: Sequence[KernelCode]
    code: Sequence[CodeItem]
    code_bytes: int | None
    total_bytes: int | None
    basis: Basis


class BufferBytes(TypedDict):
    name: str
    bytes: int


class BankDocument(TypedDict):
    """A bank of the run that holds the arena. beyond: buffers behind its end, in the last bank only."""

    name: str
    address: int
    size_bytes: int
    used_bytes: int
    over_bytes: int
    buffers: list[BufferBytes]
    beyond: list[BufferBytes]


class RunDocument(TypedDict):
    """Banks whose addresses follow one another, and what was put there."""

    banks: list[str]
    size_bytes: int
    used_bytes: int
    external: bool
    moved_bytes: int
    seconds: float | None
    buffers: list[BufferBytes]


class SpreadDocument(TypedDict):
    """Buffers put into several runs. left: those that no run holds."""

    fits: bool
    runs: list[RunDocument]
    left: list[BufferBytes]


class PlanDocument(Versioned):
    """What `mcusim plan` answers. banks, spread: None without --profile, or where they do not apply."""

    model: str
    runtime: RuntimeName
    planner: str
    arena_bytes: int
    scratch_bytes: int
    persistent_bytes: int
    setup_bytes: int
    total_bytes: int
    recommended_arena_bytes: int | None
    harness_bytes: int
    alive_bytes: int
    fragmentation: float
    best: BestPlan
    refusals: Sequence[str]
    order: Sequence[int] | None
    steps: list[StepDocument]
    buffers: Sequence[Tenant]
    persistent: Sequence[LedgerItem]
    flash: FlashDocument
    banks: list[BankDocument] | None
    spread: SpreadDocument | None


class CountingDocument(TypedDict):
    """One way of counting. unknown: why a part cannot be known exactly."""

    name: str
    kind: str
    total_bytes: int
    parts: Mapping[str, int]
    basis: Basis
    what: str
    evidence: str
    unknown: str | None


class CountedDocument(Versioned):
    """What `mcusim plan --all` answers."""

    model: str
    counted: list[CountingDocument]


EMITS = {"tflm": (".tflite",), "header": (".h", ".hpp")}


def plan(
    models: Annotated[list[str], MODELS],
    runtime: Annotated[
        str | None, option(metavar="NAME", help="Whose memory rules. Default: tinyengine; with --emit: tflm.")
    ] = None,
    pointer_bits: Annotated[
        int,
        option(metavar="BITS", help="Of the target's pointers: 32, or with --runtime tflm 64, as the Python wheel."),
    ] = 32,
    planner: Annotated[str | None, PLANNER] = None,
    schedule: Annotated[str, SCHEDULE] = "layer",
    input_place: Annotated[str | None, INPUT] = None,
    reorder: Annotated[
        bool, typer.Option("--reorder", help="First look for an execution order with a lower peak.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every runtime and convention side by side, and what each counts.")
    ] = False,
    profile: Annotated[
        str | None, option(metavar="BOARD", help="Show which buffers lie in which of its memory banks.")
    ] = None,
    bank: Annotated[str | None, BANK] = None,
    linked: Annotated[str | None, LINKED] = None,
    emit: Annotated[
        tuple[str, str] | None,
        option(
            metavar="KIND FILE",
            help="Write FILE: tflm, the network as a .tflite that carries the smallest plan; header, a C header with "
            "arena size and operators.",
        ),
    ] = None,
    buffers: Annotated[
        str, typer.Option(metavar="WHICH", help="Buffers to show: peak (there at the fullest step), all, none.")
    ] = "peak",
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Draws the weights of published networks for --emit tflm.")
    ] = 0,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[
        str | None,
        option(
            metavar="FILE", help="Write one line a buffer (with --all: one a way of counting); - is standard output."
        ),
    ] = None,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """The arena of a network: which buffer lies where and when, how far from the minimum, and what it is made of.

    \b
    Examples:
      mcusim plan mcunet-in3 --runtime tflm
      mcusim plan mcunet-in3 --runtime tflm --pointer-bits 64
      mcusim plan mcunet-vww0 mcunet-vww1 --runtime tflm
      mcusim plan mcunet-in3 --all
      mcusim plan mcunet-in4 --runtime tflm --profile stm32h743
      mcusim plan mcunet-vww0 --emit tflm planned.tflite
      mcusim plan mcunet-vww0 --emit header mcunet_vww0.h
    """

    refuse_same_target(json=json, csv=csv, emit=emit[1] if emit else None)
    if len(models) > 1:
        given: dict[str, object] = {"--planner": planner, "--reorder": reorder, "--all": every, "--profile": profile}
        _refuse_beside_several({**given, "--map": linked, "--emit": emit, "--csv": csv, "--input": input_place})
        tell_shared(models, with_pointer_bits(find_runtime(runtime or "tflm"), pointer_bits), json)
        return
    model = models[0]
    refuse_overwriting((model, profile_file(profile), linked), json=json, csv=csv, emit=emit[1] if emit else None)
    if emit is not None:
        _refuse_other_file(*emit)
    if reorder and emit is not None and emit[0] == "header":
        fix = "first write the reordered model (--reorder --emit tflm FILE), then the header of that FILE"
        raise InputError("a header tells of a file as it is", where="--reorder", fix=fix)
    if every:
        given = {"--planner": planner, "--reorder": reorder, "--emit": emit, "--runtime": runtime}
        _refuse_beside_all({**given, "--map": linked, "--input": input_place})
    wished = find_runtime(runtime or "tflm") if runtime or emit or pointer_bits != 32 else None
    choice = choice_option(buffers, BufferChoice, "--buffers")
    pieces = _schedule(schedule, alone="--emit" if emit else "--reorder" if reorder else "")
    board, image = board_option(profile, bank), image_option(linked)
    loaded = load(model)
    chosen = with_pointer_bits(chosen_runtime(wished, loaded, board)[0], pointer_bits)
    reordered = _reordered(loaded, chosen) if reorder else None
    graph = reordered.graph if reordered is not None else loaded
    if every:
        _tell_all(graph, pieces, board, json, csv)
        return
    answer = _answer(graph, chosen, pieces, planner, place_option(input_place), reordered, board, image)
    emitted = _emitted(graph, loaded, chosen, *emit, seed) if emit is not None else []
    if json is not None:
        write_output(document(_plain(answer)), json, "--json")
    if csv is not None:
        write_output(tenants_csv(answer.plan), csv, "--csv")
    if STDOUT not in (json, csv):
        show([*_lines(answer, choice), *emitted])


def _refuse_beside_all(given: dict[str, object]) -> None:
    """One sentence for an option that all countings together have no use for."""
    used = next((option for option, value in given.items() if value not in (None, False)), None)
    if used is not None:
        what = "all countings are of RAM, under every runtime, of the network and the order that it has"
        raise InputError(what, where=used, fix=f"drop --all or {used}")


def _refuse_beside_several(given: dict[str, object]) -> None:
    """One sentence for an option that one network has a use for only."""
    used = next((option for option, value in given.items() if value not in (None, False)), None)
    if used is not None:
        what = "several networks share an arena: each is planned as its interpreter does, layer by layer"
        raise InputError(what, where=used, fix=f"drop {used}, or name one network")


def _refuse_other_file(kind: str, target: str) -> None:
    """One sentence for a kind that there is not, and for a file whose name says that it is something else."""
    if kind not in EMITS:
        raise InputError(f"there is no '{kind}' to emit", where="--emit", fix="use --emit tflm FILE or header FILE")
    if target == STDOUT:
        if kind == "tflm":
            raise InputError("a network is no text", where="--emit tflm", fix="name a .tflite file")
    elif not target.lower().endswith(EMITS[kind]):
        what = f"'{target}' does not end in {' or '.join(EMITS[kind])}"
        raise InputError(what, where=f"--emit {kind}", fix=f"name a {EMITS[kind][0]} file")


class _Answer(NamedTuple):
    plan: MemoryPlan
    flash: FlashLedger
    reordered: Reordered | None
    board: Board | None
    uses: tuple[BankUse, ...]
    spread: Spread | None


def _schedule(text: str, alone: str) -> Schedule:
    """alone: the option that goes with layer by layer only."""

    schedule = parse_schedule(text)
    if alone and not schedule.is_layer:
        raise ScheduleError(f"{alone} is for networks that run layer by layer", where="--schedule", fix="leave it out")
    if schedule.is_auto:
        fix = "name one; `mcusim patch MODEL --profile BOARD` finds the best"
        raise ScheduleError("a plan is of one schedule", where=f"schedule '{text}'", fix=fix)
    return schedule


def _reordered(graph: Graph, runtime: Runtime) -> Reordered:

    # A plan that the file carries is of the order that it has.
    return reorder(replace(graph, source=replace(graph.source, offline_offsets=())), runtime.rules)


def _answer(
    graph: Graph,
    runtime: Runtime,
    schedule: Schedule,
    planner: str | None,
    place: InputPlace | None,
    reordered: Reordered | None,
    board: Board | None,
    image: Image | None,
) -> _Answer:

    plan = plan_memory(graph, runtime, schedule, planner=planner, input_place=place)
    ledger = flash_ledger(graph, runtime, image)
    if board is None:
        return _Answer(plan, ledger, reordered, None, (), None)
    uses = bank_uses(board, plan.tenants(), plan.total_bytes)
    missed = plan.total_bytes > board.sram_budget_bytes
    has_more = len(board.runs) > 1 or bool(external_runs(board))
    return _Answer(plan, ledger, reordered, board, uses, spread_out(plan, board) if missed and has_more else None)


def _lines(answer: _Answer, choice: BufferChoice) -> list[Text]:
    from rich.text import Text

    width, drawn = terminal_width(), glyphs()
    lines = plan_lines(answer.plan, answer.flash, answer.reordered, width, drawn, choice)
    if answer.board is not None:
        lines += [Text(), *bank_lines(answer.plan, answer.board, answer.uses, width, drawn)]
        if answer.spread is not None:
            lines += [Text(), *spread_lines(answer.spread, width, drawn)]
    return lines


def _emitted(graph: Graph, loaded: Graph, runtime: Runtime, kind: str, target: str, seed: int) -> list[Text]:
    """Write the file; what to say about it, beside the network as it was loaded."""

    if kind == "header":
        write_output(tflm_header(graph, runtime, __version__), target, "--emit")
        return [] if target == STDOUT else paragraph(f"{target}: the header for {graph.name}", terminal_width())

    plan = offline_plan(graph, runtime)
    written = export_model(graph, target, seed, metadata=plan.metadata())
    sentence = f"{target}: {written.size_bytes:,} bytes; its plan takes {plan.arena_bytes:,} bytes of arena, "
    before_bytes = offline_plan(loaded, runtime).default_bytes
    sentence += f"not {before_bytes:,}" if plan.arena_bytes < before_bytes else "as the interpreter's own does"
    return [line for text in (sentence, *written.notes) for line in paragraph(text, terminal_width())]


def _tell_all(graph: Graph, schedule: Schedule, board: Board | None, json: str | None, csv: str | None) -> None:

    rows = compare_plans(graph, schedule)
    if json is not None:
        write_output(document(_counted(graph.name, rows)), json, "--json")
    if csv is not None:
        write_output(comparisons_csv(rows), csv, "--csv")
    if STDOUT not in (json, csv):
        show(comparison_lines(graph.name, rows, board, terminal_width(), glyphs()))


def _counted(name: str, rows: Sequence[Comparison]) -> CountedDocument:
    counted: list[CountingDocument] = [
        {
            "name": row.name,
            "kind": row.kind,
            "total_bytes": row.total_bytes,
            "parts": row.parts,
            "basis": row.basis,
            "what": row.what,
            "evidence": row.evidence,
            "unknown": row.unknown or None,
        }
        for row in rows
    ]
    return {"schema_version": 1, "model": name, "counted": counted}


def _plain(answer: _Answer) -> PlanDocument:
    plan, best, flash = answer.plan, answer.plan.best, answer.flash
    graph, runtime = plan.graph, plan.runtime
    alive = plan.alive_bytes
    return {
        "schema_version": 1,
        "model": graph.name,
        "runtime": {"name": runtime.name, "version": runtime.version},
        "planner": plan.planner_name,
        "arena_bytes": plan.arena_bytes,
        "scratch_bytes": plan.held_bytes,
        "persistent_bytes": plan.persistent.size_bytes,
        "setup_bytes": plan.setup_bytes,
        "total_bytes": plan.total_bytes,
        "recommended_arena_bytes": plan.recommended_arena_bytes,
        "harness_bytes": runtime.harness(graph),
        "alive_bytes": max(alive, default=0),
        "fragmentation": plan.fragmentation,
        "best": {
            "arena_bytes": best.arena_bytes,
            "lower_bound_bytes": best.lower_bound_bytes,
            "proved": best.proved,
            "gap": best.gap,
            "method": best.method,
        },
        "refusals": plan.refusals,
        "order": None if answer.reordered is None else list(answer.reordered.order),
        "steps": [
            {"layer": layer, "name": name, "op": op, "alive_bytes": size}
            for layer, name, op, size in zip(plan.step_layers(), plan.step_names(), plan.step_ops(), alive, strict=True)
        ],
        "buffers": plan.tenants(),
        "persistent": runtime.persistent_ledger(graph),
        "flash": {
            "model": flash.model,
            "kernels": flash.kernels,
            "code": flash.code,
            "code_bytes": flash.code_bytes,
            "total_bytes": flash.total_bytes,
            "basis": flash.basis,
        },
        "banks": None if answer.board is None else _plain_banks(answer),
        "spread": None if answer.spread is None else _plain_spread(answer.spread),
    }


def _plain_banks(answer: _Answer) -> list[BankDocument]:

    beyond = beyond_end(answer.board, answer.plan.tenants()) if answer.board is not None else ()
    last = answer.uses[-1] if answer.uses else None
    return [
        {
            "name": use.bank.name,
            "address": use.bank.address,
            "size_bytes": use.bank.size_bytes,
            "used_bytes": use.used_bytes,
            "over_bytes": use.over_bytes,
            "buffers": [{"name": tenant.name, "bytes": size} for tenant, size in use.tenants],
            "beyond": [{"name": tenant.name, "bytes": size} for tenant, size in (beyond if use is last else ())],
        }
        for use in answer.uses
    ]


def _plain_spread(spread: Spread) -> SpreadDocument:
    def named(pairs: Sequence[tuple[str, int]]) -> list[BufferBytes]:
        return [{"name": name, "bytes": size} for name, size in pairs]

    runs: list[RunDocument] = [
        {
            "banks": [bank.name for bank in run.banks],
            "size_bytes": run.size_bytes,
            "used_bytes": run.used_bytes,
            "external": run.is_external,
            "moved_bytes": run.moved_bytes,
            "seconds": run.seconds,
            "buffers": named(run.buffers),
        }
        for run in spread.runs
    ]
    return {"fits": spread.fits, "runs": runs, "left": named(spread.left)}
