"""The forms of the published tables. Figures are `Printed`, in the units that the comments of the files name."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mcusim.published.printed import NOTHING, Printed

__all__ = [
    "Claim",
    "Library",
    "LibraryComparison",
    "LibraryRow",
    "McunetV2",
    "Precision",
    "Table1Row",
    "Table4",
    "Table4Row",
    "Table5Row",
    "Voc",
    "VocRow",
    "Vww",
    "VwwPoint",
    "WiderFaceRow",
    "Zoo2020",
    "Zoo2020Row",
]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a file: every field is known, and none can be misspelt."""


class Precision(StrEnum):
    """Of weights and activations."""

    INT8 = "int8"
    INT4 = "int4"
    MIXED = "mixed"
    """8, 4 or 2 bits, layer by layer (Rusci et al., arXiv 1905.13082)."""


class Claim(_Form, frozen=True):
    """A figure of the running text. key: by which it is recomputed.   unit: a symbol of `Unit`."""

    key: str
    text: str
    printed: Printed
    unit: str


class Table4Row(_Form, frozen=True):
    """network: what the zoo has of it, "" if nothing.   is_twin: a released network close to the row's own.

    witness: the zoo's name of a network that meets the row's figures, where there is one.
    counted_as: the convention that counts SRAM as the row's source does; "" where no rule is known.
    release: of TinyEngine, on which the row was measured; "" where it ran something else, or nobody says what.
    """

    board: str
    model: str
    library: str
    precision: Precision
    macs: Printed
    sram: Printed
    flash: Printed
    top1: Printed
    top5: Printed = NOTHING
    network: str = ""
    is_twin: bool = False
    witness: str = ""
    counted_as: str = ""
    release: str = ""

    @property
    def is_grey(self) -> bool:
        """Set in grey: below eight bits."""
        return self.precision is not Precision.INT8

    @property
    def is_mixed(self) -> bool:
        return self.precision is Precision.MIXED


class Table4(_Form, frozen=True):
    title: str
    source: str
    rows: tuple[Table4Row, ...]
    claims: tuple[Claim, ...]


class VwwPoint(_Form, frozen=True):
    """network, witness, counted_as: as in Table4Row.   is_explained: whether a known rule meets the SRAM."""

    network: str
    board: str
    accuracy: Printed
    sram: Printed
    source: str
    latency: Printed = NOTHING
    witness: str = ""
    counted_as: str = ""
    is_explained: bool = True


class Vww(_Form, frozen=True):
    title: str
    source: str
    points: tuple[VwwPoint, ...]
    claims: tuple[Claim, ...]


class VocRow(_Form, frozen=True):
    """witness, counted_as: as in Table4Row."""

    board: str
    model: str
    params: Printed
    macs: Printed
    sram: Printed
    map: Printed
    gain: Printed = NOTHING
    witness: str = ""
    counted_as: str = ""


class Voc(_Form, frozen=True):
    title: str
    source: str
    rows: tuple[VocRow, ...]
    claims: tuple[Claim, ...]


class Table1Row(_Form, frozen=True):
    """nodes: computing nodes of the patch stage.   is_twin: as in Table4Row."""

    model: str
    network: str
    nodes: int
    patch: Printed
    stage_overhead: Printed
    overhead: Printed
    stage_macs: Printed
    macs: Printed
    sram_layer: Printed
    sram_patch: Printed
    top1: Printed
    map: Printed
    is_twin: bool = False


class WiderFaceRow(_Form, frozen=True):
    """average_precision: easy, medium, hard.   average_precision_few: the same on images of at most three faces.

    peak: with its unit, as printed.
    """

    model: str
    macs: Printed
    peak: str
    average_precision: tuple[Printed, Printed, Printed]
    average_precision_few: tuple[Printed, Printed, Printed]


class Table5Row(_Form, frozen=True):
    """keeps_results: whether the network computes what it computes layer by layer."""

    model: str
    inference: str
    keeps_results: bool
    peak: Printed
    training: Printed
    top1: Printed
    map: Printed


class McunetV2(_Form, frozen=True):
    title: str
    source: str
    table1: tuple[Table1Row, ...]
    widerface: tuple[WiderFaceRow, ...]
    table5: tuple[Table5Row, ...]
    claims: tuple[Claim, ...]


class Library(_Form, frozen=True):
    """runtime: the name under which mcusim knows it."""

    name: str
    version: str
    runtime: str


class LibraryRow(_Form, frozen=True):
    network: str
    library: str
    latency: Printed
    sram: Printed
    flash: Printed


class LibraryComparison(_Form, frozen=True):
    title: str
    source: str
    board: str
    libraries: tuple[Library, ...]
    rows: tuple[LibraryRow, ...]


class Zoo2020Row(_Form, frozen=True):
    """act: activations as counted.   tflite_*: TF-Lite Micro.   sram, flash, latency: TinyEngine.

    counted_as: as in Table4Row.
    """

    network: str
    board: str
    counted_as: str
    macs: Printed
    params: Printed
    act: Printed
    sram: Printed
    flash: Printed
    top1_quantized: Printed
    tflite_sram: Printed = NOTHING
    tflite_flash: Printed = NOTHING
    tflite_latency: Printed = NOTHING
    latency: Printed = NOTHING
    top1_float: Printed = NOTHING
    top5_float: Printed = NOTHING
    top5_quantized: Printed = NOTHING

    @property
    def is_grey(self) -> bool:
        """Below eight bits."""
        return self.network.endswith(Precision.INT4)


class Zoo2020(_Form, frozen=True):
    title: str
    source: str
    rows: tuple[Zoo2020Row, ...]
