"""`mcusim bits`: tensors cut to 8, 4 or 2 bits until a network fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypedDict

import typer

from mcusim.cli.documents import RuntimeName, Versioned
from mcusim.cli.options import (
    FLASH_BUDGET,
    JSON,
    RUNTIME,
    SRAM_BUDGET,
    WHAT_IF,
    bytes_option,
    csv_of,
    option,
    place_option,
    profile_file,
)
from mcusim.cli.sheets import bits_csv
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.precision import BitFit, LayerBits, fit_bits
from mcusim.render.bits import bits_lines

__all__ = ["BitsDocument", "bits"]


class BeforeAfter(TypedDict):
    """Bytes with eight bits and with fewer; None where they cannot be known."""

    before_bytes: int | None
    after_bytes: int | None
    budget_bytes: int


class TensorBits(TypedDict):
    index: int
    name: str
    kind: Literal["activation", "weights"]
    bits: int


class BitsDocument(Versioned):
    """What `mcusim bits` answers. why: how far away the budgets are where no choice of bits meets them."""

    model: str
    profile: str
    runtime: RuntimeName
    schedule: str
    min_bits: int
    margin: float
    fits: bool | None
    why: str | None
    sram: BeforeAfter
    flash: BeforeAfter
    layers: Sequence[LayerBits]
    tensors: list[TensorBits]


def bits(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or the name of a published network.")
    ],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="A board's name, or the path of a TOML file.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    input_place: Annotated[
        str | None, option("--input", metavar="PLACE", help="Where the network's input lies: arena or external.")
    ] = None,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    min_bits: Annotated[int, typer.Option(metavar="N", help="No tensor goes below it: 2, 4 or 8.")] = 2,
    margin: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Weights within this share of the largest count as large; the first is cut."
        ),
    ] = 0.05,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[str | None, csv_of("layer")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when no choice of bits fits.")] = False,
) -> None:
    """With how many bits per tensor does a network fit? Activations, then weights, are cut to 4 or 2 bits.

    Memory-driven bit allocation after Rusci et al. (MLSys 2020), against what the runtime really takes.

    \b
    Examples:
      mcusim bits mbv1-w0.5-r192 --profile stm32f412
      mcusim bits mcunet-in4 --profile stm32f412 --min-bits 4 --csv bits.csv
      mcusim bits mbv1-w0.75-r224 --profile stm32h743 --sram-budget 384k --check
    """

    refuse_same_target(json=json, csv=csv)
    refuse_overwriting((model, profile_file(profile)), json=json, csv=csv)
    bit_fit = fit_bits(
        model,
        profile=profile,
        runtime=runtime,
        schedule=schedule,
        input_place=place_option(input_place),
        sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
        flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
        what_if=what_if,
        min_bits=min_bits,
        margin=margin,
    )
    if json is not None:
        write_output(document(_document(bit_fit, min_bits, margin)), json, "--json")
    if csv is not None:
        write_output(bits_csv(bit_fit.layers), csv, "--csv")
    if STDOUT not in (json, csv):
        show(bits_lines(bit_fit, terminal_width(), glyphs()))
    if check:
        check_exit("mcusim bits", [bit_fit.fits])


def _document(bit_fit: BitFit, min_bits: int, margin: float) -> BitsDocument:
    after, tensors = bit_fit.report, bit_fit.graph.tensors
    return {
        "schema_version": 1,
        "model": after.model.name,
        "profile": after.profile.name,
        "runtime": {"name": after.runtime.name, "version": after.runtime.version},
        "schedule": after.schedule.spec,
        "min_bits": min_bits,
        "margin": margin,
        "fits": bit_fit.fits,
        "why": bit_fit.why or None,
        "sram": {
            "before_bytes": bit_fit.before.sram.peak_bytes,
            "after_bytes": after.sram.peak_bytes,
            "budget_bytes": after.sram.budget_bytes,
        },
        "flash": {
            "before_bytes": bit_fit.before.flash.total_bytes,
            "after_bytes": after.flash.total_bytes,
            "budget_bytes": after.flash.budget_bytes,
        },
        "layers": bit_fit.layers,
        "tensors": [
            *(
                TensorBits(index=index, name=tensors[index].name, kind="activation", bits=width)
                for index, width in bit_fit.allocation.activations.items()
            ),
            *(
                TensorBits(index=index, name=tensors[index].name, kind="weights", bits=width)
                for index, width in bit_fit.allocation.weights.items()
            ),
        ],
    }
