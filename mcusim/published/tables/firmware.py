"""What the generated C takes: predicted, and counted in emulation; with what others take for the same networks."""

from __future__ import annotations

from functools import cache
from importlib import resources
from itertools import groupby

import msgspec

from mcusim import zoo
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.pricing.emulated import emulation, instructions_of
from mcusim.pricing.prices import step_work
from mcusim.published import Printed, Unit
from mcusim.published.tables.document import Column, Document, Figure, Group, Row, Table
from mcusim.published.tables.figures import latency_figure, sram_figure
from mcusim.question.arguments import the_input_place, the_schedule
from mcusim.report import Basis, Report
from mcusim.runtimes import RUNTIMES
from mcusim.simulation.simulate import simulate

__all__ = ["EmulatedNetwork", "emulated_networks", "firmware_document"]

BOARD, RUNTIME = "stm32f412", "mcusim"
OTHERS = ("tinyengine", "tflm", "tflm-cmsis-nn")
"""Runtimes whose SRAM stands beside it, layer by layer."""

_COLUMNS = (
    Column("sram", "SRAM", Unit.KIB),
    Column("stored", "weights and tables", Unit.KIB),
    Column("instructions", "instructions", Unit.MEGA),
    Column("outputs", "outputs"),
    Column("latency", "latency", Unit.MS, has_interval=True),
    *(Column(name, f"SRAM, {name}", Unit.KIB) for name in OTHERS),
)


class EmulatedNetwork(msgspec.Struct, frozen=True):
    """A network of the zoo with drawn weights, built from its C and run in emulation (`scripts/measure_firmware.py`).

    instructions: of one inference.   cycles: by a Cortex-M4's published timings, with memory that answers at once.
    arena_bytes, stored_bytes: of the image's own symbols: all RAM of the network, and its layers' constant arrays.
    code_bytes: of its functions.   is_equal: whether its outputs were the executor's, byte for byte.
    """

    network: str
    schedule: str
    instructions: int
    cycles: int
    arena_bytes: int
    stored_bytes: int
    code_bytes: int
    is_equal: bool


@cache
def emulated_networks() -> tuple[EmulatedNetwork, ...]:
    """Every one that was run."""
    content = resources.files("mcusim.firmware").joinpath("data", "emulated_networks.json").read_bytes()
    return msgspec.json.decode(content, type=tuple[EmulatedNetwork, ...])


def firmware_document() -> Document:
    """SRAM, weights, instructions and outputs of the generated C, beside what was predicted before it was built."""
    measured = sorted(emulated_networks(), key=lambda run: run.schedule != "layer")
    groups = [
        Group("layer by layer" if whole else "in pieces", tuple(_row(run) for run in runs))
        for whole, runs in groupby(measured, key=lambda run: run.schedule == "layer")
    ]
    fit = emulation()
    return Document(
        name="firmware",
        title="Generated C: predicted, and counted in emulation",
        published=(),
        tables=(Table("rows", f"mcusim's own C, {fit.compiler}, on {BOARD}", _COLUMNS, tuple(groups)),),
        notes=(
            "Printed is what the built image holds and executes; simulated is what was predicted from the network "
            "alone. Outputs are compared with the executor's, byte for byte.",
            f"Instructions: a fit to {fit.networks} networks, these among them. On networks that were left out of it, "
            f"the standard deviation is {fit.network_spread:.1%} for a network and {fit.layer_spread:.1%} for a layer.",
            "Times follow from published instruction timings and the flash's wait states: no board has confirmed them.",
            "Weights are drawn with seed 0: published networks come without.",
        ),
        sources=("scripts/measure_firmware.py, QEMU 7.2",),
    )


def _row(run: EmulatedNetwork) -> Row:
    report = simulate(run.network, profile=BOARD, runtime=RUNTIME, schedule=run.schedule)
    stored = Figure(unit=Unit.KIB, printed=_kib(run.stored_bytes), value=report.flash.model_bytes, basis=Basis.EXACT)
    instructions = Figure(
        unit=Unit.MEGA,
        printed=Printed(f"{run.instructions / 1e6:.3f}"),
        value=predicted_instructions(run.network, run.schedule),
        basis=Basis.CALIBRATED,
    )
    cells = (
        sram_figure(report, _kib(run.arena_bytes)),
        stored,
        instructions,
        "equal" if run.is_equal else "differ",
        latency_figure(report),
        *(sram_figure(_other(run, name)) for name in OTHERS),
    )
    about = "" if run.schedule == "layer" else run.schedule
    return Row(label=run.network, about=about, cells=cells, network=run.network, board=BOARD)


def _other(run: EmulatedNetwork, runtime: str) -> Report | None:
    """What another runtime takes, where it runs such a schedule."""
    kinds = {stage.kind for stage in the_schedule(run.schedule).stages}
    if not kinds <= RUNTIMES[runtime].stages:
        return None
    return simulate(run.network, profile=BOARD, runtime=runtime, schedule=run.schedule)


def _kib(size_bytes: int) -> Printed:
    """All digits: these figures are compared to the byte."""
    return Printed(f"{size_bytes / 1024:.10f}".rstrip("0").rstrip("."))


def predicted_instructions(network: str, spec: str) -> float:
    """Of one inference of mcusim's own C."""
    runtime, schedule = RUNTIMES[RUNTIME], the_schedule(spec)
    program = lower(zoo.build(network), schedule, runtime.rules, the_input_place(None, runtime, schedule))
    return sum(instructions_of(step.signature, step_work(step)) for step in program.body() if step.signature.op in OPS)
