"""HALE, Bosch's code generator: closed, its times published with MLPerf Tiny."""

from __future__ import annotations

from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.closed import GENERATED_CODE, lower_bound, stored_weights, unnamed_kernel
from mcusim.runtimes.registry import Runtime, register

__all__ = ["HALE"]

HALE = register(
    Runtime(
        name="hale",
        version="1.0.175",
        title="HALE, Bosch's code generator, closed",
        rules=GENERATED_CODE,
        planner_name="best-fit",
        planner=best_fit_portfolio,
        kernel=unnamed_kernel("HALE"),
        flash=stored_weights("HALE"),
        persistent=lower_bound("HALE"),
        memory_basis=Basis.DERIVED,
        persistent_basis=Basis.DERIVED,
        price_family="hale",
        bounds_memory=True,
        versions=("1.0.175", "1.0"),
        evidence="latency: three MLPerf Tiny networks each on STM32L4R5, F746, H7A3, U575, G0B1 and CY8C62, some also "
        "with the options max-performance and min-ram; SRAM is a lower bound, flash without code",
    )
)
