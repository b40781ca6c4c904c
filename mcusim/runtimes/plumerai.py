"""Plumerai's inference engine: closed, its times published with MLPerf Tiny."""

from __future__ import annotations

from mcusim.runtimes.timed import timed_runtime

__all__ = ["PLUMERAI"]

PLUMERAI = timed_runtime(
    "plumerai",
    "Plumerai",
    "Plumerai Inference Engine, closed",
    ("2023.05", "unstated"),
    "three MLPerf Tiny networks each on STM32L4R5, F746, H7A3, U575, U585 and CY8C62",
    builds=(("", "as Plumerai submitted it to MLPerf Tiny"),),
)
