"""A runtime whose arena another planner plans."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from mcusim.errors import InputError, did_you_mean
from mcusim.planners import PLANNERS
from mcusim.runtimes.registry import RUNTIMES, Runtime

__all__ = ["planner_warning", "with_planner"]


@cache
def with_planner(runtime: Runtime, name: str) -> Runtime:
    """`runtime`, where the planner called `name` places all buffers, whatever plan the model carries.

    Raises InputError where there is no such planner, or it is not known which buffers the runtime plans.
    """
    if name not in PLANNERS:
        fix = did_you_mean(name, PLANNERS, listed_by="mcusim plan --help")
        raise InputError(f"there is no planner '{name}'", where="planner", fix=fix)
    if not runtime.has_placement:
        known = ", ".join(sorted(each.name for each in RUNTIMES.values() if each.has_placement))
        what = f"it is not known which buffers {runtime.name} plans"
        raise InputError(what, where="planner", fix=f"leave it out, or name one of these runtimes: {known}")
    return replace(runtime, planner=PLANNERS[name], planner_name=name, reads_offline_plan=False, runs_compiled=False)


def planner_warning(runtime: Runtime) -> list[str]:
    """What to know where buffers are placed otherwise than the runtime does by itself; else nothing."""
    registered = RUNTIMES[runtime.name]
    if runtime.planner_name == registered.planner_name:
        return []
    sentence = (
        f"SRAM: placed by {runtime.planner_name}, where {runtime.name} by itself plans with {registered.planner_name}"
    )
    if registered.runs_compiled:
        return [f"{sentence}: whoever exports the program has to place the buffers so."]
    if registered.reads_offline_plan:
        return [f"{sentence}; it follows the plan in a file that `mcusim plan MODEL --emit tflm FILE` writes."]
    return [f"{sentence}: whoever generates the code has to place the buffers so."]
