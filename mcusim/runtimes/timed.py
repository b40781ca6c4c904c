"""Shared by runtimes of which only the times are known: no rules of memory, no names of kernels, no code sizes."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.ops import OPS
from mcusim.ops.shared.foreign import foreign_operator
from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.registry import Flash, Kernel, Persistent, Runtime, register
from mcusim.runtimes.stored import BIAS_BYTES, generated_bytes, weights_ledger

__all__ = ["GENERATED_CODE", "NOT_PUBLIC", "stored_weights", "timed_runtime", "unnamed_kernel"]

GENERATED_CODE = LoweringRules(folds_padding=True, relabels_free=True, alignment=4)
"""What generators of C code have in common: paddings go into convolutions, and a RESHAPE moves nothing."""

NOT_PUBLIC = "is not public"


def timed_runtime(
    name: str,
    owner: str,
    title: str,
    versions: tuple[str, ...],
    evidence: str,
    planner_is: str = NOT_PUBLIC,
    builds: tuple[tuple[str, str], ...] = (),
) -> Runtime:
    """A runtime with measured times and nothing else.

    owner: its name in sentences.   versions: those measured, newest first.   builds: of Runtime.
    planner_is: what keeps mcusim from placing as its memory planner does. SRAM is then what must be alive at once, a
    lower bound.
    """
    persistent = Persistent(0, f"{owner}'s memory planner {planner_is}; at least what is alive at once is needed")
    return register(
        Runtime(
            name=name,
            version=versions[0],
            title=title,
            rules=GENERATED_CODE,
            planner_name="best-fit",
            planner=best_fit_portfolio,
            kernel=unnamed_kernel(owner),
            flash=stored_weights(owner),
            flash_ledger=weights_ledger,
            persistent=lambda graph: persistent,
            memory_basis=Basis.DERIVED,
            persistent_basis=Basis.DERIVED,
            price_family=name,
            bounds_memory=True,
            versions=versions,
            builds=builds,
            evidence=f"latency: {evidence}; SRAM is a lower bound, flash without code",
        )
    )


def unnamed_kernel(owner: str) -> Callable[[Signature], Kernel]:
    """Every operator goes to a function that mcusim cannot name.

    Custom operators are nobody's but their author's, so they are refused. Those that mcusim does not know either, and
    integer weights on float activations, are not confirmed: which of them `owner` imports is not recorded here.
    """
    named = Kernel(f"{owner}'s own", why="its kernels are not public, or made for each network")

    def kernel(signature: Signature) -> Kernel:
        if signature.op in OPS:
            if not _is_hybrid(signature):
                return named
            what = f"{signature.op} with integer weights on float32 activations"
        elif signature.op.startswith("CUSTOM:"):
            foreign = foreign_operator(signature.op)
            name = signature.op.removeprefix("CUSTOM:")
            reason = (
                f"{name} is {foreign.reason}" if foreign else f"{owner} has no kernel for {name}, a custom operator"
            )
            return Kernel("", supported=False, why=reason)
        else:
            what = signature.op
        caveat = f"whether {owner} takes {what} is not known here, its own converter tells"
        return named._replace(caveat=caveat, is_confirmed=False)

    return kernel


def _is_hybrid(signature: Signature) -> bool:
    """Whether an operator computes float outputs from weights that are integers."""
    weights = [signature.inputs[index] for index in OPS[signature.op].parameters if index and signature.has(index)][:1]
    has_float_output = bool(signature.outputs) and signature.outputs[0].dtype.is_float
    return has_float_output and any(kind is not None and not kind.dtype.is_float for kind in weights)


def stored_weights(owner: str, code_bytes: Callable[[Graph], int] | None = None) -> Callable[[Graph], Flash]:
    """Weights and int32 biases; with `code_bytes`, calibrated, the code too."""

    def flash(graph: Graph) -> Flash:
        model_bytes = generated_bytes(graph, BIAS_BYTES)
        if code_bytes is None:
            return Flash(model_bytes, None, Basis.DERIVED, f"nobody has published how large {owner}'s code is")
        return Flash(model_bytes, code_bytes(graph), Basis.CALIBRATED)

    return flash
