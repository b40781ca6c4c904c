"""TensorFlow Lite Micro: an interpreter with a two-ended arena, with its reference kernels or with CMSIS-NN's.

Source: tensorflow/lite/micro (micro_allocator.cc, greedy_memory_planner.cc, kernels/).
"""

from __future__ import annotations

from mcusim.graph import Graph, Signature
from mcusim.rules import LoweringRules
from mcusim.ops import OPS
from mcusim.planners import tflm_greedy
from mcusim.report import Basis
from mcusim.runtimes.registry import Flash, Kernel, LedgerItem, Runtime, register

__all__ = ["TFLM"]

CODE_BYTES = 99_000
"""STM32H743 image less the model file, reference kernels: 96.7 and 96.9 KiB on two networks. Calibrated."""


def _kernel(signature: Signature) -> Kernel:
    if signature.op not in OPS:
        return Kernel("", False, "mcusim does not know this operator")
    return Kernel(f"reference {signature.op}")


def _flash(graph: Graph) -> Flash:
    stored = graph.source.file_bytes
    warning = "" if stored is not None else "TFLM stores the .tflite file itself, and this network has none"
    return Flash(stored, CODE_BYTES, Basis.CALIBRATED, warning)


def _persistent(graph: Graph) -> tuple[LedgerItem, ...]:
    return ()


TFLM = register(
    Runtime(
        name="tflm",
        version="2026.10",
        title="TensorFlow Lite Micro, reference kernels",
        rules=LoweringRules(alignment=16),
        planner_name="tflm-greedy",
        planner=tflm_greedy,
        kernel=_kernel,
        flash=_flash,
        persistent=_persistent,
        memory_basis=Basis.EXACT,
        persistent_basis=Basis.DERIVED,
        price_family="tflm",
        evidence="arena head equals the interpreter's on every corpus network",
    )
)
