"""Searching networks for a board: which part of a space fits it best (`subspaces`), and its best network (`finding`).

>>> from mcusim.designing.optimising import find_network
>>> best = find_network("mcunet", profile="stm32f746", evaluations=20)
>>> best.report.fits
True
"""

from __future__ import annotations

from mcusim.designing.optimising.candidates import Candidate
from mcusim.designing.optimising.finding import BestNetwork, find_network
from mcusim.designing.optimising.subspaces import SubSpaces, compare_subspaces

__all__ = ["BestNetwork", "Candidate", "SubSpaces", "compare_subspaces", "find_network"]
