"""Networks of the published search space: the space, the counts, the search, the witnesses of the zoo, the command."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

import mcusim
from mcusim import zoo
from mcusim.boards import load_board
from mcusim.designing.spaces.detection_head import Features, detection_head, output_channels
from mcusim.designing.spaces.mcunetv2 import Choice, Task, rounded
from mcusim.designing.witnesses import search_net
from mcusim.designing.witnesses.counting import exact_figures, figures_of, least_sram_bytes, sums_of
from mcusim.designing.witnesses.files import network_file
from mcusim.designing.witnesses.moves import Draw, Space, any_choice, is_runnable, neighbour
from mcusim.designing.witnesses.rows import rows
from mcusim.errors import InputError, ModelError
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.schedule import parse_schedule

ROOT = Path(__file__).resolve().parents[1]
KIB = 1024
TASKS = st.sampled_from(list(Task))

# As the tables print them: (board, MACs in millions, SRAM in kB, flash in kB, parameters in millions).
PRINTED = {
    "table4:mcunet-m4": ("stm32f412", 119, 196, 1010, None),
    "table4:mcunet-h7": ("stm32h743", 256, 465, 2032, None),
    "voc:mcunet": ("stm32h743", 168, 466, None, 1.2),
    "voc:mcunetv2-h7": ("stm32h743", 343, 438, None, 0.67),
    "voc:mcunetv2-m4": ("stm32f412", 172, 247, None, 0.47),
    "vww:under-32kb": ("stm32f410", None, None, None, None),
}
QUICK = "voc:mcunet"
"""The row whose search takes the fewest steps."""


def drawn(task: Task, seed: int) -> Choice:
    return any_choice(Space(task), Draw(seed))


# ---------------------------------------------------------------------------------------------------------------------
# The space


@pytest.mark.parametrize(
    ("channels", "width", "known"),
    [
        (32, 0.5, 16),
        (16, 0.5, 8),
        (24, 0.5, 16),
        (24, 0.75, 24),
        (40, 0.5, 24),
        (80, 0.75, 64),
        (96, 0.75, 72),
        (320, 0.75, 240),
    ],
)
def test_channels_are_rounded_as_those_of_the_released_networks(channels: int, width: float, known: int) -> None:
    assert rounded(channels, width) == known


@pytest.mark.parametrize(("name", "width"), [("mcunet-in4", 1.0), ("mcunet-in3", 0.5)])
def test_the_frame_is_that_of_the_released_networks(name: str, width: float) -> None:
    """First convolution, first block, and the steps that channels and strides take."""
    choice = drawn(Task.IMAGENET, 0)
    choice = Choice(choice.task, choice.resolution, (width,) * len(choice.widths), choice.stages)

    def steps(description: dict[str, Any]) -> list[tuple[int, int]]:
        """Channels and stride wherever they may change; the classifier has a name."""
        layers = [layer for layer in description["layers"] if "out_channels" in layer and "name" not in layer]
        return [(layer["out_channels"], layer.get("stride", 1)) for layer in layers if "shortcut" not in layer]

    assert steps(choice.network()) == steps(zoo.network_description(name))


@given(task=TASKS, seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_neighbours_stay_in_the_space(task: Task, seed: int) -> None:
    draw = Draw(seed)
    choice = any_choice(Space(task), draw)
    for _ in range(30):
        choice = neighbour(choice, draw)
        assert is_runnable(choice)
        assert_in_the_space(choice.network(), str(choice.schedule()))


def assert_in_the_space(network: dict[str, Any], schedule: str) -> None:
    """By the description alone, as the paper's Appendix B has it."""
    side, _, image = network["input"]
    assert (side in {96, 128, 160, 192, 224, 256}, image) == (True, 3)
    body = [
        layer
        for layer in network["layers"]
        if layer["op"] == "mbconv" and not layer.get("name", "").startswith(("p", "n"))
    ]
    first, blocks = body[0], body[1:]
    assert (first["kernel"], first["expand"]) == (3, 1)
    assert {block["kernel"] for block in blocks} <= {3, 5, 7}
    assert {block["expand"] for block in blocks} <= {3, 4, 6}
    stages: list[list[dict[str, Any]]] = []
    for block in blocks:
        if "shortcut" in block:
            stages[-1].append(block)
        else:
            stages.append([block])
    base = (24, 40, 80, 96, 192, 320)
    if len(stages) < len(base) - 1:  # stages of equal width at stride 1 join
        return
    for stage, channels in zip(stages, base, strict=False):
        assert len(stage) in ({2, 3, 4} if channels != 320 else {1})
        assert stage[0]["out_channels"] in {rounded(channels, width) for width in (0.5, 0.75, 1.0)}
    if schedule != "layer":
        (stage_spec,) = parse_schedule(schedule).stages
        assert stage_spec.rows == stage_spec.cols
        assert stage_spec.rows in {2, 3, 4}


