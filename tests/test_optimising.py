"""A search for a network: what it returns fits, is the same again, and is better than what chance finds.

Judges: every network of a small space by enumeration; `simulate` for what fits; scikit-learn and scipy for the fit of
published accuracies; MCUNet's printed means for the parts of its space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from mcusim import load, simulate, zoo
from mcusim.designing.effort import Optimiser
from mcusim.designing.optimising import Candidate, compare_subspaces, find_network
from mcusim.designing.optimising.documents import search_document
from mcusim.designing.optimising.pieces import cut_points
from mcusim.designing.optimising.predictors import imagenet_evidence, imagenet_fit, scored_networks
from mcusim.designing.spaces import Choices, Space, find_space
from mcusim.errors import InputError
from mcusim.ops.totals import count_macs, count_parameters
from mcusim.render.optimising import network_lines
from mcusim.render.text import UNICODE

BOARD = "nrf52840"


def small(choices: Choices) -> dict[str, Any]:
    """A space of 3 x (6 + 36 + 216) networks."""
    side = choices.choice([16, 24, 32], "resolution")
    layers = []
    for block in range(choices.choice([1, 2, 3], "blocks")):
        kernel = choices.choice([3, 5], f"{block} kernel")
        out_channels = choices.choice([8, 16, 24], f"{block} out_channels")
        stride = 2 if block < 2 else 1
        layers.append({"op": "conv_2d", "kernel": kernel, "out_channels": out_channels, "stride": stride})
    layers += [{"op": "average_pool_2d"}, {"op": "conv_2d", "out_channels": 10}]
    return {"input": [side, side, 1], "layers": layers}


SMALL = Space("small", small, size=774)
BUDGETS: dict[str, Any] = {"sram_budget_bytes": 5500, "flash_budget_bytes": 107_000, "max_ms": 35.0}
QUESTION: dict[str, Any] = {"profile": BOARD, "runtime": "tflm-cmsis-nn", "patches": False, **BUDGETS}


def prefers(candidate: Candidate) -> float:
    """Depth and resolution help, and so do 5x5 kernels in front and 3x3 behind: a corner is not the best."""
    values = candidate.choices
    front = 1.0 if values["0 kernel"] == 5 else 0.0
    back = sum(values.get(f"{block} kernel") == 3 for block in (1, 2))
    channels = [values[f"{block} out_channels"] for block in range(values["blocks"])]
    return float(np.log(values["resolution"])) + 0.3 * front + 0.25 * back + 0.2 * float(np.sum(np.log(channels)))


@cache
def optimum() -> float:
    """The best score of all 774 networks, one by one, by `simulate` itself."""
    scores = []
    pending: list[list[int]] = [[]]
    networks = 0
    while pending:
        path = pending.pop()
        counts: list[int] = []

        def pick(name: str, count: int, path: list[int] = path, counts: list[int] = counts) -> int:
            counts.append(count)
            return path[len(counts) - 1] if len(counts) <= len(path) else 0

        made = SMALL.made(pick)
        networks += 1
        for depth in range(len(path), len(counts)):
            pending += [[*path, *[0] * (depth - len(path)), index] for index in range(1, counts[depth])]
        graph = made.graph("one")
        report = simulate(graph, profile=BOARD, runtime="tflm-cmsis-nn", **BUDGETS)
        if report.fits:
            one = Candidate(0, made.picks, made.values, made.description, graph, None, None, 0.0, 0.0)  # type: ignore[arg-type]
            scores.append(prefers(one))
    assert networks == SMALL.size
    assert 100 < len(scores) < 700
    return max(scores)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["evolution", "tpe", "nsga2"])
def test_an_optimiser_beats_chance_in_the_median(optimiser: str) -> None:
    """At as many evaluations, on a space whose best network is known; nobody is better than that one."""
    pytest.importorskip("optuna", reason="needs mcusim[search]")

    def scores(kind: str) -> list[float]:
        networks = [
            find_network(SMALL, predictor=prefers, optimiser=kind, evaluations=200, seed=seed, **QUESTION)
            for seed in range(9)
        ]
        return [one.candidate.score or 0.0 for one in networks]

    ours, chance = scores(optimiser), scores("random")
    assert max(ours + chance) <= optimum() + 1e-12
    assert median(ours) > median(chance)


@pytest.mark.slow
def test_evolution_finds_the_best_network() -> None:
    network = find_network(SMALL, predictor=prefers, optimiser="evolution", evaluations=600, **QUESTION)
    assert network.candidate.score == pytest.approx(optimum())


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_the_same_seed_finds_the_same_network(optimiser: Optimiser) -> None:
    pytest.importorskip("optuna", reason="needs mcusim[search]")
    asked: dict[str, Any] = {"profile": "stm32f746", "optimiser": optimiser, "evaluations": 25}
    one, again, other = (find_network("mcunet", seed=seed, **asked) for seed in (3, 3, 4))
    assert one.candidate.picks == again.candidate.picks
    assert (one.history, one.candidate.schedule) == (again.history, again.candidate.schedule)
    assert one.candidate.picks != other.candidate.picks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "profile", "runtime", "limits"),
    [
        ("mcunet", "stm32f746", None, {}),
        ("mcunet", "stm32f412", "tflm-cmsis-nn", {"sram_budget_bytes": 100_000}),
        ("mcunetv2", "stm32f412", "tinyengine", {"max_ms": 900.0}),
        ("mcunetv2:vww", "nrf52840", "tinyengine", {"sram_budget_bytes": 50_000, "flash_budget_bytes": 500_000}),
        ("mcunetv2:voc", "stm32h743", None, {}),
        ("micronets-vww", "nrf52840", None, {"max_ms": 400.0}),
        ("micronets-kws", "stm32l4r5", "tflm", {"sram_budget_bytes": 80_000}),
    ],
)
def test_what_is_returned_fits(space: str, profile: str, runtime: str | None, limits: dict[str, Any]) -> None:
    """As `simulate` says of the network built anew from its description, with its schedule."""
    network = find_network(space, profile=profile, runtime=runtime, evaluations=30, seed=1, **limits)
    candidate = network.candidate
    report = simulate(
        load({"name": "again", **dict(candidate.network)}),  # type: ignore[arg-type]
        profile=profile,
        runtime=network.runtime,
        schedule=candidate.schedule,
        **limits,
    )
    assert network.fits is (report.fits is True)
    assert network.report is not None
    assert (report.sram, report.flash, report.latency) == (
        network.report.sram,
        network.report.flash,
        network.report.latency,
    )
    if not network.fits:
        assert candidate.excess > 0
        assert network.fitting == 0


@pytest.mark.slow
def test_patches_let_a_larger_network_in() -> None:
    """Within 120 kB at 160 rows and columns nothing was found that runs layer by layer."""
    space = find_space("mcunetv2").held(resolution=160)
    asked: dict[str, Any] = {
        "profile": "stm32f746",
        "sram_budget_bytes": 120_000,
        "evaluations": 100,
        "optimiser": "evolution",
    }
    whole = find_network(space, patches=False, **asked)
    pieces = find_network(space, **asked)
    assert not whole.fits
    assert pieces.fits
    assert not pieces.candidate.schedule.is_layer


def test_cut_points_are_where_one_map_goes_on() -> None:
    """MobileNetV2's blocks end behind 1, 3, 6 and 9 computing nodes; a shortcut is alive inside those that have one."""
    points = cut_points(load("mbv2-w1.0-r224"))
    assert points[:6] == [1, 2, 3, 4, 5, 6]
    assert 7 not in points  # inside a block with a shortcut
    assert 10 in points


