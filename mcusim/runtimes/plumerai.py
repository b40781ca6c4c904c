"""Plumerai's inference engine: closed, its times published with MLPerf Tiny."""

from __future__ import annotations

from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.closed import GENERATED_CODE, lower_bound, stored_weights, unnamed_kernel
from mcusim.runtimes.registry import Runtime, register

__all__ = ["PLUMERAI"]

PLUMERAI = register(
    Runtime(
        name="plumerai",
        version="2023.05",
        title="Plumerai Inference Engine, closed",
        rules=GENERATED_CODE,
        planner_name="best-fit",
        planner=best_fit_portfolio,
        kernel=unnamed_kernel("Plumerai"),
        flash=stored_weights("Plumerai"),
        persistent=lower_bound("Plumerai"),
        memory_basis=Basis.DERIVED,
        persistent_basis=Basis.DERIVED,
        price_family="plumerai",
        bounds_memory=True,
        versions=("2023.05", "unstated"),
        evidence="latency: three MLPerf Tiny networks each on STM32L4R5, F746, H7A3, U575, U585 and CY8C62; SRAM is a "
        "lower bound, flash without code",
    )
)