def test_draws_are_those_of_every_python() -> None:
    draw = Draw(7)
    assert [draw.index(100) for _ in range(6)] == [32, 15, 65, 7, 53, 36]
    assert draw.another((3,), 3) == 3


# ---------------------------------------------------------------------------------------------------------------------
# Counts


@pytest.mark.slow
@given(task=TASKS, seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_sums_of_parts_are_what_the_whole_network_counts(task: Task, seed: int) -> None:
    choice = drawn(task, seed)
    graph = graph_from_dict(choice.network())
    figures = exact_figures(graph, choice.schedule())
    assert figures_of(choice, sums_of(choice)) == figures
    assert 0 < least_sram_bytes(choice) <= figures.sram_bytes


def test_a_network_counts_what_a_report_says() -> None:
    choice = drawn(Task.VWW, 3)
    graph, schedule = graph_from_dict(choice.network()), choice.schedule()
    figures = exact_figures(graph, schedule)
    report = mcusim.simulate(graph, profile="stm32h743", schedule=schedule, convention="tinyengine-codegen")
    assert (report.model.macs, report.sram.peak_bytes) == (figures.macs, figures.sram_bytes)
    assert (report.flash.total_bytes, report.schedule.recomputed_macs) == (figures.flash_bytes, figures.recomputed_macs)


def test_the_detection_head_is_that_of_the_person_detector() -> None:
    """Given its channels: the same convolutions, on maps of the same size, wherever they stand."""
    shapes = {"c8": [16, 20, 16], "c16": [8, 10, 32], "c32": [4, 5, 48]}
    layers = detection_head(Features(16, 32, 48), output_channels(1))
    head = graph_from_dict({"inputs": {name: [1, *shape] for name, shape in shapes.items()}, "layers": layers})
    whole = zoo.build("person-det")
    start = next(i for i, node in enumerate(whole.nodes) if node.name == "a4_2") + 1

    def kinds(graph: Graph, first: int = 0) -> Counter[tuple[Any, ...]]:
        shown = (node for node in graph.nodes[first:] if node.op != "PAD")
        return Counter(
            (node.op, node.signature.output.shape, *(node.signature.input(1).shape if "CONV" in node.op else ()))
            for node in shown
        )

    assert kinds(head) == kinds(whole, start)


# ---------------------------------------------------------------------------------------------------------------------
# The search


@pytest.mark.slow
def test_a_search_again_gives_the_stored_file_byte_for_byte() -> None:
    path = ROOT / "scripts" / "regen_witnesses.py"
    spec = importlib.util.spec_from_file_location("regen_witnesses", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    stored = ROOT / "mcusim" / "zoo" / "networks" / f"{rows()[QUICK].notes.witness}.toml"
    assert script.witness_file(QUICK) == stored.read_text(encoding="utf-8")


@pytest.mark.slow
def test_more_macs_within_budgets() -> None:
    reported: list[tuple[int, int, float]] = []
    asked: dict[str, Any] = {"profile": "stm32f412", "task": "vww", "resolutions": [96], "grids": [1, 2], "effort": 10}
    most = search_net(**asked, most_macs=True, progress=lambda *now: reported.append(now))
    some = search_net(**asked, macs=12e6, tolerance=0.1)
    assert most.meets
    assert some.meets
    assert most.figures.macs > some.figures.macs
    assert most.figures.sram_bytes <= load_board("stm32f412").sram_budget_bytes
    assert (reported[-1][0], reported[-1][2]) == (reported[-1][1], 0)
    assert most == search_net(**asked, most_macs=True)
    assert re.fullmatch(r"<FoundNetwork '.*' on 'stm32f412': meets all that was asked, \d+ networks tried>", repr(most))
    assert most.graph.source.description.endswith("accuracy unknown")


@pytest.mark.slow
def test_what_cannot_be_met_says_how_far_it_is_off() -> None:
    nearest = search_net(macs=1e6, profile="stm32f412", task="vww", resolutions=[96], grids=[1], effort=10)
    off = {judged.of: judged for judged in nearest.judged}
    assert not nearest.meets
    assert not off["macs"].is_met
    assert off["macs"].off == nearest.figures.macs / 1e6 - 1 > 1
    assert off["flash_bytes"].is_met


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "nothing is asked"),
        ({"macs": 1e7}, "for which board"),
        ({"row": "table4:mcunet-m5"}, r"no row 'table4:mcunet-m5'(?s:.*)did you mean"),
        ({"row": QUICK, "profile": "stm32f412"}, "the row says that already"),
        ({"row": QUICK, "macs": 1e6}, "the row says that already"),
        ({"most_macs": True, "profile": "stm32f412", "task": "audio"}, r"no task(?s:.*)imagenet, vww, voc"),
        ({"most_macs": True, "profile": "stm32f412", "resolutions": [100]}, "100 is not in the space"),
        ({"most_macs": True, "profile": "stm32f412", "grids": []}, "there are none"),
        ({"most_macs": True, "profile": "stm32f412", "resolutions": [256], "grids": [3]}, "divides into these grids"),
        ({"most_macs": True, "profile": "stm32f412", "tolerance": 1.5}, "is not a ratio"),
        ({"most_macs": True, "profile": "stm32f412", "seed": -1}, "seed is -1"),
        ({"most_macs": True, "profile": "stm32f412", "effort": 0}, "effort is 0"),
        ({"sram_bytes": 2**20, "profile": "stm32f412"}, "above the budget"),
    ],
)
def test_wrong_questions(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        search_net(**asked)


# ---------------------------------------------------------------------------------------------------------------------
# The witnesses of the zoo


def test_every_row_has_its_witness() -> None:
    assert set(rows()) == set(PRINTED)
    wanted = {row.notes.witness for row in rows().values()}
    assert {zoo.witness_of(row) for row in rows()} == wanted == set(zoo.witness_names())
    assert zoo.witness_of("table4:mbv2") is None
    assert all(zoo.describe(name).witness is not None for name in zoo.witness_names())
    assert all(zoo.describe(name).witness is None for name in zoo.names())


@pytest.mark.parametrize("row", PRINTED)
def test_a_witness_meets_its_row_and_stays_below_the_board(row: str) -> None:
    board, macs, sram_kb, flash_kb, params = PRINTED[row]
    name = zoo.witness_of(row)
    assert name is not None
    witness = zoo.describe(name).witness
    assert witness is not None
    assert (witness.of, witness.profile) == (row, board)
    report = mcusim.simulate(name, profile=board, schedule=witness.schedule, convention="tinyengine-codegen")
    assert report.sram.fits
    assert mcusim.simulate(name, profile=board, schedule=witness.schedule).sram.fits
    assert report.schedule.recomputed_macs <= (0.4 if row.startswith("voc") else 0.17) * report.model.macs
    counts = (
        report.model.macs,
        report.sram.peak_bytes,
        report.flash.total_bytes,
        zoo.published_params(zoo.build(name)),
    )
    assert counts == (witness.macs, witness.sram_bytes, witness.flash_bytes, witness.params)
    asked = [macs and macs * 1e6, sram_kb and sram_kb * KIB, flash_kb and flash_kb * KIB, params and params * 1e6]
    for count, figure in zip(counts, asked, strict=True):
        assert figure is None or count == pytest.approx(figure, rel=0.01)
    if row == "vww:under-32kb":
        assert 31.68 * KIB <= report.sram.peak_bytes < 32 * KIB
        assert report.flash.fits is False
    else:
        assert report.flash.fits
    assert_in_the_space(zoo.network_description(name), witness.schedule)


def test_no_network_of_the_space_goes_into_the_flash_of_the_least_part() -> None:
    """The narrowest, shallowest network with the least kernels: what docs/witness.md says of the STM32F410."""
    choice = drawn(Task.VWW, 0)
    blocks = tuple(
        tuple(type(stage[0])(3, 3) for _ in range(2 if n < 5 else 1)) for n, stage in enumerate(choice.stages)
    )
    least = Choice(Task.VWW, 96, (0.5,) * len(choice.widths), blocks)
    assert load_board("stm32f410").flash_bytes < sums_of(least).model_bytes < 231 * KIB


@pytest.mark.parametrize("name", zoo.witness_names())
def test_a_witness_never_carries_published_figures(name: str) -> None:
    entry, graph = zoo.describe(name), zoo.build(name)
    assert entry.published == ()
    assert graph.source.published is None
    assert "accuracy unknown" in graph.source.description
    assert "ACCURACY UNKNOWN" in entry.note


# ---------------------------------------------------------------------------------------------------------------------
# Files and the command


@pytest.mark.slow
def test_a_file_is_a_network_like_any_other(tmp_path: Path) -> None:
    nearest = search_net(
        macs=9e6, profile="stm32f412", task="vww", tolerance=0.1, resolutions=[96], grids=[2], effort=20
    )
    path = tmp_path / "mine.toml"
    path.write_text(network_file(nearest, "mcusim search-net"), encoding="utf-8")
    graph = mcusim.load(path)
    assert (graph.name, graph.nodes) == ("mine", nearest.graph.nodes)
    assert run("run", str(path), "--profile", "stm32f412", "--schedule", str(nearest.schedule)).code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("x = [", "is no network file"),
        ("task = 'classification'", "is no network file"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match=sentence):
        mcusim.load(str(path))


ASKED = (
    "search-net",
    "--profile",
    "stm32f412",
    "--task",
    "vww",
    "--resolution",
    "96",
    "--patches",
    "1",
    "--effort",
    "10",
)


@pytest.mark.slow
def test_the_command_writes_what_can_be_run_and_asked_again(tmp_path: Path) -> None:
    path, document = tmp_path / "mine.toml", tmp_path / "found.json"
    answer = run(*ASKED, "--macs", "9M", "--tolerance", "10%", "-o", str(path), "--json", str(document))
    assert answer.code == 0, answer.err
    assert "accuracy unknown" in answer.out
    assert f"mcusim run {path} --profile stm32f412 --schedule layer".replace(" ", "") in "".join(answer.out.split())
    stated = json.loads(document.read_text())
    assert (stated["meets"], stated["accuracy"], stated["row"]) == (True, None, None)
    assert [one["of"] for one in stated["asked"]] == ["macs", "sram_bytes", "flash_bytes", "placed_bytes", "overhead"]
    again = next(line for line in path.read_text().splitlines() if line.startswith("command = "))
    words = json.loads(again.removeprefix("command = ")).split()
    second = tmp_path / "again.toml"
    assert run(*words[1:], "-o", str(second)).code == 0
    assert second.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_the_command_is_honest_about_failure(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    answer = run(*ASKED, "--macs", "1M", "-o", str(path))
    assert answer.code == 1
    assert "NOTHING FOUND MEETS ALL; the nearest misses MACs" in answer.out
    assert "MISSED" in answer.out
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--macs", "many"], "'many' is not a number above zero"),
        (["--macs", "9M", "--tolerance", "150%"], "is not a share below 1"),
        (["--macs", "9M", "--resolution", "big"], "is not a list of numbers"),
        (["--sram", "1M"], "above the budget"),
        ([], "nothing is asked"),
    ],
)
def test_wrong_options(options: list[str], sentence: str) -> None:
    answer = run("search-net", "--profile", "stm32f412", *options)
    assert answer.code == 2
    assert sentence in answer.err


