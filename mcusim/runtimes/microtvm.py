"""microTVM, with CMSIS-NN kernels and with its own: generated C."""

from __future__ import annotations

from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.closed import GENERATED_CODE, lower_bound, stored_weights, unnamed_kernel
from mcusim.runtimes.registry import Runtime, register

__all__ = ["MICROTVM", "MICROTVM_CMSIS_NN"]


def _microtvm(name: str, title: str, versions: tuple[str, ...], evidence: str) -> Runtime:
    return register(
        Runtime(
            name=name,
            version="e3a6cb6",
            title=title,
            rules=GENERATED_CODE,
            planner_name="best-fit",
            planner=best_fit_portfolio,
            kernel=unnamed_kernel(title.partition(",")[0], "its kernels are not public: made for each network"),
            flash=stored_weights("microTVM"),
            persistent=lower_bound("microTVM"),
            memory_basis=Basis.DERIVED,
            persistent_basis=Basis.DERIVED,
            price_family=name,
            bounds_memory=True,
            versions=versions,
            evidence=evidence,
        )
    )


MICROTVM_CMSIS_NN = _microtvm(
    "microtvm-cmsis-nn",
    "microTVM, CMSIS-NN kernels",
    ("e3a6cb6",),
    "latency: three MLPerf Tiny networks on STM32L4R5 and nRF5340; SRAM is a lower bound, flash without code",
)
MICROTVM = _microtvm(
    "microtvm",
    "microTVM, its own kernels",
    ("e3a6cb6", "2020"),
    "latency: three MLPerf Tiny networks on STM32L4R5, one network on STM32F746; SRAM is a lower bound, flash without "
    "code",
)
