"""One sentence in two languages: options in the shell, arguments in Python; and no advice that cannot be followed."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advice import assert_followed, typed_commands
from commands import REPO, run

import mcusim
from mcusim.boundary.calling import ArgumentError
from mcusim.boundary.wording import in_python, in_shell, options_in, without_options
from mcusim.cli.app import COMMANDS, options_of

NET = "mcunet-vww0"
PACKAGE = REPO / "mcusim"


def sentences(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield node.value


@pytest.mark.slow
def test_every_command_in_backticks_can_be_typed() -> None:
    lines = {line for path in PACKAGE.rglob("*.py") for text in sentences(path) for line in typed_commands(text)}
    assert len(lines) > 30
    for line in lines:
        assert line[0].startswith("--") or line[0] in COMMANDS, line
        named = {word.partition("=")[0] for word in line if word.startswith("--")}
        assert named <= options_of(line), line


@pytest.mark.slow
def test_every_option_of_a_sentence_is_one_of_some_command() -> None:
    known = frozenset[str]().union(*(options_of((name,)) for name in COMMANDS))
    foreign = {"--program", "--sectorerase", "--reset", "--dim_param", "--dim_value", "--dim"}
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "cli") or "vendored" in path.parts:
            continue
        for text in sentences(path):
            assert ":root" in text or options_in(text) - foreign <= known, (path, text)


def test_a_commands_own_sentences_name_its_own_options() -> None:
    """In the module of a command; what several share (`options`, `shell`, ...) is looked at when it is said."""
    for name, command in COMMANDS.items():
        for text in sentences(PACKAGE / "cli" / f"{command.home}.py"):
            if "Examples" not in text:
                assert_followed([name], text)


@pytest.mark.parametrize(
    "words",
    [
        ["run", NET, "--profile", "stm32f412"],
        ["patch", NET, "--profile", "stm32f412"],
        ["fit", NET, "--profile", "stm32f412"],
        ["bits", NET, "--profile", "stm32f412"],
        ["plot", "front", NET, "--profile", "stm32f412", "-o", "x.svg"],
        ["plot", "space", "mcunet", "--profile", "stm32f412", "-o", "x.svg"],
        ["search", "mcunet", "--profile", "stm32f412"],
        ["search-net", "--macs", "10M", "--profile", "stm32f412"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("budget", ["--sram-budget", "--flash-budget"])
def test_a_budget_above_the_boards_is_refused_everywhere(words: list[str], budget: str) -> None:
    code, _, err = run(*words, budget, "100M")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{budget}: 100.00 MiB is more than the" in err
    assert "add --what-if" in err
    assert "--what-if" in options_of(tuple(words))


@pytest.mark.parametrize("option", ["--profile", "--runtime"])
@pytest.mark.parametrize("command", ["fit", "bits", "patch", "plan"])
def test_all_is_asked_of_run_only(command: str, option: str) -> None:
    words = {"--profile": "stm32f412", option: "all"}
    code, _, err = run(command, NET, *[word for pair in words.items() for word in pair])
    assert code == 2
    assert err.startswith(f"mcusim: {option}: ")
    assert (
        f"`mcusim run MODEL --profile {'all' if option == '--profile' else 'BOARD --runtime all'}` asks them all" in err
    )


def test_a_file_is_told_no_option(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(f'[[budget]]\nnetwork = "{NET}"\nboard = "stm32f412"\nsram = "100M"\n')
    _, out, err = run("check", str(path))
    assert "is more than the 256.0 KiB" in " ".join((out + err).split())
    assert "--what-if" not in out + err


@pytest.mark.parametrize(
    ("said", "python"),
    [
        ("use --what-if", "use what_if=True"),
        ("give --classes FILE with a name", "give classes=FILE with a name"),
        ("use --preprocess resize=stretch or resize=crop", 'use preprocess="resize=stretch" or resize=crop'),
        ("raise --limit, or another --form", "raise limit, or another form"),
        ("--limit spreads over them", "limit spreads over them"),
        ("--label-offset -1 if", "label_offset=-1 if"),
        ("use --runtime tflm", 'use runtime="tflm"'),
        (
            "`mcusim plan M --planner best-fit` writes, or --sram-budget",
            "`mcusim plan M --planner best-fit` writes, or sram_budget_bytes",
        ),
        ("a -- dash, well-known--not", "a -- dash, well-known--not"),
    ],
)
def test_sentences_in_python(said: str, python: str) -> None:
    assert in_python(said) == python


def test_places_in_the_shell() -> None:
    options = options_of(("run",))
    assert in_shell("sram_budget_bytes", options) == "--sram-budget"
    assert in_shell("input_place", options) == "--input"
    assert in_shell("network 'x'", options) == "network 'x'"
    assert without_options("use 5 or less, or add --what-if to ask more") == "use 5 or less"
    assert without_options("add --what-if") == "add --what-if"
    assert without_options("raise --max-memory, or ask for less") == "ask for less"
    assert (
        without_options("raise --max-memory, or ask for less", ["--max-memory"])
        == "raise --max-memory, or ask for less"
    )
    _, _, err = run("run", NET, "--profile", "stm32f412", "--sram-budget", "10M")
    assert err.startswith("mcusim: --sram-budget: ")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("bits", {"model": NET, "profile": "stm32f412", "margin": "x"}, "margin: it is str 'x'"),
    ("bits", {"model": NET}, "mcusim.bits: .*'profile'"),
    ("bits", {"model": NET, "profile": "stm32f412", "margin": 2.0}, "margin: it is 2.0"),
    ("plan", {"model": NET, "pointer_bits": "a"}, "pointer_bits: it is str 'a'"),
    ("plan", {"model": NET, "pointer_bits": 63}, "pointer_bits: .*63"),
    ("plan", {"model": NET, "planner": 7}, "planner: it is int 7"),
    ("plan", {"model": NET, "planner": "x"}, "planner: there is no planner"),
    ("fit", {"model": NET}, "mcusim.fit: .*'profile'"),
    ("fit", {"model": NET, "profile": "all"}, "this answer is of one"),
    (
        "patch",
        {"model": NET, "profile": "stm32f412", "grid": 0},
        "mcusim.patch: .*'grid'\n  fix: did you mean max_grid",
    ),
    ("patch", {"model": NET, "profile": "stm32f412", "max_grid": 0}, "max_grid"),
    ("simulate", {"model": NET, "profile": "stm32f412", "what_if": "yes"}, "what_if: it is str"),
    ("simulate", {"model": NET, "profile": "stm32f412", "sram_budget_bytes": 10**8}, "what_if=True"),
    ("simulate", {"model": NET, "profile": "stm32f412", "max_ms": "x"}, "max_ms: it is str"),
    ("diff", {"a": NET, "inputs": [], "numerics": "bogus,tflm"}, "numerics: there is no numeric mode 'bogus'"),
    ("evaluate", {"model": NET, "data": 3}, "data: it is int 3"),
    ("evaluate", {"model": NET, "data": "x", "limit": 1.5}, "limit: it is float"),
    ("search_net", {"macs": "x", "profile": "stm32f412"}, "macs: it is str"),
    ("load_board", {"name": 3}, "name: it is int"),
    ("diff", {"a": NET, "inputs": [], "numerics": 3}, "numerics: it is int 3"),
    ("patch", {"model": NET, "profile": "stm32f412", "kinds": 3}, "kinds: it is int 3"),
    ("patch", {"model": NET, "profile": "stm32f412", "progress": 3}, "progress: it is int 3"),
    ("simulate", {"model": NET, "profile": "stm32f412", "firmware": 3}, "firmware: it is int 3"),
    ("trace", {"model": NET, "profile": "stm32f412", "calibration": 3}, "calibration: it is int 3"),
    ("evaluate", {"model": NET, "data": "x", "classes": [1, 2]}, "classes: it is list"),
    ("evaluate", {"model": NET, "data": "x", "preprocess": [3]}, "preprocess: it is list"),
    ("find_network", {"space": 3, "profile": "stm32f412"}, "space: it is int 3"),
    ("find_network", {"space": "mcunet", "profile": "stm32f412", "predictor": 3}, "predictor: it is int 3"),
]


@pytest.mark.parametrize(("name", "arguments", "sentence"), WRONG, ids=[f"{w[0]}-{w[2][:20]}" for w in WRONG])
def test_python_is_told_in_python(name: str, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(mcusim.McusimError, match=sentence) as caught:
        getattr(mcusim, name)(**arguments)
    assert not options_in(str(caught.value))


@pytest.mark.parametrize("ask", ["simulate", "fit"])
def test_answers_in_python_speak_of_arguments(ask: str) -> None:
    """Warnings and hints: the shell is told of options."""
    question = {"profile": "stm32f412", "runtime": "tflm", "input_place": "external"}
    answer = getattr(mcusim, ask)(NET, **question)
    report = answer if ask == "simulate" else answer.report
    assert any('input_place="arena" counts it' in sentence for sentence in report.warnings)
    assert any('runtime="tflm-cmsis-nn"' in layer.hint for layer in report.layers)
    assert not [sentence for sentence in report.warnings if options_in(sentence)]
    assert not [layer.hint for layer in report.layers if options_in(layer.hint)]
    _, out, _ = run("run", NET, "--profile", "stm32f412", "--runtime", "tflm", "--input", "external", "--json")
    assert "--input arena counts it" in out


def test_a_call_that_does_not_suit_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match=r"mcusim\.fit"):
        mcusim.fit(NET)  # type: ignore[call-arg]
    assert issubclass(ArgumentError, mcusim.McusimError)


def test_numbers_of_numpy_are_numbers() -> None:
    report = mcusim.simulate(NET, profile="stm32f412", max_ms=np.float32(1e6), what_if=np.bool_(True))  # type: ignore[arg-type]
    assert report.fits
    assert mcusim.bits(NET, profile="stm32f412", margin=np.float32(0.1), min_bits=np.int64(4)).fits  # type: ignore[arg-type]


def test_functions_keep_their_names() -> None:
    functions = [name for name in mcusim.__all__ if inspect.isfunction(getattr(mcusim, name))]
    assert len(functions) > 12
    for name in functions:
        function = getattr(mcusim, name)
        assert (function.__name__, function.__module__) == (name, "mcusim")
        assert inspect.signature(function) == inspect.signature(inspect.unwrap(function))
