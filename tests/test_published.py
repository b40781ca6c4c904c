"""Published tables as data: complete, well formed, of networks and boards that exist; and judging by printed digits."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec
import published as retyped
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim import published, zoo
from mcusim.boards import load_board
from mcusim.published import Precision, Printed, Unit

TABLES = (
    published.table4,
    published.vww,
    published.voc,
    published.mcunetv2,
    published.h743_libraries,
    published.zoo_2020,
)


# ---------------------------------------------------------------------------------------------------------------------
# The tables, against figures that were typed in on another day


def _rows(table) -> list:
    fields = [getattr(table, name) for name in table.__struct_fields__]
    return [row for field in fields if isinstance(field, tuple) for row in field]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_what_is_named_exists(table):
    printed = table()
    assert printed.title
    assert printed.source
    for row in _rows(printed):
        if getattr(row, "network", ""):
            assert row.network in zoo.names()
        if getattr(row, "board", ""):
            assert load_board(row.board).name == row.board
        if hasattr(row, "unit"):
            assert row.unit in {unit.symbol for unit in Unit}
        if hasattr(row, "key"):
            assert row.printed


def test_every_figure_is_there():
    counts = {table.__name__: len(_rows(table())) for table in TABLES}
    assert counts == {"table4": 13, "vww": 11, "voc": 7, "mcunetv2": 22, "h743_libraries": 48, "zoo_2020": 12}


def test_the_library_comparison():
    printed = published.h743_libraries()
    sram_of = {
        library.runtime: {r.network: r.sram for r in printed.rows if r.library == library.name and r.sram.value}
        for library in printed.libraries
    }
    for runtime, column in retyped.TFLM_H743_KIB.items():
        assert {name: float(sram) for name, sram in sram_of[runtime].items()} == column
    assert {n: float(s) for n, s in sram_of["x-cube-ai"].items()} == retyped.X_CUBE_AI_H743_KIB
    ours = {n: float(s) for n, s in sram_of["tinyengine"].items() if n != "mbv2-w0.3-r64"}
    assert ours == retyped.TINYENGINE_H743_KIB
    ran_out = [(r.network, r.library) for r in printed.rows if r.sram.ran_out]
    assert ran_out == [("mcunet-in4", "TF-Lite Micro"), ("mcunet-in4", "CMSIS-NN")]


def test_the_model_zoo_of_2020():
    rows = {row.network: row for row in published.zoo_2020().rows}
    assert {n: float(rows[n].sram) for n in retyped.ZOO_2020_KIB} == retyped.ZOO_2020_KIB
    assert {n: float(rows[n].act) for n in retyped.ACT_2020_KIB} == retyped.ACT_2020_KIB
    assert {n: float(rows[n].sram) for n in retyped.INT4_2020_KIB} == retyped.INT4_2020_KIB


def test_table_4():
    rows = published.table4().rows
    sram_kib = {row.network: float(row.sram) for row in rows if row.counted_as == "table4"}
    assert sram_kib == retyped.TABLE4_KIB
    assert [row.precision for row in rows if row.is_grey] == [Precision.MIXED, Precision.INT4] * 2
    assert [row.model for row in rows if not row.network] == ["MCUNet-M4", "MCUNet-H7"]
    above = [
        row.model for row in rows if row.sram.value and row.sram.value * 1024 > load_board(row.board).sram_budget_bytes
    ]
    assert above == ["MbV2 0.35x (r=144)", "Proxyless 0.3x (r=176)"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('macs = "4,5"', "is no figure"),
        ('macs = "24"\nmac = "1"', "unknown field"),
        ("macs = 24", "in quotes"),
        ('macs = "24"\nprecision = "int7"', "int7"),
    ],
)
def test_a_wrong_file_names_the_field(text, sentence):
    row = {"precision": '"int8"'} if "precision" not in text else {}
    row |= dict.fromkeys(("board", "model", "library", "sram", "flash", "top1"), '"1"')
    lines = "\n".join(f"{key} = {value}" for key, value in row.items())
    document = f'title = "t"\nsource = "s"\nclaims = []\n[[rows]]\n{lines}\n{text}\n'
    with pytest.raises(msgspec.ValidationError, match=rf"{sentence}.*\$\.rows\[0\]"):
        published.parse(document, published.Table4)


# ---------------------------------------------------------------------------------------------------------------------
# Figures as printed


@pytest.mark.parametrize("text", ["-1", "1.", ".5", "1 KiB", "1e3", "<", "3-", "oom", "nan", "<>1", "1,024"])
def test_what_is_no_figure(text):
    with pytest.raises(ValueError, match="is no figure"):
        Printed(text)


def test_kinds_of_figures():
    nothing, whole, below, above, spread, ran_out = map(Printed, ("", "49.0", "<256", ">90", "3.7-8.0", "OOM"))
    assert [bool(p) for p in (nothing, whole, ran_out)] == [False, True, True]
    assert (whole.value, whole.number) == (49.0, Decimal("49.0"))
    assert [p.is_bound for p in (nothing, whole, below, above, spread, ran_out)] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]
    assert [p.value for p in (nothing, below, above, spread, ran_out)] == [None] * 5
    assert (below.number, spread.number) == (256, None)
    assert (ran_out.ran_out, whole.ran_out) == (True, False)
    assert (below.is_met_by(255.9), below.is_met_by(256), above.is_met_by(90.1), above.is_met_by(90)) == (
        True,
        False,
        True,
        False,
    )
    assert [spread.is_met_by(v) for v in (3.64, 3.65, 8.04, 8.05)] == [False, True, True, False]
    assert [p.is_met_by(1.0) for p in (nothing, ran_out)] == [None, None]


@given(st.decimals(0, 10_000, places=3), st.integers(0, 3))
def test_a_value_meets_its_own_rounding_and_no_other(value, places):
    step = Decimal(1).scaleb(-places)
    printed = Printed(str(Decimal(repr(float(value))).quantize(step, ROUND_HALF_UP)))
    assert printed.is_met_by(float(value))
    assert not printed.is_met_by(float(printed) + float(step) * 0.75)
    assert not Printed(str(printed.number + step)).is_met_by(float(printed))
