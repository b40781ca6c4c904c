"""`mcusim codegen`: a network as C for the microcontroller."""

from __future__ import annotations

from typing import Annotated

from mcusim.cli.documents import Versioned
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
from mcusim.report import Report
from mcusim.simulation.emission import Firmware, codegen

__all__ = ["CodegenDocument", "codegen_", "firmware_document"]


class CodegenDocument(Versioned):
    """What `mcusim codegen` or `mcusim flash-kit` wrote: the files in the folder, and the prediction."""

    folder: str
    files: list[str]
    report: Report


def codegen_(
    model: Annotated[str, EMITTED],
    profile: Annotated[
        str, option(metavar="BOARD", help="A board's name (`mcusim profiles` lists them), or a TOML file.")
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
    """Write a network as C: the plan that was placed, priced and executed, with the kernels that it uses.

    The folder holds NAME.h, NAME.c, kernels/, a linker script for the board, Makefile, CMakeLists.txt,
    prediction.json (the report) and README.md. All RAM of the network is one array of the predicted size.

    \b
    Examples:
      mcusim codegen mcunet-vww0 --profile stm32f412 --name kws -o kws
      mcusim codegen mbv2-w0.35-r144 --profile stm32f412 --schedule auto -o firmware
    """
    made = codegen(
        model,
        profile=profile,
        schedule=schedule,
        name=name,
        input_place=place_option(input_place),
        optimise=optimise,
        seed=seed,
    )
    write_folder(made.files, output, "prediction.json")
    if json is not None:
        write_output(document(firmware_document(made, output)), json, "--json")
    if json != STDOUT:
        write_output("".join(f"{line}\n" for line in _lines(made, output)), STDOUT, "-o")


def firmware_document(made: Firmware, folder: str) -> CodegenDocument:
    """What was written into the folder."""
    return {"schema_version": 1, "folder": folder, "files": sorted(made.files), "report": made.report}


def _lines(made: Firmware, folder: str) -> list[str]:
    report = made.report
    kernels = sum(path.startswith("kernels/") for path in made.files)
    return [
        f"{folder}: {len(made.files)} files, {kernels} of them kernels",
        f"schedule {report.schedule.spec} on {report.profile.name}: {report.sram.peak_bytes:,} bytes of SRAM, "
        f"{report.flash.model_bytes:,} of weights and tables",
    ]
