"""What a search found, as the JSON document and as a network's file."""

from __future__ import annotations

from typing import Any, NamedTuple

from mcusim.designing.optimising.finding import BestNetwork
from mcusim.designing.optimising.predictors import imagenet_evidence
from mcusim.designing.witnesses.files import network_text
from mcusim.errors import InputError
from mcusim.graph import Graph
from mcusim.ops.totals import count_macs, count_parameters
from mcusim.report import Verdict

__all__ = ["SearchDocument", "found_file", "search_document"]

STATEMENT = "found by a search, accuracy unknown"


class SpaceInfo(NamedTuple):
    """size: how many ways there are to choose; null where nobody has counted.   fixed: choices that were held."""

    name: str
    title: str
    dataset: str
    source: str
    size: int | None
    fixed: dict[str, Any]


class LimitInfo(NamedTuple):
    """What the network had to keep. ms: null where time was not limited."""

    sram_bytes: int
    flash_bytes: int
    ms: float | None


class EvidenceInfo(NamedTuple):
    """How well the predictor foretells a published network that it was not fitted to, in percentage points."""

    networks: int
    mean_error: float
    worst_error: float
    rank_correlation: float


class PredictorInfo(NamedTuple):
    """predicts: what the score is.   evidence: null where there is none."""

    name: str
    predicts: str
    evidence: EvidenceInfo | None


class FoundInfo(NamedTuple):
    """The network. score: null where it does not fit.   excess: how far above the budgets, in parts of them, added up.

    choices: by name.   network: its description; null where the space builds graphs.
    why: why it cannot run so, or why nobody knows whether it fits; "" otherwise.
    """

    score: float | None
    excess: float
    choices: dict[str, Any]
    schedule: str
    macs: int
    params: int
    sram_bytes: int | None
    flash_bytes: int | None
    ms: float | None
    low_ms: float | None
    high_ms: float | None
    network: dict[str, Any] | None
    why: str


class StepInfo(NamedTuple):
    """A better network was found."""

    evaluation: int
    score: float


class SearchDocument(NamedTuple):
    """What `mcusim search` found. fits: whether the network keeps every budget, as `mcusim run` says.

    evaluations: networks asked for.   distinct, fitting: of those, that differ, and that fit.
    """

    fits: bool
    statement: str
    space: SpaceInfo
    profile: str
    runtime: str
    budgets: LimitInfo
    predictor: PredictorInfo
    optimiser: str
    seed: int
    evaluations: int
    distinct: int
    fitting: int
    found: FoundInfo
    history: tuple[StepInfo, ...]


def search_document(best: BestNetwork) -> SearchDocument:
    """The document."""
    space, budgets = best.space, best.budgets
    return SearchDocument(
        fits=best.fits,
        statement=STATEMENT,
        space=SpaceInfo(space.name, space.title, space.dataset, space.source, space.size, dict(space.fixed)),
        profile=best.board.name,
        runtime=best.runtime.name,
        budgets=LimitInfo(budgets.sram_bytes, budgets.flash_bytes, budgets.max_ms),
        predictor=PredictorInfo(best.predictor, best.predicts, _evidence(best.predictor)),
        optimiser=str(best.optimiser),
        seed=best.seed,
        evaluations=best.evaluations,
        distinct=best.distinct,
        fitting=best.fitting,
        found=_network(best),
        history=tuple(StepInfo(*step) for step in best.history),
    )


def _evidence(predictor: str) -> EvidenceInfo | None:
    if predictor != "imagenet":
        return None
    known = imagenet_evidence()
    return EvidenceInfo(len(known.networks), known.mean_error, known.worst_error, known.rank_correlation)


def _network(best: BestNetwork) -> FoundInfo:
    candidate, report = best.candidate, best.report
    return FoundInfo(
        score=candidate.score,
        excess=candidate.excess,
        choices=dict(candidate.choices),
        schedule=str(candidate.schedule),
        macs=count_macs(candidate.graph),
        params=count_parameters(candidate.graph)[1],
        sram_bytes=None if report is None else report.sram.peak_bytes,
        flash_bytes=None if report is None else report.flash.total_bytes,
        ms=None if report is None else report.latency.ms,
        low_ms=None if report is None else report.latency.low_ms,
        high_ms=None if report is None else report.latency.high_ms,
        network=None if isinstance(candidate.network, Graph) else dict(candidate.network),
        why=candidate.why or _unknown(best),
    )


def _unknown(best: BestNetwork) -> str:
    """Why nobody can know whether the network fits, where that is so."""
    report = best.report
    if best.fits or report is None or report.verdict is not Verdict.UNKNOWN:
        return ""
    return report.warnings[0].rstrip(".") if report.warnings else "a budget lies within what is estimated"


def found_file(best: BestNetwork, command: str) -> str:
    """The network in the form of the zoo's files, with its schedule.   command: that finds it again.

    Raises InputError where the space builds graphs, which no such file can hold.
    """
    candidate, report = best.candidate, best.report
    if isinstance(candidate.network, Graph):
        fix = "let it return a description (docs/zoo.md), or use BestNetwork.candidate.graph in Python"
        raise InputError("it builds graphs, which a file cannot hold", where=f"space '{best.space.name}'", fix=fix)
    assert report is not None
    head = {
        "task": best.space.task,
        "dataset": best.space.dataset or "not said",
        "source": f"{STATEMENT}; found by mcusim search in the space {best.space.name}",
        "note": f"ACCURACY UNKNOWN: nobody has trained it. Predictor {best.predictor}: {candidate.score:.6g}.",
    }
    table = {
        "statement": STATEMENT,
        "schedule": str(candidate.schedule),
        "profile": best.board.name,
        "convention": best.runtime.name,
        "seed": best.seed,
        "command": command,
        "macs": report.model.macs,
        "recomputed_macs": report.schedule.recomputed_macs,
        "sram_bytes": report.sram.peak_bytes,
        "flash_bytes": report.flash.total_bytes or 0,
        "params": report.model.params,
    }
    return network_text(head, table, candidate.network)