def test_rows_and_models_are_listed() -> None:
    listed = run("search-net", "--rows").out
    assert all(row in listed for row in rows())
    models = run("models").out
    head, witnesses = models.split("witness, accuracy unknown")
    assert "witness-" not in head
    assert all(name in witnesses for name in zoo.witness_names())
    assert "accuracy unknown" in " ".join(run("models", "witness-mcunet-m4").out.split())
    (model,) = json.loads(run("models", "witness-mcunet-m4", "--json").out)["models"]
    assert (model["witness"]["of"], model["published"]) == ("table4:mcunet-m4", [])


def test_a_found_network_says_with_which_schedule_it_was_found() -> None:
    """Whoever runs the file layer by layer is told; under that schedule it takes the figures that the file states."""
    entry = zoo.describe("witness-mcunet-h7")
    sentence = f'found together with {entry.witness.schedule}: schedule="{entry.witness.schedule}" runs it so.'
    plain = mcusim.simulate(entry.name, profile="stm32h743", runtime="tinyengine")
    assert any(sentence in warning for warning in plain.warnings)
    asked = {"runtime": "tinyengine", "convention": entry.witness.convention, "schedule": entry.witness.schedule}
    cut = mcusim.simulate(entry.name, profile=entry.witness.profile, **asked)
    assert not any("found together" in warning for warning in cut.warnings)
    assert cut.sram.peak_bytes == entry.witness.sram_bytes
    assert cut.schedule.recomputed_macs == entry.witness.recomputed_macs
