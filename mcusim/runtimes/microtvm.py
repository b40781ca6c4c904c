"""microTVM, with CMSIS-NN kernels and with its own: generated C."""

from __future__ import annotations

from mcusim.runtimes.timed import timed_runtime

__all__ = ["MICROTVM", "MICROTVM_CMSIS_NN"]

_PLANNER = "(USMP) is not one that mcusim follows"

MICROTVM_CMSIS_NN = timed_runtime(
    "microtvm-cmsis-nn",
    "microTVM",
    "microTVM, CMSIS-NN kernels",
    ("e3a6cb6",),
    "three MLPerf Tiny networks on STM32L4R5 and nRF5340",
    _PLANNER,
)
MICROTVM = timed_runtime(
    "microtvm",
    "microTVM",
    "microTVM, its own kernels",
    ("e3a6cb6", "2020"),
    "three MLPerf Tiny networks on STM32L4R5, one network on STM32F746",
    _PLANNER,
)
