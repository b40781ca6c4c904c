"""TensorFlow Lite Micro with its reference kernels: an interpreter with a two-ended arena.

Head: `planners.tflm_greedy`, with the scratch of `tflm_kernels`. Tail: `tflm_persistent`.
Source: tensorflow/tflite-micro, tensorflow/lite/micro (micro_allocator.cc, greedy_memory_planner.cc, kernels/).
"""

from __future__ import annotations

from dataclasses import replace

from mcusim.columns import Kept
from mcusim.errors import InputError
from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import LoweringRules, Scratch
from mcusim.ops import OPS
from mcusim.planners import tflm_greedy
from mcusim.report import Basis
from mcusim.runtimes.cmsis_nn import route
from mcusim.runtimes.code_sizes import Kernels, linked_operator_names, network_code
from mcusim.runtimes.registry import CodeItem, Flash, Kernel, LedgerItem, Persistent, Runtime, register
from mcusim.runtimes.stored import file_ledger
from mcusim.runtimes.tflm_allocations import WHEEL
from mcusim.runtimes.tflm_history import needs
from mcusim.runtimes.tflm_kernels import KERNELS, KERNELS_2026, moving_hint, reference_name, scratch
from mcusim.runtimes.tflm_persistent import harness_bytes, tail_bytes, tail_ledger
from mcusim.runtimes.tflm_refusals import REFERENCE_REFUSALS
from mcusim.runtimes.tflm_setup import setup_bytes
from mcusim.runtimes.tflm_storage import MCU_POINTER_BYTES

__all__ = [
    "BENCHMARKED",
    "TFLM",
    "TFLM_WHEEL",
    "WHEEL_POINTER_BITS",
    "exported_file_bytes",
    "stored_file",
    "with_pointer_bits",
]

