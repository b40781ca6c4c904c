"""Planners: buffers in, one offset for each out. They know lifetimes, sizes and alignment, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcusim.planners.blocks import live_bytes, peak_bytes
from mcusim.planners.first_fit import tflm_greedy, tinyengine_first_fit
from mcusim.planners.judge import check_plan
from mcusim.program import Buffer

__all__ = ["PLANNERS", "Planner", "check_plan", "live_bytes", "peak_bytes", "tflm_greedy", "tinyengine_first_fit"]

Planner = Callable[[Sequence[Buffer]], tuple[int, ...]]

PLANNERS: dict[str, Planner] = {
    "tflm-greedy": tflm_greedy,
    "tinyengine-first-fit": tinyengine_first_fit,
}
"""Every planner by the name that users give it."""
