"""How a search goes about it, and how much it does: what options and functions have in common."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EVALUATIONS", "SAMPLE", "Optimiser"]

EVALUATIONS = 300
"""Networks that a search for the best one evaluates, where nothing else is asked for."""
SAMPLE = 100
"""Networks that are drawn from each part of a space. The paper draws 1000."""


class Optimiser(StrEnum):
    """RANDOM: what everything else must beat.   EVOLUTION: regularised evolution (arXiv 1802.01548)."""

    EVOLUTION = "evolution"
    TPE = "tpe"
    NSGA2 = "nsga2"
    RANDOM = "random"
