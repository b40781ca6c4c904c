"""What `mcusim plan` says of several networks in one arena."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mcusim.cli.documents import ChosenRuntime, Versioned
from mcusim.cli.plan_documents import chosen_document
from mcusim.cli.shell import STDOUT, document, glyphs, show, terminal_width, write_output
from mcusim.memory.sharing import SharedPlan, share_arena
from mcusim.render.naming import distinct_names
from mcusim.render.sharing import sharing_lines
from mcusim.runtimes.choosing import RuntimeChoice
from mcusim.simulation.planning import SHARED, planning_runtime
from mcusim.zoo.loading import load

__all__ = ["SharedDocument", "tell_shared"]


class TenantNetwork(TypedDict):
    model: str
    arena_bytes: int
    persistent_bytes: int
    recommended_arena_bytes: int | None


class SharedDocument(Versioned):
    """What `mcusim plan A B` answers. apart_bytes: of an arena each."""

    runtime: ChosenRuntime
    models: list[TenantNetwork]
    arena_bytes: int
    persistent_bytes: int
    setup_bytes: int
    recommended_arena_bytes: int
    apart_bytes: int
    warnings: Sequence[str]


def tell_shared(models: Sequence[str], runtime: str | None, pointer_bits: int, json: str | None) -> None:
    """One arena for several networks: the largest head and all tails."""
    graphs = [load(model) for model in models]
    choice = planning_runtime(runtime, graphs[0], None, pointer_bits, SHARED)
    plan = share_arena(graphs, choice.runtime)
    if json is not None:
        write_output(document(_plain_shared(plan, choice)), json, "--json")
    if json != STDOUT:
        show(sharing_lines(plan, choice.why, terminal_width(), glyphs()))


def _plain_shared(plan: SharedPlan, choice: RuntimeChoice) -> SharedDocument:
    return {
        "schema_version": 1,
        "runtime": chosen_document(choice),
        "models": [
            {
                "model": name,
                "arena_bytes": each.arena_bytes,
                "persistent_bytes": each.persistent.size_bytes,
                "recommended_arena_bytes": each.recommended_arena_bytes,
            }
            for each, name in zip(plan.plans, distinct_names(plan.sources), strict=True)
        ],
        "arena_bytes": plan.arena_bytes,
        "persistent_bytes": plan.persistent_bytes,
        "setup_bytes": plan.setup_bytes,
        "recommended_arena_bytes": plan.recommended_arena_bytes,
        "apart_bytes": plan.apart_bytes,
        "warnings": plan.warnings,
    }
