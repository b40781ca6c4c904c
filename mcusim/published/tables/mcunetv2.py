"""MCUNetV2, Table 1 and Fig. 5: peak memory layer by layer against patch by patch, and what the patches cost."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from mcusim import published, zoo
from mcusim.conventions import count
from mcusim.conventions.shared.layers import layers
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.ops.totals import count_macs
from mcusim.published import NOTHING, McunetV2, Printed, Table1Row, Unit
from mcusim.published.tables.claims import Recomputed, recomputed
from mcusim.published.tables.document import Claim, Column, Document, Figure, Group, Origin, Row, Table
from mcusim.published.tables.figures import accuracy_figure, latency_figure, sram_figure, times_figure
from mcusim.published.tables.networks import accuracy
from mcusim.report import Basis, Report
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.searching.paper_space import PaperPlan, block_ends, count_patched, patch_side, search_paper_space
from mcusim.simulation.simulate import simulate
from mcusim.units import BYTES_PER_KIB

__all__ = ["mcunetv2_document"]

BOARD = "stm32h743"
GRID = 4
_CONVENTION = "mcunetv2"
_NETWORKS = ("mbv2-w1.0-r224", "mbv2-rd-r224-INFERRED", "mnasnet-b1-r224", "proxyless-mobile-r224", "mcunet-in3")
_FIGURE_5 = _NETWORKS[:3]
"""Of the five networks of Fig. 5, those of the zoo; OFA-CPU and FBNet-A are not."""
_FIGURE_11 = ("mnasnet-b1-r224", "mcunet-in3")


class _Cut(NamedTuple):
    """A network in GRID x GRID patches, as the paper counts it.

    layer_bytes, patch_bytes: peaks.   macs: once.   clipped_macs: recomputed, border patches cut at the image's edge.
    uniform_macs: recomputed, all patches of one size.
    """

    name: str
    graph: Graph
    plan: PaperPlan
    layer_bytes: int
    patch_bytes: int
    macs: int
    clipped_macs: int
    uniform_macs: int

    @property
    def ratio(self) -> float:
        return self.layer_bytes / self.patch_bytes

    @property
    def overhead_percent(self) -> float:
        return self.clipped_macs / self.macs * 100


def mcunetv2_document() -> Document:
    """Table 1 from counting and simulation, the same for other networks, and what TinyEngine takes."""
    printed = published.mcunetv2()
    cuts = {name: _cut(name, _least_plan(zoo.build(name))) for name in _NETWORKS}
    return Document(
        name="mcunetv2",
        title=printed.title,
        published=("mcunetv2",),
        tables=(_table1(printed), _reductions(cuts), _on_board(cuts)),
        claims=_claims(printed, cuts),
        notes=_NOTES,
        sources=(printed.source,),
    )


_NOTES = (
    "The paper counts the largest layer, depthwise convolutions in place, and the stage's output beside its patches; "
    "the input image is not counted.",
    "stage: with patches of one size, as the paper's stage figures are. all: border patches cut at the image's edge, "
    "which is nearest to its figures for the whole network; uniform: those of one size.",
    "MbV2-RD was not released: its patch stage follows from the printed patch and MACs, its later blocks are a guess.",
    "Tables 4 and 5 of the paper (WIDER FACE, other ways to save memory) are stored with the package; their networks "
    "were not released.",
)


def _cut(name: str, plan: PaperPlan) -> _Cut:
    graph = zoo.build(name)
    macs = count_macs(graph)
    again = simulate(graph, profile=BOARD, runtime=_clipping(), schedule=plan.schedule).schedule.recomputed_macs
    layer_bytes = count(_CONVENTION, graph).total_bytes
    return _Cut(name, graph, plan, layer_bytes, plan.peak_bytes, macs, again, plan.macs - macs)


def _clipping() -> Runtime:
    """TinyEngine, were its border patches cut at the image's edge."""
    runtime = RUNTIMES["tinyengine"]
    return replace(runtime, rules=replace(runtime.rules, uniform_patches=False))


def _least_plan(graph: Graph) -> PaperPlan:
    """The stage of GRID x GRID patches with least SRAM, then least MACs."""
    plans = []
    for blocks in range(1, len(block_ends(graph)) + 1):
        try:
            plans.append(count_patched(graph, blocks, GRID))
        except ScheduleError:  # the grid is finer than the stage's output
            continue
    return min(plans, key=lambda plan: (plan.peak_bytes, plan.macs))


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def _table1(printed: McunetV2) -> Table:
    columns = (
        Column("patch", "patch", Unit.PIXELS),
        Column("stage-macs", "stage MACs", Unit.MEGA),
        Column("stage-overhead", "stage more", Unit.PERCENT),
        Column("macs", "all MACs", Unit.MEGA),
        Column("overhead", "all more", Unit.PERCENT),
        Column("uniform", "uniform", Unit.PERCENT),
        Column("sram-layer", "per layer", Unit.KIB),
        Column("sram-patch", "per patch", Unit.KIB),
        Column("top1", "top-1", Unit.PERCENT),
        Column("map", "VOC mAP", Unit.PERCENT),
    )
    rows = tuple(_table1_row(row) for row in printed.table1)
    return Table("table1", f"Table 1: {GRID}x{GRID} patches at 224", columns, (Group("", rows),))


