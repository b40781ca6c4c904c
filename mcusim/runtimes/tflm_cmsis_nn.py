"""TensorFlow Lite Micro with Arm's CMSIS-NN kernels: the arena of `tflm`, other scratch and slightly longer structs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules, Scratch
from mcusim.planners import tflm_greedy
from mcusim.report import Basis
from mcusim.runtimes.cmsis_nn import CMSIS_NN_KERNELS, route
from mcusim.runtimes.cmsis_nn_cores import Family, family_of, kernels_of
from mcusim.runtimes.code_sizes import Kernels, linked_operator_names, network_code
from mcusim.runtimes.registry import CodeItem, Flash, Kernel, LedgerItem, Persistent, Runtime, register
from mcusim.runtimes.stored import file_ledger
from mcusim.runtimes.tflm import BENCHMARKED, stored_file
from mcusim.runtimes.tflm_allocations import BENCHMARK, FIRMWARE
from mcusim.runtimes.tflm_history import needs
from mcusim.runtimes.tflm_kernels import moving_hint, reference_name, scratch
from mcusim.runtimes.tflm_persistent import harness_bytes, tail_bytes, tail_ledger
from mcusim.runtimes.tflm_refusals import CMSIS_NN_REFUSALS
from mcusim.runtimes.tflm_setup import setup_bytes
from mcusim.runtimes.tflm_storage import MCU_POINTER_BYTES

__all__ = ["BUILD", "TFLM_CMSIS_NN"]

OPTIMISED = Kernels(is_reference=False, image_bytes=116_000, image_operators=BENCHMARKED)
"""STM32H743 image less the model file, with CMSIS-NN: 111.7 and 114.9 KiB on two networks. Calibrated (A11)."""

BUILD = replace(FIRMWARE, kernels=CMSIS_NN_KERNELS)
_BENCHMARK = replace(BENCHMARK, kernels=CMSIS_NN_KERNELS)


def _kernel(signature: Signature) -> Kernel:
    why = CMSIS_NN_REFUSALS.refusal(signature)
    if why:
        return Kernel("", False, why)
    chosen = route(signature)
    name = chosen.function or reference_name(signature)
    return Kernel(name, why=chosen.why, hint=chosen.hint or moving_hint(signature))


def _planned_scratch(signature: Signature) -> Scratch:
    return scratch(CMSIS_NN_KERNELS.get(signature.op), signature)


def _flash(graph: Graph) -> Flash:
    return stored_file(graph, OPTIMISED)


def _code(graph: Graph) -> tuple[CodeItem, ...]:
    return network_code(linked_operator_names(graph), OPTIMISED)


def _persistent(graph: Graph) -> Persistent:
    return tail_bytes(graph, MCU_POINTER_BYTES, BUILD)


def _ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    return tail_ledger(graph, MCU_POINTER_BYTES, BUILD)


def _setup(graph: Graph) -> int:
    return setup_bytes(graph, MCU_POINTER_BYTES, BUILD)


def _harness(graph: Graph) -> int:
    return harness_bytes(graph, _BENCHMARK, BUILD)


@cache
def _family_rules(family: Family) -> LoweringRules:
    kernels = kernels_of(family)
    rules = TFLM_CMSIS_NN.rules
    return replace(rules, planned_scratch=lambda signature: scratch(kernels.get(signature.op), signature))


@cache
def _on_core(runtime: Runtime, core: str) -> Runtime:
    """TFLM_CMSIS_NN registers the build for cores with the DSP extension; others ask for and keep other buffers."""
    family = family_of(core)
    if family is Family.DSP:
        return runtime
    build, harness = (replace(each, kernels=kernels_of(family)) for each in (FIRMWARE, BENCHMARK))
    return replace(
        runtime,
        rules=_family_rules(family),
        persistent=lambda graph: tail_bytes(graph, MCU_POINTER_BYTES, build),
        persistent_ledger=lambda graph: tail_ledger(graph, MCU_POINTER_BYTES, build),
        setup=lambda graph: setup_bytes(graph, MCU_POINTER_BYTES, build),
        harness=lambda graph: harness_bytes(graph, harness, build),
        on_core=None,
    )


TFLM_CMSIS_NN = register(
    Runtime(
        name="tflm-cmsis-nn",
        version="2026.10",
        title="TensorFlow Lite Micro, CMSIS-NN kernels",
        rules=LoweringRules(alignment=16, planned_scratch=_planned_scratch, plans_untouched=True, unpacks=True),
        planner_name="tflm-greedy",
        preference=2,
        planner=tflm_greedy,
        kernel=_kernel,
        refuses=CMSIS_NN_REFUSALS.of_numbers,
        prepares=CMSIS_NN_REFUSALS.of_set_up,
        needs=needs,
        flash=_flash,
        flash_ledger=file_ledger,
        code=_code,
        resolver=linked_operator_names,
        persistent=_persistent,
        persistent_ledger=_ledger,
        setup=_setup,
        harness=_harness,
        memory_basis=Basis.DERIVED,
        persistent_basis=Basis.DERIVED,
        reads_offline_plan=True,
        price_family="tflm-cmsis-nn",
        versions=("6d9d61d8", "2024-09", "chirale-2.0.0", "011bf32", "9156d050", "2020", "2.3.1", "unstated"),
        current=4,
        builds=(
            ("Os", "compiled for size"),
            ("tigris", "CMSIS-NN called by TiGrIS instead of an interpreter"),
            ("ruhmi", "CMSIS-NN called by code of Renesas RUHMI instead of an interpreter"),
        ),
        evidence="functions and buffer sizes are those of the library's sources, not traced on a target; head and "
        "persistent bytes meet the published STM32H743 column on 10 of 10 networks, within 1 KiB (0.43 %), benchmark "
        "harness included; code: two networks on STM32H743; buffers on cores with DSP, with Helium and with neither "
        "equal the library's own answers (cmsis_nn of executorch 1.5.1)",
        on_core=_on_core,
    )
)
