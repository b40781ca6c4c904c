"""Beside the front: what stages would give that the runtime lacks, and what MCUNetV2's own space gives."""

from __future__ import annotations

from rich.text import Text

from mcusim.memory.accounting import untold_input
from mcusim.render.text import Glyphs, in_kib, kib, paragraph, stored_bytes
from mcusim.schedule import StageKind
from mcusim.searching import Front, Point
from mcusim.searching.paper_space import PaperPlan
from mcusim.units import format_count, format_ms

__all__ = ["alternative_lines", "paper_lines", "warning_lines"]


def alternative_lines(front: Front, wider: Front, width: int) -> list[Text]:
    """What `wider`, with every kind of stage, has that `front` has not."""
    own, other = front.best or front.nearest, wider.best or wider.nearest
    used = {stage.kind for stage in other.schedule.stages} - front.runtime.stages
    if not used or front.layer.fits or (other.peak_bytes, other.ms) == (own.peak_bytes, own.ms):
        return []
    kinds = " and ".join(sorted(used))
    sentence = f"{front.runtime.name} has no {kinds} stages. With them: {other.schedule}, {_figures(other)}"
    asked = ",".join(kind for kind in StageKind if kind is not StageKind.LAYER)
    return [Text(), *paragraph(f"{sentence} (--kinds {asked}).", width)]


def warning_lines(front: Front, chosen: Point, width: int) -> list[Text]:
    """What keeps the board from running it, or must be so besides, whatever the schedule's SRAM."""
    warnings = list(chosen.refusals)
    bound = front.runtime.persistent(front.graph).warning
    warnings += [f"SRAM: {bound}."] if bound else []
    if front.flash.fits is None:
        warnings += front.flash_warnings
    if front.flash.fits is False:
        stored, has = stored_bytes(front.flash), front.flash.budget_bytes
        warnings.append(f"flash: {in_kib(stored)} of {kib(has)}, whatever the schedule (`mcusim fit` says what helps).")
    outside = untold_input(front.board, chosen.outside_bytes)
    warnings += [outside] if outside else []
    lines = [line for one in warnings for line in paragraph(f"! {one}", width, style="yellow", hanging="  ")]
    return [Text(), *lines] if lines else []


def _figures(point: Point) -> str:
    time = "" if point.ms is None else f", {format_ms(point.ms)}"
    return f"{in_kib(point.peak_bytes)}{time}"


def paper_lines(plan: PaperPlan, width: int, glyphs: Glyphs) -> list[Text]:
    """The plan that MCUNetV2's search gives."""
    grid = f"{plan.grid}{glyphs.times}{plan.grid}"
    sentence = (
        f"In MCUNetV2's own space (one stage from the start, even square grids, its counting): {plan.schedule}, "
        f"{plan.blocks} blocks in {grid} patches, {in_kib(plan.peak_bytes)}, the stage itself "
        f"{in_kib(plan.stage_bytes)} and {format_count(plan.stage_macs)} MACs."
    )
    return [Text(), *paragraph(sentence, width)]
