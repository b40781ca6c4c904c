"""A C header with what a TensorFlow Lite Micro project needs: arena size, operators, the plan's figures."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from mcusim.errors import PlanError
from mcusim.graph import Graph
from mcusim.memory.placement import Placement, setup_bytes
from mcusim.memory.planning import offline_plan, plan_memory
from mcusim.ops import OPS
from mcusim.runtimes import Runtime

__all__ = ["operators_of", "resolver_call", "tflm_header"]

ALIGNMENT = 16
PLAIN_POINTER_BITS = 32

_IRREGULAR = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "CUSTOM:CIRCULAR_BUFFER": "CircularBuffer",
    "CUSTOM:TFLite_Detection_PostProcess": "DetectionPostprocess",
}
_SOUND = "CUSTOM:Signal"
"""How operators of the audio front end begin, and their methods do not."""


def resolver_call(op: str) -> str:
    """The method of TFLM's MicroMutableOpResolver that adds an operator; "" for custom ones that it does not know.

    Source: tensorflow/tflite-micro, tensorflow/lite/micro/micro_mutable_op_resolver.h.
    """
    if op in _IRREGULAR:
        return f"Add{_IRREGULAR[op]}"
    if ":" in op:
        return f"Add{op.removeprefix(_SOUND)}" if op.startswith(_SOUND) and op in OPS else ""
    words = (word if word[0].isdigit() else word.capitalize() for word in op.split("_"))
    return "Add" + "".join(words)


def operators_of(graph: Graph) -> tuple[str, ...]:
    """The operators of all subgraphs, sorted."""
    return tuple(sorted({node.op for part in (graph, *graph.subgraphs) for node in part.nodes}))


def tflm_header(graph: Graph, runtime: Runtime, version: str, why: str = "") -> str:
    """The text of the header: C99 and C++.

    version: of mcusim.   why: this runtime, where nobody named one.
    Raises PlanError for a runtime outside the TFLM family.
    """
    if not runtime.reads_offline_plan:
        fix = "use --runtime tflm or tflm-cmsis-nn"
        raise PlanError("has no interpreter to set up", where=f"runtime '{runtime.name}'", fix=fix)
    return "\n".join(_lines(graph, runtime, version, why)) + "\n"


def _lines(graph: Graph, runtime: Runtime, version: str, why: str) -> Iterator[str]:
    prefix = re.sub(r"\W+", "_", graph.name, flags=re.ASCII).strip("_").upper() or "MODEL"
    prefix = prefix if not prefix[0].isdigit() else f"MODEL_{prefix}"
    guard = f"MCUSIM_{prefix}_H"
    target = f"{runtime.title}, a {runtime.pointer_bits}-bit target"
    yield f"/* {_comment(graph.name)}: what TensorFlow Lite Micro needs ({target})."
    bits = "" if runtime.pointer_bits == PLAIN_POINTER_BITS else f" --pointer-bits {runtime.pointer_bits}"
    yield f" * Written by mcusim {version}: `mcusim plan MODEL --runtime {runtime.name}{bits} --emit header FILE`."
    yield from [f" * {_comment(line)}" for line in textwrap.wrap(f"{runtime.name}; {why}.", 110)] if why else []
    yield " *"
    yield f" *   alignas({ALIGNMENT}) static uint8_t arena[{prefix}_ARENA_BYTES];"
    yield f" *   static tflite::MicroMutableOpResolver<{prefix}_OPERATORS> resolver;"
    yield f" *   {prefix}_ADD_OPERATORS(resolver);"
    yield f" *   static tflite::MicroInterpreter interpreter(model, resolver, arena, {prefix}_ARENA_BYTES);"
    yield " */"
    yield f"#ifndef {guard}"
    yield f"#define {guard}"
    yield ""
    yield from _sizes(graph, runtime, prefix)
    yield ""
    yield from _operators(graph, prefix)
    yield ""
    yield f"#endif /* {guard} */"


def _comment(text: str) -> str:
    """A text that ends no comment and begins no trigraph."""
    return re.sub(r"[^\x20-\x7e]|\*/|/\*|\?\?|\\", "?", text)


def _define(name: str, value: object, why: str = "") -> str:
    line = f"#define {name} {value}"
    return f"{line} /* {_comment(why)} */" if why else line


def _sizes(graph: Graph, runtime: Runtime, prefix: str) -> Iterator[str]:
    plan = plan_memory(graph, runtime)
    persistent_bytes = plan.persistent.size_bytes
    harness_bytes = runtime.harness(graph)
    if plan.persistent.warning:
        yield f"/* At least these sizes: {_comment(plan.persistent.warning)}. */"
    yield "/* Arena of the model as it is, in bytes, for plain firmware: it sets up in it and runs in it."
    if harness_bytes:
        added = f"{harness_bytes:,} (a recorder, slots for variables)"
        yield f" * TFLM's benchmark adds {added}; add them if you link that. */"
    else:
        yield " * What a recorder of allocations takes is counted in it, as the Python wheel has one. */"
    yield _define(f"{prefix}_ARENA_BYTES", plan.total_bytes, "head + tail, or more where setting up needs more")
    yield _define(f"{prefix}_HEAD_BYTES", plan.arena_bytes, f"tensors and scratch, placed by {plan.planner_name}")
    yield _define(f"{prefix}_TAIL_BYTES", persistent_bytes, "the interpreter's own structures")
    yield _define(f"{prefix}_ARENA_ALIGNMENT", ALIGNMENT)
    yield ""
    yield "/* Arena of the model that `mcusim plan MODEL --emit tflm FILE` writes, which carries its plan. */"
    try:
        best = offline_plan(graph, runtime)
    except PlanError as error:
        yield f"/* None: {_comment(error.what)}. */"
        return
    proof = "proved minimal" if best.arena_bytes == best.lower_bound_bytes else "the smallest found"
    planned = Placement((), best.arena_bytes, 0)
    extra_bytes = setup_bytes(graph, runtime, planned, persistent_bytes)
    yield _define(f"{prefix}_PLANNED_ARENA_BYTES", best.arena_bytes + persistent_bytes + extra_bytes)
    yield _define(f"{prefix}_PLANNED_HEAD_BYTES", best.arena_bytes, proof)
    yield _define(f"{prefix}_HEAD_LOWER_BOUND_BYTES", best.lower_bound_bytes, "no plan takes less")


def _operators(graph: Graph, prefix: str) -> Iterator[str]:
    names = operators_of(graph)
    calls = [resolver_call(name) for name in names]
    custom = [_comment(name.partition(":")[2]) for name, call in zip(names, calls, strict=True) if not call]
    if custom:
        yield f"/* Add yourself: resolver.AddCustom(...) for {', '.join(custom)}. */"
    if any(name == "VAR_HANDLE" for name in names):
        variables = {n.signature.attributes for g in (graph, *graph.subgraphs) for n in g.nodes if n.op == "VAR_HANDLE"}
        yield "/* The interpreter needs tflite::MicroResourceVariables::Create(allocator, this many). */"
        yield _define(f"{prefix}_RESOURCE_VARIABLES", len(variables))
    yield _define(f"{prefix}_OPERATORS", len(names))
    yield f"#define {prefix}_ADD_OPERATORS(resolver) \\"
    yield "    do { \\"
    for call in filter(None, calls):
        yield f"        (resolver).{call}(); \\"
    yield "    } while (0)"