def test_only_networks_that_fit_are_scored() -> None:
    seen: list[Candidate] = []

    def predictor(candidate: Candidate) -> float:
        seen.append(candidate)
        return 1.0

    network = find_network(SMALL, predictor=predictor, evaluations=50, **QUESTION)
    assert seen
    assert all(one.report is not None and one.report.fits for one in seen)
    assert network.predictor == "predictor"


def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Cut off anywhere, the journal is that of an undisturbed search in the end, and known networks are not asked."""
    asked: dict[str, Any] = {"evaluations": 60, "optimiser": "evolution", **QUESTION}
    calls = 0

    def counted(candidate: Candidate) -> float:
        nonlocal calls
        calls += 1
        return prefers(candidate)

    whole = find_network(SMALL, predictor=counted, journal=tmp_path / "whole", **asked)
    all_calls, content = calls, (tmp_path / "whole").read_bytes()
    for at in (0, 5, len(content) // 3, len(content) // 2, len(content) - 1, len(content)):
        calls = 0
        (tmp_path / "cut").write_bytes(content[:at] if at > 10 else b"")
        again = find_network(SMALL, predictor=counted, journal=tmp_path / "cut", **asked)
        assert (tmp_path / "cut").read_bytes() == content
        assert again.candidate.picks == whole.candidate.picks
        assert again.history == whole.history
        assert (again.distinct, again.fitting) == (whole.distinct, whole.fitting)
        kept = content[:at] if at > 10 else b""
        scored = sum(b'"score": null' not in line for line in kept[: kept.rfind(b"\n") + 1].splitlines()[1:])
        assert all_calls - scored <= calls <= all_calls - scored + 1  # the best one is judged again for its report
    with pytest.raises(InputError, match="it is of another search: its seed is 0, not 1"):
        find_network(SMALL, predictor=counted, journal=tmp_path / "cut", seed=1, **asked)
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(InputError, match="it is no journal of a search"):
        find_network(SMALL, predictor=counted, journal=tmp_path / "text", **asked)


def test_the_fit_is_least_squares_on_published_accuracies() -> None:
    networks = scored_networks()
    assert {"mcunet-in0", "mcunet-in4", "mbv2-w0.35-r144", "proxyless-w0.3-r176"} <= {n.name for n in networks}
    features = [
        [np.log(count_macs(zoo.build(n.name))), np.log(count_parameters(zoo.build(n.name))[1])] for n in networks
    ]
    top1 = np.array([float(zoo.describe(n.name).published[0].top1_quantized) for n in networks])
    odds = np.log(top1 / (100 - top1))
    judge = LinearRegression().fit(features, odds)
    fit = imagenet_fit()
    assert (fit.constant, fit.of_macs, fit.of_params) == pytest.approx((judge.intercept_, *judge.coef_))
    predicted = []
    for index in range(len(networks)):
        others = [i for i in range(len(networks)) if i != index]
        without = LinearRegression().fit([features[i] for i in others], odds[others])
        predicted.append(100 / (1 + np.exp(-without.predict([features[index]])[0])))
    evidence = imagenet_evidence()
    assert evidence.predicted == pytest.approx(predicted)
    assert evidence.rank_correlation == pytest.approx(spearmanr(predicted, top1)[0])
    assert evidence.rank_correlation > 0.9
    assert evidence.mean_error < 2.5


FIGURE_3 = {
    (0.3, 160): 32.5,
    (0.4, 112): 32.4,
    (0.4, 128): 39.3,
    (0.4, 144): 46.9,
    (0.5, 112): 38.3,
    (0.5, 128): 46.9,
    (0.5, 144): 52.0,
    (0.6, 112): 41.3,
    (0.7, 96): 31.4,
    (0.7, 112): 38.4,
}
"""(width, resolution) -> mean millions of MACs that fit an STM32F746. MCUNet, arXiv 2007.10319, Figure 3."""


@pytest.mark.slow
def test_parts_of_mcunets_space_rank_as_published() -> None:
    """The paper's ten parts, in ImageNet-100's space on its board; its best of them is the best here."""
    means = {}
    for width, resolution in FIGURE_3:
        part = find_space("mcunet:imagenet-100").held(width=width)
        axes = {"resolution": (resolution,)}
        comparison = compare_subspaces(
            Space(part.name, part.make, names=axes, fixed=part.fixed),
            profile="stm32f746",
            runtime="tinyengine",
            sample=25,
        )
        means[width, resolution] = comparison.parts[0].mean_macs or 0.0
    assert max(means, key=lambda part: means[part]) == max(FIGURE_3, key=lambda part: FIGURE_3[part]) == (0.5, 144)
    assert spearmanr([*means.values()], [*FIGURE_3.values()])[0] > 0.7


@pytest.mark.slow
def test_parts_are_counted() -> None:
    """Against a plain loop."""
    space = find_space("mcunet").held(width=0.5)
    comparison = compare_subspaces(space, profile="stm32f412", runtime="tflm", sample=6, seed=2)
    assert [part.values["resolution"] for part in comparison.parts] != sorted(
        p.values["resolution"] for p in comparison.parts
    )
    assert len(comparison.parts) == 12
    part = comparison.parts[0]
    macs = []
    for number in range(6):
        graph = space.held(resolution=part.values["resolution"]).drawn(2 * 6 + number).graph("one")
        report = simulate(graph, profile="stm32f412", runtime="tflm")
        if report.fits is not False:
            macs.append(report.model.macs)
    assert list(part.macs) == sorted(macs)
    assert part.share == len(macs) / 6
    assert part.mean_macs == pytest.approx(sum(macs) / len(macs))
    assert part.quantile(0.5) == sorted(macs)[-(-len(macs) // 2) - 1]
    assert comparison.best is part


def test_a_function_has_parts_too() -> None:
    """Its named choices show when it is asked."""
    comparison = compare_subspaces(SMALL, profile=BOARD, runtime="tflm-cmsis-nn", sample=3)
    assert sorted(part.label for part in comparison.parts) == ["r16", "r24", "r32"]


def test_a_budget_is_held_where_simulate_says_so() -> None:
    """A budget between what is estimated and what it may be is neither held nor missed."""
    asked: dict[str, Any] = {"profile": "stm32f746", "evaluations": 1, "optimiser": "random", "patches": False}
    space = find_space("mcunet").held(resolution=96, width=0.3)
    report = find_network(space, **asked).report
    assert report is not None
    flash, time = report.flash, report.latency
    assert flash.total_bytes is not None
    assert flash.high_bytes is not None
    assert time.low_ms is not None
    assert time.ms is not None
    flash_bytes = (flash.total_bytes + flash.high_bytes) // 2
    words = {True: "held", False: "MISSED", None: "not sure"}
    for max_ms in (time.ms + 0.1, time.low_ms / 2, 10 * time.ms):
        network = find_network(space, **asked, flash_budget_bytes=flash_bytes, max_ms=max_ms)
        lines = [line.plain.rstrip() for line in network_lines(network, search_document(network), None, 90, UNICODE)]
        assert network.report is not None
        for name, fits in (("SRAM", True), ("flash", None), ("time", network.report.latency.fits)):
            assert next(line for line in lines if line.startswith(name)).endswith(words[fits]), lines


def test_progress_is_told() -> None:
    steps: list[tuple[str, int, int]] = []
    note: Callable[[str, int, int], None] = lambda *step: steps.append(step)  # noqa: E731
    find_network(SMALL, predictor=prefers, evaluations=5, progress=note, **QUESTION)
    assert [step[1:] for step in steps] == [(done, 5) for done in range(1, 6)]