BENCHMARKED = frozenset({"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "PAD", "RESHAPE"})
"""Operators of the two networks whose flash on STM32H743 was published, under both builds of TFLM."""

REFERENCE = Kernels(is_reference=True, image_bytes=99_000, image_operators=BENCHMARKED)
"""STM32H743 image less the model file, reference kernels: 96.7 and 96.9 KiB on two networks. Calibrated (A11)."""

TABLES_BYTES = 123
"""Of a file, for each tensor: its tables and its share of the nodes'. 120.7 to 125 on nine exported networks."""

CHANNEL_BYTES = 12
"""A float32 scale and an int64 zero point."""


def stored_file(graph: Graph, kernels: Kernels) -> Flash:
    """TFLM keeps the .tflite file as it is; of a network without one, what its file would take."""
    items = network_code(linked_operator_names(graph), kernels)
    untold = [item.name for item in items if item.size_bytes is None]
    warnings = [f"the code of {', '.join(untold)} is not known and comes on top"] if untold else []
    stored = graph.source.file_bytes
    if stored is None:
        stored = exported_file_bytes(graph)
        warnings.insert(
            0,
            "TFLM stores the .tflite file itself; this network has none, and counts as `mcusim export` would write it",
        )
    code_bytes = sum(item.size_bytes or 0 for item in items)
    return Flash(stored, code_bytes, Basis.CALIBRATED, "; ".join(warnings))


def exported_file_bytes(graph: Graph) -> int:
    """About the size of the file that `mcusim export` writes: within 0.3 % on the networks of the zoo.

    Constants, aligned; scale and zero point of each channel of the weights and of the biases; names; and a fixed
    amount a tensor for all the tables around it. Calibrated (A10) on ten exported networks.
    """
    size_bytes = TABLES_BYTES * len(graph.tensors) + len("".join([tensor.name for tensor in graph.tensors]))
    constants = [kind for kind in graph.types if kind.is_constant]
    size_bytes += sum([-(-kind.size_bytes // 16) * 16 for kind in constants])
    return size_bytes + sum(map(_channels_bytes.__getitem__, graph.calls))


def _channel_bytes(signature: Signature) -> int:
    """Scales and zero points of a convolution's weights and biases."""
    if signature.op not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return 0
    return 2 * CHANNEL_BYTES * signature.output.channels


_channels_bytes = Kept(_channel_bytes)


def _kernel(signature: Signature) -> Kernel:
    missing = REFERENCE_REFUSALS.refusal(signature)
    if missing:
        return Kernel("", False, missing)
    hint = moving_hint(signature) or (_OPTIMISED_HINT if _is_heavy(signature) and route(signature).function else "")
    return Kernel(reference_name(signature), why="portable C, whatever the shape", hint=hint)


_OPTIMISED_HINT = "slow path: portable C without SIMD; faster with CMSIS-NN linked in (--runtime tflm-cmsis-nn)"


def _is_heavy(signature: Signature) -> bool:
    op = OPS.get(signature.op)
    return op is not None and bool(op.parameters)


def _planned_scratch(signature: Signature) -> Scratch:
    return scratch(KERNELS.get(signature.op), signature)


def _flash(graph: Graph) -> Flash:
    return stored_file(graph, REFERENCE)


def _code(graph: Graph) -> tuple[CodeItem, ...]:
    return network_code(linked_operator_names(graph), REFERENCE)


def with_pointer_bits(runtime: Runtime, bits: int) -> Runtime:
    """`runtime` on a target whose pointers have so many bits.

    64 of them are answered for the reference kernels as the Python wheel tflite-micro was built: it records.
    Raises InputError for what nobody has compared.
    """
    if bits == 8 * MCU_POINTER_BYTES:
        return runtime
    if bits != WHEEL_POINTER_BITS or runtime is not TFLM:
        what = f"nobody has compared {runtime.name} with pointers of {bits} bits"
        raise InputError(
            what, where="--pointer-bits", fix="use --pointer-bits 32, or --pointer-bits 64 with --runtime tflm"
        )
    return TFLM_WHEEL


TFLM = register(
    Runtime(
        name="tflm",
        version="2026.10",
        title="TensorFlow Lite Micro, reference kernels",
        rules=LoweringRules(alignment=16, planned_scratch=_planned_scratch, plans_untouched=True, unpacks=True),
        planner_name="tflm-greedy",
        preference=3,
        planner=tflm_greedy,
        kernel=_kernel,
        refuses=REFERENCE_REFUSALS.of_numbers,
        prepares=REFERENCE_REFUSALS.of_set_up,
        needs=needs,
        flash=_flash,
        flash_ledger=file_ledger,
        code=_code,
        resolver=linked_operator_names,
        persistent=tail_bytes,
        persistent_ledger=tail_ledger,
        setup=setup_bytes,
        harness=harness_bytes,
        memory_basis=Basis.EXACT,
        persistent_basis=Basis.DERIVED,
        reads_offline_plan=True,
        price_family="tflm",
        versions=("713b6ed", "9156d050", "2020", "unstated"),
        evidence="arena head equals the interpreter's on every corpus network; persistent bytes equal the five totals "
        "measured on a 32-bit build of TFLM's generic benchmark, 2,128 B of which plain firmware does not need, and "
        "all 62 tails of the 64-bit wheel; both together meet the published STM32H743 column on 10 of 10 networks, "
        "within 1 KiB (0.41 %)",
    )
)

WHEEL_POINTER_BYTES = 8
WHEEL_POINTER_BITS = 8 * WHEEL_POINTER_BYTES


def _wheel_scratch(signature: Signature) -> Scratch:
    return scratch(KERNELS_2026.get(signature.op), signature, WHEEL_POINTER_BYTES)


def _wheel_persistent(graph: Graph) -> Persistent:
    return tail_bytes(graph, WHEEL_POINTER_BYTES, WHEEL)


def _wheel_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    return tail_ledger(graph, WHEEL_POINTER_BYTES, WHEEL)


def _wheel_setup(graph: Graph) -> int:
    return setup_bytes(graph, WHEEL_POINTER_BYTES, WHEEL)


def _no_harness(graph: Graph) -> int:
    return 0


TFLM_WHEEL = replace(
    TFLM,
    title="TensorFlow Lite Micro, the Python wheel on 64 bits",
    rules=replace(TFLM.rules, planned_scratch=_wheel_scratch),
    persistent=_wheel_persistent,
    persistent_ledger=_wheel_ledger,
    setup=_wheel_setup,
    harness=_no_harness,
    persistent_basis=Basis.EXACT,
    pointer_bits=WHEEL_POINTER_BITS,
)
"""What the Python package tflite-micro takes: the arena to give it starts, and nothing smaller by 16 bytes does."""
