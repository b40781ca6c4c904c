"""Planners: buffers in, one offset for each out. They know lifetimes, sizes and alignment, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcusim.planners.blocks import live_bytes, peak_bytes
from mcusim.planners.first_fit import tflm_greedy, tflm_place_rest, tinyengine_first_fit
from mcusim.planners.judge import check_plan
from mcusim.planners.optimal import Plan, optimal, plan_optimal
from mcusim.planners.portfolio import best_fit_portfolio
from mcusim.planners.shared_objects import executorch_greedy
from mcusim.program import Buffer

__all__ = [
    "PLANNERS",
    "Plan",
    "Planner",
    "best_fit_portfolio",
    "check_plan",
    "executorch_greedy",
    "live_bytes",
    "optimal",
    "peak_bytes",
    "plan_optimal",
    "tflm_greedy",
    "tflm_place_rest",
    "tinyengine_first_fit",
]

Planner = Callable[[Sequence[Buffer]], tuple[int, ...]]

PLANNERS: dict[str, Planner] = {
    "tflm-greedy": tflm_greedy,
    "tinyengine-first-fit": tinyengine_first_fit,
    "best-fit": best_fit_portfolio,
    "executorch-greedy": executorch_greedy,
    "optimal": optimal,
}
"""Every planner by the name that users give it."""
