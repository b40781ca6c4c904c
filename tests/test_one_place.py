"""What an operator, a runtime, a board, a convention and a kind of stage touch: counted, and added from outside.

The table in docs/architecture.md says in how many files of the package each is named; this test counts them. A file
that names one more is a decision: it moves the fact into the operator's own file, or changes the table.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from commands import run

import mcusim
from mcusim.cli.options import convention_names
from mcusim.conventions import CONVENTIONS
from mcusim.errors import ModelError
from mcusim.execution import execute
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph, Quantization
from mcusim.ops import OPS
from mcusim.ops.registry import Call, Drawing, OpDef, register
from mcusim.ops.shared.custom import CustomAttributes
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.spreads import same
from mcusim.runtimes import RUNTIMES, find_runtime
from mcusim.simulation.emission import codegen

PACKAGE = Path(mcusim.__file__).parent
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"
GENERATED = ("vendored", "tflite_tables.py")
"""Written by a script from TensorFlow's schema: nobody edits them to add an operator."""


def strings() -> dict[str, frozenset[str]]:
    """The string literals of each file of the package; docstrings are prose, and left out."""
    literals_of = {}
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        if not any(part in name for part in GENERATED):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            literals = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
            literals_of[name] = frozenset(node.value for node in literals if isinstance(node.value, str))
    return literals_of


STRINGS = strings()


def places(word: str) -> list[str]:
    """Files with a literal that is this word."""
    return sorted(name for name, literals in STRINGS.items() if word in literals)


def attribute_places(attribute: str) -> list[str]:
    return sorted(
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(rf"\bStageKind\.{attribute}\b", path.read_text(encoding="utf-8"))
    )


def counted() -> dict[str, tuple[int, int]]:
    """Kind -> files that name the median one of it, and the one that is named most."""
    from mcusim.boards import all_boards
    from mcusim.schedule import StageKind

    counts = {
        "operator": [len(places(op)) for op in OPS],
        "runtime": [len(places(name)) for name in RUNTIMES],
        "board": [len(places(board.name)) for board in all_boards()],
        "convention": [len(places(name)) for name in CONVENTIONS],
        "kind of stage": [len(attribute_places(kind.name)) for kind in StageKind],
    }
    return {kind: (round(statistics.median(each)), max(each)) for kind, each in counts.items()}


def test_the_table_says_what_is_counted() -> None:
    rows = re.findall(r"^\| (?:an?|the) ([a-z ]+) \| (\d+) \| (\d+) \|", ARCHITECTURE.read_text(encoding="utf-8"), re.M)
    stated = {kind: (int(median), int(most)) for kind, median, most in rows}
    in_code = counted()
    assert stated.keys() == in_code.keys()
    for kind, (median, most) in in_code.items():
        assert median <= stated[kind][0], f"the median {kind} is named in {median} files: bring its facts together"
        assert most <= stated[kind][1], f"one {kind} is named in {most} files: bring its facts together"
        assert most > stated[kind][1] - 6, f"{kind}: fewer than the table says, which should not hide that"


def test_a_convention_is_a_file_of_its_name() -> None:
    assert list(convention_names()) == sorted(CONVENTIONS)
    assert ",".join(convention_names()) in "".join(run("run", "--help").out.split())  # lines are broken at hyphens


# ---------------------------------------------------------------------------------------------------------------------
# An operator that is registered from outside