def _table1_row(row: Table1Row) -> Row:
    graph = zoo.build(row.network)
    blocks = block_ends(graph).index(row.nodes) + 1
    cut = _cut(row.network, count_patched(graph, blocks, GRID))
    plan, once = cut.plan, cut.plan.stage_macs - cut.uniform_macs
    cells = (
        Figure(unit=Unit.PIXELS, printed=row.patch, value=patch_side(graph, plan.schedule), basis=Basis.EXACT),
        Figure(unit=Unit.MEGA, printed=row.stage_macs, value=plan.stage_macs, basis=Basis.EXACT),
        _percent(cut.uniform_macs, once, row.stage_overhead),
        Figure(unit=Unit.MEGA, printed=row.macs, value=cut.macs + cut.clipped_macs, basis=Basis.EXACT),
        _percent(cut.clipped_macs, cut.macs, row.overhead),
        _percent(cut.uniform_macs, cut.macs),
        _counted(cut.layer_bytes, row.sram_layer),
        _counted(cut.patch_bytes, row.sram_patch),
        accuracy_figure(row.top1, accuracy(row.network, "top1_quantized")),
        accuracy_figure(row.map),
    )
    origin = Origin.TWIN if row.is_twin else Origin.RELEASED
    return Row(label=row.model, cells=cells, network=row.network, board=BOARD, origin=origin)


def _percent(part: float, whole: float, printed: Printed = NOTHING) -> Figure:
    return Figure(unit=Unit.PERCENT, printed=printed, value=part / whole * 100, basis=Basis.EXACT)


def _counted(size_bytes: int, printed: Printed = NOTHING) -> Figure:
    return Figure(unit=Unit.KIB, printed=printed, value=size_bytes, basis=Basis.DERIVED, counted_as=_CONVENTION)


def _reductions(cuts: dict[str, _Cut]) -> Table:
    columns = (
        Column("sram-layer", "per layer", Unit.KIB),
        Column("sram-patch", "per patch", Unit.KIB),
        Column("less", "less", Unit.TIMES),
        Column("macs", "MACs", Unit.MEGA),
        Column("overhead", "more", Unit.PERCENT),
        Column("uniform", "uniform", Unit.PERCENT),
        Column("schedule", "schedule"),
    )
    rows = tuple(
        Row(
            label=cut.name,
            cells=(
                _counted(cut.layer_bytes),
                _counted(cut.patch_bytes),
                times_figure(cut.ratio, Basis.DERIVED),
                Figure(unit=Unit.MEGA, value=cut.macs, basis=Basis.EXACT),
                _percent(cut.clipped_macs, cut.macs),
                _percent(cut.uniform_macs, cut.macs),
                str(cut.plan.schedule),
            ),
            network=cut.name,
            board=BOARD,
        )
        for cut in cuts.values()
    )
    return Table("reductions", f"As the paper counts, {GRID}x{GRID} patches", columns, (Group("", rows),))


def _on_board(cuts: dict[str, _Cut]) -> Table:
    columns = (
        Column("sram", "SRAM", Unit.KIB),
        Column("latency", "latency", Unit.MS, has_interval=True),
        Column("schedule", "schedule"),
    )
    groups = []
    for cut in cuts.values():
        plans = (("per layer", "layer"), ("per patch", str(cut.plan.schedule)))
        rows = [(way, simulate(cut.graph, profile=BOARD, schedule=schedule)) for way, schedule in plans]
        groups.append(Group(cut.name, tuple(_placed(way, report) for way, report in rows)))
    return Table("placed", f"As TinyEngine places it, on {BOARD}", columns, tuple(groups))


def _placed(way: str, report: Report) -> Row:
    cells = (sram_figure(report), latency_figure(report), report.schedule.spec)
    return Row(label=way, cells=cells, network=report.model.name, board=BOARD)


# ---------------------------------------------------------------------------------------------------------------------
# Claims


def _claims(printed: McunetV2, cuts: dict[str, _Cut]) -> tuple[Claim, ...]:
    mbv2 = zoo.build(_NETWORKS[0])
    optimum = search_paper_space(mbv2, GRID)
    first = layers(mbv2)[0]
    redistributed = cuts["mbv2-rd-r224-INFERRED"].overhead_percent
    return recomputed(
        printed.claims,
        {
            "reduction": _ratios([cuts[name] for name in _FIGURE_5], "OFA-CPU and FBNet-A are not in the zoo"),
            "overhead": _overheads([cuts[name] for name in _FIGURE_5 if "INFERRED" not in name]),
            "overhead-redistributed": Recomputed("the inferred network", simulated=redistributed, basis=Basis.EXACT),
            "optimum-blocks": Recomputed(str(optimum.schedule), simulated=optimum.blocks, basis=Basis.DERIVED),
            "optimum-grid": Recomputed(str(optimum.schedule), simulated=optimum.grid, basis=Basis.DERIVED),
            "first-convolution": Recomputed(
                f"'{first.name}'",
                simulated=(first.in_bytes + first.out_bytes) / BYTES_PER_KIB,
                basis=Basis.DERIVED,
            ),
            "mcunet-reduction": _ratios(
                [cuts[name] for name in _FIGURE_11], "the paper's were measured on a board; FBNet is not in the zoo"
            ),
        },
    )


def _ratios(cuts: list[_Cut], remark: str) -> Recomputed:
    listed = ", ".join(f"{cut.name} {cut.ratio:.1f}x" for cut in cuts)
    ratios = [cut.ratio for cut in cuts]
    return Recomputed(f"{listed}; {remark}", simulated=min(ratios), most=max(ratios), basis=Basis.DERIVED)


def _overheads(cuts: list[_Cut]) -> Recomputed:
    listed = ", ".join(f"{cut.name} {cut.overhead_percent:.1f} %" for cut in cuts)
    percents = [cut.overhead_percent for cut in cuts]
    how = f"{listed}; at the least SRAM of {GRID}x{GRID} patches"
    return Recomputed(how, simulated=min(percents), most=max(percents), basis=Basis.EXACT)
