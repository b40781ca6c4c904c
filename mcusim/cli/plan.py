"""`mcusim plan`: one network's arena, the smallest plan, and that plan in forms that a TFLM project reads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mcusim.boards.board import Board
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
    linked_option,
    option,
    place_option,
    profile_file,
)
from mcusim.cli.plan_documents import PlanAnswer, counted_document, plan_document
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
from mcusim.memory.banks import bank_uses, external_runs, spread_out
from mcusim.memory.counting import compare_plans
from mcusim.memory.flash import flash_ledger
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.memory.planning import offline_plan, plan_memory
from mcusim.memory.tflm_header import tflm_header
from mcusim.render.banks import bank_lines, spread_lines
from mcusim.render.plan import BufferChoice, comparison_lines, plan_lines
from mcusim.render.text import paragraph
from mcusim.runtimes import Runtime
from mcusim.runtimes.choosing import RuntimeChoice
from mcusim.schedule import Schedule, parse_schedule
from mcusim.simulation.planning import EMITTED, planning_runtime
from mcusim.version import __version__
from mcusim.zoo.export import export_model
from mcusim.zoo.loading import load

if TYPE_CHECKING:
    from rich.text import Text


__all__ = ["plan"]

EMITS = {"tflm": (".tflite",), "header": (".h", ".hpp")}


def plan(
    models: Annotated[list[str], MODELS],
    runtime: Annotated[
        str | None,
        option(
            metavar="NAME",
            help="The runtime whose memory rules count. Default: as `run` chooses; several networks and --emit: tflm.",
        ),
    ] = None,
    pointer_bits: Annotated[
        int,
        option(
            metavar="BITS",
            help="Bits of the target's pointers: 32, or with --runtime tflm also 64, as in its Python wheel.",
        ),
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
            metavar="FILE",
            help="Write one line per buffer (with --all: one per way of counting); - is standard output.",
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
        tell_shared(models, runtime, pointer_bits, json)
        return
    model = models[0]
    refuse_overwriting((model, profile_file(profile), linked), json=json, csv=csv, emit=emit[1] if emit else None)
    if emit is not None:
        _refuse_other_file(*emit)
    if reorder and emit is not None and emit[0] == "header":
        fix = "first write the reordered model (--reorder --emit tflm FILE), then the header of that FILE"
        raise InputError("a header describes a file as it is", where="--reorder", fix=fix)
    if every:
        given = {"--planner": planner, "--reorder": reorder, "--emit": emit, "--runtime": runtime}
        _refuse_beside_all({**given, "--map": linked, "--input": input_place})
    choice = choice_option(buffers, BufferChoice, "--buffers")
    pieces = _schedule(schedule, alone="--emit" if emit else "--reorder" if reorder else "")
    board, firmware = board_option(profile, bank), linked_option(linked)
    loaded = load(model)
    chosen = planning_runtime(runtime, loaded, board, pointer_bits, EMITTED if emit else "")
    reordered = _reordered(loaded, chosen.runtime) if reorder else None
    graph = reordered.graph if reordered is not None else loaded
    if every:
        _tell_all(graph, pieces, board, json, csv)
        return
    answer = _answer(graph, chosen, pieces, planner, place_option(input_place), reordered, board, firmware)
    emitted = _emitted(graph, loaded, chosen, *emit, seed) if emit is not None else []
    if json is not None:
        write_output(document(plan_document(answer)), json, "--json")
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
    choice: RuntimeChoice,
    schedule: Schedule,
    planner: str | None,
    place: InputPlace | None,
    reordered: Reordered | None,
    board: Board | None,
    firmware: LinkedFirmware | None,
) -> PlanAnswer:

    runtime = choice.runtime
    plan = plan_memory(graph, runtime, schedule, planner=planner, input_place=place)
    ledger = flash_ledger(graph, runtime, firmware)
    if board is None:
        return PlanAnswer(plan, choice, ledger, reordered, None, (), None)
    uses = bank_uses(board, plan.tenants(), plan.total_bytes)
    missed = plan.total_bytes > board.sram_budget_bytes
    has_more = len(board.runs) > 1 or bool(external_runs(board))
    return PlanAnswer(
        plan, choice, ledger, reordered, board, uses, spread_out(plan, board) if missed and has_more else None
    )


def _lines(answer: PlanAnswer, choice: BufferChoice) -> list[Text]:
    from rich.text import Text

    width, drawn = terminal_width(), glyphs()
    lines = plan_lines(answer.plan, answer.choice.why, answer.flash, answer.reordered, width, drawn, choice)
    if answer.board is not None:
        lines += [Text(), *bank_lines(answer.plan, answer.board, answer.uses, width, drawn)]
        if answer.spread is not None:
            lines += [Text(), *spread_lines(answer.spread, width, drawn)]
    return lines


def _emitted(graph: Graph, loaded: Graph, choice: RuntimeChoice, kind: str, target: str, seed: int) -> list[Text]:
    """Write the file; what to say about it, beside the network as it was loaded."""

    runtime = choice.runtime
    if kind == "header":
        write_output(tflm_header(graph, runtime, __version__, choice.why), target, "--emit")
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
        write_output(document(counted_document(graph.name, rows)), json, "--json")
    if csv is not None:
        write_output(comparisons_csv(rows), csv, "--csv")
    if STDOUT not in (json, csv):
        show(comparison_lines(graph.name, rows, board, terminal_width(), glyphs()))
