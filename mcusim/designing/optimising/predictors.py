"""What stands in for a network's accuracy: a function of the user's, or one that comes with mcusim.

None of those that come with mcusim knows how well a network trains. `imagenet` is fitted to the accuracies that were
published of the zoo's int8 networks for ImageNet; `macs` and `params` are counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mcusim import zoo
from mcusim.designing.optimising.candidates import Candidate, Predictor
from mcusim.designing.spaces.functions import user_function
from mcusim.errors import InputError, did_you_mean
from mcusim.graph import DType
from mcusim.ops.totals import count_macs, count_parameters

__all__ = [
    "BUILT_IN",
    "IMAGENET",
    "Evidence",
    "Fit",
    "ScoredNetwork",
    "default_predictor",
    "find_predictor",
    "imagenet_evidence",
    "imagenet_fit",
    "scored_networks",
]

IMAGENET = "ImageNet"


@dataclass(frozen=True, slots=True)
class ScoredNetwork:
    """One network of the zoo with the accuracy that its source prints. macs, params: as counted here."""

    name: str
    macs: int
    params: int
    top1: float


@dataclass(frozen=True, slots=True)
class Fit:
    """log-odds of top-1 = constant + of_macs * ln(MACs) + of_params * ln(parameters)."""

    constant: float
    of_macs: float
    of_params: float

    def top1(self, macs: int, params: int) -> float:
        """Percent."""
        odds = math.exp(self.constant + self.of_macs * math.log(macs) + self.of_params * math.log(params))
        return 100 * odds / (1 + odds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How well a fit predicts a network that it was not fitted to, each left out in turn.

    predicted: in the order of `networks`.   rank_correlation: Spearman's.   errors in percentage points.
    """

    networks: tuple[ScoredNetwork, ...]
    predicted: tuple[float, ...]

    @property
    def errors(self) -> list[float]:
        return [p - network.top1 for p, network in zip(self.predicted, self.networks, strict=True)]

    @property
    def mean_error(self) -> float:
        return float(np.mean(np.abs(self.errors)))

    @property
    def worst_error(self) -> float:
        return float(np.max(np.abs(self.errors)))

    @property
    def rank_correlation(self) -> float:
        return float(np.corrcoef(_ranks(self.predicted), _ranks([n.top1 for n in self.networks]))[0, 1])


@cache
def scored_networks() -> tuple[ScoredNetwork, ...]:
    """The zoo's int8 networks for ImageNet whose source prints top-1 both in floating point and in int8."""
    networks = []
    for name in zoo.names():
        entry = zoo.describe(name)
        if entry.dataset != IMAGENET or entry.dtype is not DType.INT8:
            continue
        printed = next((f for f in entry.published if f.top1_float and f.top1_quantized), None)
        if printed is not None:
            graph = zoo.build(name)
            params = count_parameters(graph)[1]
            networks.append(ScoredNetwork(name, count_macs(graph), params, float(printed.top1_quantized)))
    return tuple(networks)


@cache
def imagenet_fit() -> Fit:
    """Least squares over all published networks."""
    return _fitted(scored_networks())


@cache
def imagenet_evidence() -> Evidence:
    """The fit without each network in turn, asked about that network."""
    networks = scored_networks()
    predicted = []
    for index, left_out in enumerate(networks):
        fit = _fitted((*networks[:index], *networks[index + 1 :]))
        predicted.append(fit.top1(left_out.macs, left_out.params))
    return Evidence(networks, tuple(predicted))


def _fitted(networks: tuple[ScoredNetwork, ...]) -> Fit:
    features = [[1.0, math.log(network.macs), math.log(network.params)] for network in networks]
    odds = [math.log(network.top1 / (100 - network.top1)) for network in networks]
    coefficients = np.linalg.lstsq(np.array(features), np.array(odds), rcond=None)[0]
    return Fit(*map(float, coefficients))


def _ranks(values: Any) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _imagenet(candidate: Candidate) -> float:
    return imagenet_fit().top1(count_macs(candidate.graph), count_parameters(candidate.graph)[1])


def _macs(candidate: Candidate) -> float:
    return float(count_macs(candidate.graph))


def _params(candidate: Candidate) -> float:
    return float(count_parameters(candidate.graph)[1])


BUILT_IN: dict[str, tuple[Predictor, str]] = {
    "imagenet": (_imagenet, "top-1 by a fit to published networks"),
    "macs": (_macs, "MACs: more is better"),
    "params": (_params, "parameters: more is better"),
}
"""Name -> the predictor, and what its number is."""


def default_predictor(dataset: str) -> str:
    """The built-in one for a space of this data set."""
    return "imagenet" if dataset == IMAGENET else "macs"


def find_predictor(name: str, folder: str) -> tuple[Predictor, str]:
    """A built-in predictor, or the user's `module:function`, and what its number is. Raises InputError."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if ":" not in name:
        fix = did_you_mean(name, BUILT_IN, listed_by="docs/search.md")
        if not fix.startswith("did"):
            fix = f"use {', '.join(BUILT_IN)}, or module:function of your own"
        raise InputError("there is no such predictor", where=f"predictor '{name}'", fix=fix)
    return user_function(name, folder, "predictor"), name
