"""`mcusim flash-kit`: a project that measures a network on a board."""

from __future__ import annotations

from typing import Annotated

from mcusim.cli.codegen import firmware_document
from mcusim.cli.folders import write_folder
from mcusim.cli.options import (
    EMITTED,
    EMITTED_NAME,
    EMITTED_SCHEDULE,
    FOLDER,
    INPUT,
    JSON,
    MAX_MEMORY,
    OPTIMISE,
    SEED,
    option,
    place_option,
)
from mcusim.cli.shell import STDOUT, document, write_output
from mcusim.simulation.emission import flash_kit

__all__ = ["flash_kit_"]


def flash_kit_(
    model: Annotated[str, EMITTED],
    profile: Annotated[
        str,
        option(metavar="BOARD", help="stm32f746, stm32h743, stm32l4r5 or nrf52840: boards with start-up code here."),
    ],
    output: Annotated[str, FOLDER],
    schedule: Annotated[str, EMITTED_SCHEDULE] = "layer",
    name: Annotated[str, EMITTED_NAME] = "model",
    input_place: Annotated[str | None, INPUT] = None,
    optimise: Annotated[str, OPTIMISE] = "speed",
    seed: Annotated[int, SEED] = 0,
    json: Annotated[str | None, JSON] = None,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """Write a project that runs a network on a board and prints what each layer takes.

    The folder holds the network's C as `mcusim codegen` writes it, start-up code, the board's clock, flash and serial
    line, a linker script, Makefile and CMakeLists.txt. What it prints is what `mcusim calibrate` takes.

    \b
    Examples:
      mcusim flash-kit mcunet-vww0 --profile stm32f746 -o kit
      mcusim flash-kit mcunet-vww1 --profile nrf52840 --schedule stream:1@10 -o kit
    """
    made = flash_kit(
        model,
        profile=profile,
        schedule=schedule,
        name=name,
        input_place=place_option(input_place),
        optimise=optimise,
        seed=seed,
    )
    write_folder(made.files, output, "prediction.json")
    report = made.report
    if json is not None:
        write_output(document(firmware_document(made, output)), json, "--json")
        if json == STDOUT:
            return
    write_output(
        f"{output}: {len(made.files)} files for {report.profile.name}\n"
        f"schedule {report.schedule.spec}: {report.sram.peak_bytes:,} bytes of SRAM, {report.flash.model_bytes:,} of "
        "weights and tables\n`make` builds it, `make flash` writes it to the board; README.md on keeping its log\n",
        STDOUT,
        "-o",
    )
