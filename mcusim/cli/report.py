"""`mcusim report`: published tables, each figure beside the simulated one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcusim.cli.options import JSON, choice_option, option
from mcusim.cli.shell import STDOUT, glyphs, refuse_same_target, show, terminal_width, write_output
from mcusim.errors import InputError
from mcusim.published.tables import DOCUMENTS
from mcusim.render.published import SUFFIXES, WRITERS, Format, document_lines

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

FORMAT = option(
    "--format",
    metavar="FORMAT",
    help="terminal, markdown, csv, latex, html or json; else what the file's name says, else terminal.",
)
OUTPUT = typer.Option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write to a file (.md, .csv, .tex, .html, .json, .txt); - is standard output.",
)

FormatOption = Annotated[str | None, FORMAT]
OutputOption = Annotated[str | None, OUTPUT]
JsonOption = Annotated[str | None, JSON]


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Published tables regenerated: each published figure beside the simulated one, and the difference.

    \b
    Examples:
      mcusim report table4
      mcusim report table4 --format markdown
      mcusim report runtimes -o runtimes.csv
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(short_help="ImageNet on STM32F412 and STM32H743, ten networks.")
def table4(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """ImageNet on STM32F412 and STM32H743, ten networks: MACs, SRAM, flash, latency, accuracy.

    SRAM is counted as each row's source counts it, and beside it stands what the runtime itself takes. What does not
    fit its board is struck out. Networks that were never released are said to be so, or a witness stands for them.

    \b
    Examples:
      mcusim report table4
      mcusim report table4 -o table4.tex
    """
    _write("table4", format_, output, json)


@app.command(short_help="Visual Wake Words: accuracy against memory and time.")
def vww(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """Visual Wake Words: published points, each network whole and cut, and what a board of 32 KiB can hold.

    \b
    Example:
      mcusim report vww
    """
    _write("vww", format_, output, json)


@app.command(short_help="Pascal VOC: detectors, and what patches gain.")
def voc(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """Pascal VOC: the published detectors, and the gain of patches recomputed from the rows.

    \b
    Example:
      mcusim report voc --format markdown
    """
    _write("voc", format_, output, json)


@app.command(short_help="MCUNetV2: peak memory per layer and per patch.")
def mcunetv2(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """MCUNetV2: Table 1 recomputed (patch size, recomputation, peak memory), and the same for other networks.

    \b
    Example:
      mcusim report mcunetv2
    """
    _write("mcunetv2", format_, output, json)


@app.command(short_help="Four libraries by eleven networks on STM32H743.")
def runtimes(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """Latency, SRAM and flash of eleven networks under four libraries on STM32H743, simulated beside measured.

    \b
    Examples:
      mcusim report runtimes
      mcusim report runtimes --format csv -o runtimes.csv
    """
    _write("runtimes", format_, output, json)


@app.command(short_help="The model zoo of 2020: twelve networks with TinyEngine.")
def zoo(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """The model zoo of 2020: activations, SRAM, flash, latency and accuracy of twelve networks with TinyEngine.

    \b
    Example:
      mcusim report zoo
    """
    _write("zoo", format_, output, json)


@app.command(short_help="Generated C: predicted, and counted in emulation.")
def firmware(format_: FormatOption = None, output: OutputOption = None, json: JsonOption = None) -> None:
    """What the C of ten networks takes, whole and in pieces: SRAM, weights, instructions and outputs.

    Each figure that was predicted from the network alone stands beside the one of the built image under emulation, and
    beside the SRAM of other runtimes.

    \b
    Example:
      mcusim report firmware
    """
    _write("firmware", format_, output, json)


def _write(name: str, format_: str | None, output: str | None, json: str | None) -> None:
    """json: a file for the JSON document, beside what else is asked for."""
    refuse_same_target(output=output, json=json)

    chosen = _format(format_, output)
    document = DOCUMENTS[name]()
    if json is not None:
        write_output(WRITERS[Format.JSON](document), json, "--json")
        if json == STDOUT and output is None:
            return
    is_file = output is not None and output != STDOUT
    if chosen is Format.TERMINAL:
        lines = document_lines(document, terminal_width(), glyphs())
        if not is_file:
            show(lines)
            return
        text = "".join(f"{line.plain.rstrip()}\n" for line in lines)
    else:
        text = WRITERS[chosen](document)
    write_output(text, output or STDOUT, "--output")
    if is_file:
        rows = sum(len(table.rows) for table in document.tables)
        write_output(f"{output}: {rows} rows of {document.title}\n", STDOUT, "--output")


def _format(text: str | None, output: str | None) -> Format:
    """The form that was asked for, by name or by a file's suffix. Raises InputError where neither tells."""

    if text is not None:
        return choice_option(text, Format, "--format")
    if output is None or output == STDOUT:
        return Format.TERMINAL
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        fix = f"end it in {', '.join(SUFFIXES)}, or add --format"
        raise InputError(f"'{output}' does not say in which form to write", where="--output", fix=fix)
    return SUFFIXES[suffix]