TOY = "CUSTOM:ToyFlip"
KERNEL = """
def run(prepared, inputs, outputs, piece):
    outputs[0][...] = ~inputs[0]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpDef]:
    """An operator with its kernel, neither of which lies in the package."""
    (tmp_path / "toy_package").mkdir()
    (tmp_path / "toy_package" / "flip.py").write_text(KERNEL)
    monkeypatch.syspath_prepend(str(tmp_path))

    def prepare(call: Call) -> None:
        if call.input(0).dtype is not call.outputs[0].dtype:
            raise ModelError("the types differ", where=call.where, fix="make them alike")

    op = replace(
        unary(TOY, "every bit flipped"),
        attributes=CustomAttributes,
        prepare=prepare,
        kernel="toy_package.flip",
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
    yield register(op)
    del OPS[TOY]
    sys.modules.pop("toy_package.flip", None)
    sys.modules.pop("toy_package", None)


def network(*, known: bool = True) -> Graph:
    b = GraphBuilder("toy")
    scale = Quantization((0.5,), (0,)) if known else None
    x = b.input((1, 8, 8, 4), quantization=scale)
    return b.build([b.op(TOY, [x], quantization=scale)])


def test_it_loads_and_exports(toy: OpDef) -> None:
    content = write_tflite(network())
    again = parse_tflite(content, name="toy", where="toy.tflite")
    assert [node.op for node in again.nodes] == [TOY]
    assert write_tflite(again) == content
    drawn = with_seeded_weights(network(known=False))
    assert drawn.tensors[drawn.outputs[0]].quantization == drawn.tensors[drawn.inputs[0]].quantization is not None


def test_it_executes(toy: OpDef) -> None:
    x = np.random.default_rng(3).integers(-128, 128, (1, 8, 8, 4), np.int8)
    for schedule in ("layer", "patch:2x2@1", "stream:4@1"):
        (y,) = execute(network(), [x], schedule=schedule)
        np.testing.assert_array_equal(y, -x.astype(np.int16) - 1)


def test_it_is_planned_and_priced(toy: OpDef) -> None:
    report = mcusim.simulate(network(), profile="stm32f412", runtime="tflm")
    assert report.sram.peak_bytes >= 8 * 8 * 4
    assert report.layers[0].cycles is not None
    assert report.layers[0].cycles > 0
    assert report.runtime.runs is False
    assert any("ToyFlip" in warning for warning in report.warnings)


def test_codegen_refuses_it_by_name(toy: OpDef) -> None:
    with pytest.raises(ModelError, match="ToyFlip"):
        codegen(network(), profile="stm32f412")


def test_without_it_nothing_is_left() -> None:
    assert TOY not in OPS
    with pytest.raises(ModelError, match="TOYFLIP"):
        network()


# ---------------------------------------------------------------------------------------------------------------------
# A runtime and a way of counting, a file each

TOY_RUNTIME = """
from dataclasses import replace

from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.registry import register

TOY = register(replace(RUNTIMES["mcusim"], name="toy-runtime"))
"""
TOY_CONVENTION = """
from mcusim.conventions.registry import Convention, register
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem

TOY = register(
    Convention(
        name="toy-count",
        what="a thousand bytes",
        basis=Basis.DERIVED,
        evidence="made up",
        parts=lambda graph, schedule: (LedgerItem("all", 1000, "a thousand bytes"),),
    )
)
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both files, loaded as the packages load their own."""
    (tmp_path / "toy_runtime_file.py").write_text(TOY_RUNTIME)
    (tmp_path / "toy_convention_file.py").write_text(TOY_CONVENTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    import_module("toy_runtime_file")
    import_module("toy_convention_file")
    yield
    del RUNTIMES["toy-runtime"], CONVENTIONS["toy-count"]
    find_runtime.cache_clear()
    for name in ("toy_runtime_file", "toy_convention_file"):
        sys.modules.pop(name)


def test_a_runtime_is_one_file(toys: None, tmp_path: Path) -> None:
    """It answers, is listed, is planned beside the others and is drawn, and nothing else has heard of it."""
    report = mcusim.simulate("smallcifar", profile="stm32f412", runtime="toy-runtime")
    like = mcusim.simulate("smallcifar", profile="stm32f412", runtime="mcusim")
    assert report.runtime.name == "toy-runtime"
    assert report.sram.peak_bytes == like.sram.peak_bytes
    assert "toy-runtime" in run("runtimes").out
    assert "toy-runtime" in run("plan", "smallcifar", "--all").out
    picture = tmp_path / "toy.svg"
    assert run("plot", "timeline", "smallcifar", "--runtime", "toy-runtime", "-o", str(picture)).code == 0
    assert picture.stat().st_size > 1000


def test_a_convention_is_one_file(toys: None) -> None:
    report = mcusim.simulate("smallcifar", profile="stm32f412", runtime="tflm", convention="toy-count")
    assert report.sram.peak_bytes == 1000
    assert report.convention.name == "toy-count"
    assert "toy-count" in run("plan", "smallcifar", "--all").out
