"""Shared by runtimes whose kernels and planners are not public: they have measured times, and bounds for the rest."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.report import Basis
from mcusim.runtimes.registry import Flash, Kernel, Persistent
from mcusim.runtimes.stored import BIAS_BYTES, generated_bytes

__all__ = ["GENERATED_CODE", "lower_bound", "stored_weights", "unnamed_kernel"]

GENERATED_CODE = LoweringRules(folds_padding=True, relabels_free=True, alignment=4)
"""What generators of C code have in common: paddings go into convolutions, and a RESHAPE moves nothing."""


def unnamed_kernel(owner: str, why: str = "its kernels are not public") -> Callable[[Signature], Kernel]:
    """Every operator goes to a function that nobody can name. why: nobody has published its name, if not given."""
    kernel = Kernel(f"{owner}'s own", why=why)
    return lambda signature: kernel


def lower_bound(owner: str) -> Callable[[Graph], Persistent]:
    """A reminder that the arena is a bound: what must be alive at once, and nothing else."""
    told = Persistent(0, f"{owner}'s memory planner is not public; at least what is alive at once is needed")
    return lambda graph: told


def stored_weights(owner: str, code_bytes: Callable[[Graph], int] | None = None) -> Callable[[Graph], Flash]:
    """Weights and int32 biases; with `code_bytes`, calibrated, the code too."""

    def flash(graph: Graph) -> Flash:
        model_bytes = generated_bytes(graph, BIAS_BYTES)
        if code_bytes is None:
            return Flash(model_bytes, None, Basis.DERIVED, f"nobody has published how large {owner}'s code is")
        return Flash(model_bytes, code_bytes(graph), Basis.CALIBRATED)

    return flash
