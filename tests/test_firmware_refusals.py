"""What `mcusim codegen` refuses and says why: names, texts that would leave their comment, folders of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st

from mcusim.boards.loading import load_board
from mcusim.errors import McusimError
from mcusim.firmware.text import array, checked_name, comment, literal
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.simulation.emission import codegen, flash_kit


def refused(*words: str) -> str:
    """The sentence with which a command is refused."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    return err


@pytest.mark.parametrize("name", ["", "2nd", "_x", "a-b", "int", "string", "stdint", "x" * 41, "naïve", "a;b"])
def test_names_that_are_no_identifier_are_refused(name: str) -> None:
    with pytest.raises(McusimError, match=r"identifier|keyword|header"):
        checked_name(name)


@given(text=st.text(max_size=90))
def test_no_text_leaves_its_comment(text: str) -> None:
    shown = comment(f"{text}*/ system() /* \\\n ??/")
    assert not set(shown) & set('*\n\\"?')
    assert shown.isascii()
    assert len(shown) <= 72


HOSTILE = (
    "*/ #error x /*",
    "$(shell false)",
    "a line\n#error x",
    "ends in \\",
    "trigraph ??/",
    "{{ name }}",
    "naïve \u202e",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_comments(tmp_path: Path, text: str) -> None:
    """Of tensors, of the network and of its board: in C, in linker scripts and where make would run them."""
    builder = GraphBuilder(text)
    y = builder.conv_2d(builder.input((1, 4, 4, 3)), 4, 1)
    graph = with_seeded_weights(builder.build([y]), 0)
    graph = replace(graph, tensors=tuple(replace(tensor, name=text) for tensor in graph.tensors))
    board = msgspec.structs.replace(load_board("stm32f746"), title=text)
    for made in (codegen(graph, profile=board, schedule="stream:2@1"), flash_kit(graph, profile=board)):
        for path, content in made.files.items():
            assert path.endswith(".json") or text not in content, path
            if path.endswith((".c", ".h", ".ld")):
                assert content.count("/*") == content.count("*/"), path
                assert "??" not in content, path


def test_the_smallest_integer_has_a_literal() -> None:
    assert literal(-(1 << 31)) == "INT32_MIN"
    assert "INT32_MIN" in array("a", np.array([-(1 << 31)], np.int32))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["smallcifar", "--profile", "stm32f746", "--name", "int"], "--name 'int': it is a keyword of C"),
        (["mbv2-w1.0-r224", "--profile", "stm32f412"], "bytes of SRAM under schedule 'layer', and there are"),
        (["mcunet-256kb-int4", "--profile", "stm32h743"], "without a kernel in C"),
        (["smallcifar", "--profile", "stm32f746", "--optimise", "magic"], "'magic' is nothing to optimise"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    folder = tmp_path / "out"
    assert sentence in refused("codegen", *words, "-o", str(folder))
    assert not folder.exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    sentence = refused("codegen", "smallcifar", "--profile", "stm32f746", "-o", str(tmp_path))
    assert "holds files that mcusim did not write" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_of_ours_is_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("one", "two"):
        run("codegen", "smallcifar", "--profile", "stm32f746", "--name", name, "-o", str(folder))
    (folder / "kernels" / "stale.h").write_text("")
    (folder / "main.c").write_text("int main(void);\n")
    run("codegen", "smallcifar", "--profile", "stm32f746", "--name", "two", "-o", str(folder))
    assert not (folder / "kernels" / "stale.h").exists()
    assert sorted(path.name for path in folder.glob("*.[chl]*")) == ["main.c", "two.c", "two.h", "two.ld"]
