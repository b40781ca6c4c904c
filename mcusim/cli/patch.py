"""`mcusim patch`: schedules that trade time for SRAM, and the one to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim import zoo
from mcusim.advising.receptive_fields import Advice, Variant, advise
from mcusim.cli.documents import RuntimeName, Versioned
from mcusim.cli.options import (
    FLASH_BUDGET,
    INPUT,
    JSON,
    MAX_MEMORY,
    RUNTIME,
    SRAM_BUDGET,
    WHAT_IF,
    bytes_option,
    csv_of,
    named_board,
    option,
    place_option,
    profile_file,
)
from mcusim.cli.progress import progress_bar
from mcusim.cli.sheets import front_csv
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_bytes,
    write_output,
)
from mcusim.cli.space import ALL_KINDS, GRID, KINDS, STAGES, stage_kinds
from mcusim.errors import InputError, ScheduleError
from mcusim.frontends.checks import float_reason
from mcusim.frontends.description import graph_from_dict
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.question.arguments import chosen_runtime
from mcusim.render.alternatives import alternative_lines, paper_lines, warning_lines
from mcusim.render.front import front_lines
from mcusim.render.receptive_fields import advice_lines
from mcusim.runtimes import find_runtime
from mcusim.schedule import Schedule, parse_schedule
from mcusim.searching import Front, Point, search
from mcusim.searching.explanation import CutStage, Explanation, Fullest, Recomputed, explain
from mcusim.searching.paper_space import search_paper_space
from mcusim.zoo.loading import load

__all__ = ["PatchDocument", "patch"]


class SpaceDocument(TypedDict):
    """What was searched."""

    stages: int
    grid: int
    kinds: list[str]


class FlashOfBudget(TypedDict):
    total_bytes: int | None
    budget_bytes: int


class PointDocument(TypedDict):
    """A schedule and what it takes. outside_bytes: of an input that lies outside of the arena."""

    schedule: str
    input: str
    outside_bytes: int
    peak_bytes: int
    live_bytes: int
    gap_bytes: int
    cycles: float | None
    ms: float | None
    macs: int
    recomputed_macs: int
    halo_bytes: int
    fits: bool


class ExplanationDocument(TypedDict):
    """Why the schedule helps: the fullest step before and after, and what its cut stages compute again."""

    schedule: str
    peak_before: Fullest
    peak_after: Fullest
    stages: Sequence[CutStage]
    layers: Sequence[Recomputed]


class VariantDocument(TypedDict):
    """A network under a schedule. patch: rows and columns of the input that a patch reads."""

    schedule: str
    patch: Sequence[int]
    peak_bytes: int
    macs: int
    stage_macs: int
    recomputed_macs: int


class ChangedDocument(TypedDict):
    layer: int
    op: str
    what: str
    saved_macs: int
    after: VariantDocument


class MovedDocument(VariantDocument):
    """A variant whose layers were moved behind the stage."""

    moved: Sequence[str]


class AdviceDocument(TypedDict):
    before: VariantDocument
    changes: list[ChangedDocument]
    redistributed: MovedDocument | None


class PatchDocument(Versioned):
    """What `mcusim patch` answers. points: the front.   unsupported: what stages that the runtime lacks would give."""

    model: str
    profile: str
    runtime: RuntimeName
    space: SpaceDocument
    budget_bytes: int
    fits: bool | None
    missing_bytes: int
    flash: FlashOfBudget
    layer: PointDocument
    best: PointDocument | None
    nearest: PointDocument
    unsupported: PointDocument | None
    points: list[PointDocument]
    explanation: ExplanationDocument
    advice: AdviceDocument | None


def patch(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or the name of a published network.")
    ],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="A board's name, or the path of a TOML file.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    kinds: Annotated[str | None, KINDS] = None,
    stages: Annotated[int, STAGES] = 3,
    grid: Annotated[int, GRID] = 16,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    input_place: Annotated[str | None, INPUT] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also: the plan of MCUNetV2's own search space and way of counting.")
    ] = False,
    advice: Annotated[
        bool,
        typer.Option(
            "--advice", help="Also: which kernels and strides cost most recomputation, what moving them gives."
        ),
    ] = False,
    schedule: Annotated[
        str | None,
        option(
            metavar="SPEC",
            help="With --advice: the patches it is about. Default: MCUNetV2's own plan, or the front's deepest.",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        option(metavar="FILE", help="With --advice: write the redistributed network as a .tflite, its weights drawn."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Show every schedule of the front.")] = False,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[str | None, csv_of("schedule")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when no schedule fits SRAM and flash.")] = False,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """Which schedule makes a network fit: patch by patch, streamed, or both, and what does it cost?

    Finds every schedule that no other beats in both live bytes and time, exactly, places each, and takes the cheapest
    of them that fits the board. Where placing leaves a gap, one that is not among them may fit too, and be faster.
    Stages that the runtime cannot run are left out; what they would give is said beside it.

    \b
    Examples:
      mcusim patch mbv2-w0.35-r144 --profile stm32f412
      mcusim patch mbv2-w1.0-r224 --profile stm32h743 --kinds patch,stream --all
      mcusim patch mbv2-w1.0-r224 --profile stm32h743 --paper
      mcusim patch mcunet-in3 --profile stm32f412 --sram-budget 128k --check
      mcusim patch mcunet-vww1 --profile stm32f410 --input arena
      mcusim patch mcunet-vww1 --profile nrf52840 --json -
      mcusim patch mbv2-w1.0-r224 --profile stm32h743 --advice --schedule patch:4x4@13 --variant changed.tflite
    """

    refuse_same_target(json=json, csv=csv, variant=variant)
    refuse_overwriting((model, profile_file(profile)), json=json, csv=csv, variant=variant)
    if not advice and (schedule is not None or variant is not None):
        where = "--schedule" if schedule is not None else "--variant"
        raise InputError("it says what --advice is about", where=where, fix="add --advice, or leave it out")
    wished, budget = None if runtime is None else find_runtime(runtime), bytes_option(sram_budget, "--sram-budget")
    place, graph = place_option(input_place), load(model)
    used, _ = chosen_runtime(wished, graph, named_board(profile))
    is_float = kinds is None and bool(float_reason(graph))  # nobody has told what its pieces cost
    allowed = () if is_float else stage_kinds(kinds, used.cut_stages)

    def searched(those: Sequence[str]) -> Front:
        with progress_bar() as progress:
            return search(
                graph,
                profile=profile,
                runtime=used,
                max_stages=stages,
                max_grid=grid,
                kinds=those,
                input_place=place,
                sram_budget_bytes=budget,
                flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
                what_if=what_if,
                progress=progress,
            )

    front = searched(allowed)
    lacking = kinds is None and not is_float and len(allowed) < len(ALL_KINDS) and not used.counted_by
    wider = searched(ALL_KINDS) if lacking else None
    chosen = front.best or front.nearest
    story = explain(front, chosen)
    advised = _advice(front, schedule) if advice else None
    if advised is not None and variant is not None:
        _write_variant(advised, front.graph.name, variant)
    if json is not None:
        write_output(document(_document(front, chosen, story, wider, advised)), json, "--json")
    if csv is not None:
        write_output(front_csv(front), csv, "--csv")
    if STDOUT not in (json, csv):
        lines = front_lines(front, story, terminal_width(), glyphs(), all_)
        if wider is not None:
            lines += alternative_lines(front, wider, terminal_width())
        if paper:
            lines += paper_lines(search_paper_space(graph), terminal_width(), glyphs())
        lines += warning_lines(front, chosen, terminal_width())
        if advised is not None:
            lines += advice_lines(advised, terminal_width(), glyphs())
        show(lines)
    if check:
        check_exit("mcusim patch", [front.fits])


def _advice(front: Front, schedule: str | None) -> Advice:
    """What to change in the network; only those of the zoo have a description to change."""

    if not front.graph.source.description.startswith("zoo:"):
        fix = "leave --advice out, or name a published network (`mcusim models`)"
        raise InputError("a file has no description that could be changed", where="--advice", fix=fix)
    plan = _depth(front) if schedule is None else parse_schedule(schedule)
    return advise(zoo.network_description(front.graph.name), plan, runtime=front.runtime)


def _depth(front: Front) -> Schedule:
    """A schedule with a deep patch stage, where receptive fields matter: MCUNetV2's own, or the front's deepest."""

    try:
        return search_paper_space(front.graph).schedule
    except ScheduleError:
        patched = [p for p in front.points if p.schedule.stages and p.schedule.stages[0].kind == "patch"]
        if not patched:
            raise InputError("no schedule starts with patches", where="--advice", fix="add --kinds patch") from None
        return max(patched, key=lambda p: (p.fits, p.schedule.stages[0].nodes or 0)).schedule


def _write_variant(advised: Advice, name: str, target: str) -> None:

    if advised.redistributed is None:
        fix = "leave it out, or name a deeper stage with --schedule"
        raise InputError(f"there is nothing to move in {advised.schedule}", where="--variant", fix=fix)
    graph = graph_from_dict({**advised.redistributed.network, "name": f"{name}-redistributed"})
    write_bytes(write_tflite(with_seeded_weights(graph)), target, "--variant")


def _document(
    front: Front, chosen: Point, story: Explanation, wider: Front | None, advised: Advice | None
) -> PatchDocument:
    return {
        "schema_version": 1,
        "model": front.graph.name,
        "profile": front.board.name,
        "runtime": {"name": front.runtime.name, "version": front.runtime.version},
        "space": {
            "stages": front.space.stages,
            "grid": front.space.grid,
            "kinds": sorted(map(str, front.space.kinds)),
        },
        "budget_bytes": front.budget_bytes,
        "fits": front.fits,
        "missing_bytes": front.missing_bytes,
        "flash": {"total_bytes": front.flash.total_bytes, "budget_bytes": front.flash.budget_bytes},
        "layer": _point(front.layer),
        "best": _point(chosen) if front.best is not None else None,
        "nearest": _point(front.nearest),
        "unsupported": None if wider is None else _point(wider.best or wider.nearest),
        "points": [_point(point) for point in front.points],
        "explanation": {
            "schedule": str(chosen.schedule),
            "peak_before": story.fullest_before,
            "peak_after": story.fullest_after,
            "stages": story.stages,
            "layers": story.layers,
        },
        "advice": None if advised is None else _advised(advised),
    }


def _advised(advised: Advice) -> AdviceDocument:
    after = advised.redistributed
    return {
        "before": _variant(advised.before),
        "changes": [
            {"layer": c.layer, "op": c.op, "what": c.what, "saved_macs": c.saved_macs, "after": _variant(c.after)}
            for c in advised.changes
        ],
        "redistributed": None if after is None else {"moved": advised.moved, **_variant(after)},
    }


def _variant(variant: Variant) -> VariantDocument:
    return {
        "schedule": str(variant.schedule),
        "patch": variant.patch,
        "peak_bytes": variant.peak_bytes,
        "macs": variant.macs,
        "stage_macs": variant.stage_macs,
        "recomputed_macs": variant.recomputed_macs,
    }


def _point(point: Point) -> PointDocument:
    return {
        "schedule": str(point.schedule),
        "input": str(point.input_place),
        "outside_bytes": point.outside_bytes,
        "peak_bytes": point.peak_bytes,
        "live_bytes": point.live_bytes,
        "gap_bytes": point.gap_bytes,
        "cycles": point.cycles,
        "ms": point.ms,
        "macs": point.macs,
        "recomputed_macs": point.recomputed_macs,
        "halo_bytes": point.halo_bytes,
        "fits": point.fits,
    }
