"""ExecuTorch with its cortex_m backend: planned memory, and CMSIS-NN kernels whose scratch is in the plan.

    planned buffers    activations, inputs, outputs, scratch: by `executorch_greedy`, or as a .pte has it
    method allocator   structures of the loaded method: exact of a .pte, else derived from what an export would write
    temp allocator     what finding kernels asks while loading; the backend's own kernels ask for nothing more

Source: executorch 1.5.1, backends/cortex_m (passes, quantizer, ops/operators.yaml) and exir/memory_planning.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from mcusim.frontends.pte_loading import MCU_POINTER_BYTES, Lookup, Request, allocated_bytes, lookup_bytes
from mcusim.graph import DType, Graph, Padding, Signature, signature, tensor_type
from mcusim.lowering.rules import LoweringRules, Scratch
from mcusim.lowering.staging import network_of
from mcusim.ops.conv_2d import Conv2DAttributes
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.pooling import Pool2DAttributes
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.planners import executorch_greedy
from mcusim.report import Basis
from mcusim.runtimes.cmsis_nn_cores import Family, family_of, family_scratch
from mcusim.runtimes.registry import Flash, Kernel, LedgerItem, Persistent, Runtime, register

__all__ = ["EXECUTORCH"]

_OWN = "CUSTOM:"


class _Call(NamedTuple):
    """What one call of the backend has in the exported program, beside the tensors that TFLite's node has too.

    name: of the operator.   numbers: values that are plain numbers or absent.   lists: lengths of its lists of numbers.
    learned: ranks of constants it reads.   left: ranks of constants that the export leaves beside them unread.
    scratch: how many buffers of working memory it is given.   sources: inputs that are computed.
    """

    name: str
    numbers: int
    lists: tuple[int, ...] = ()
    learned: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    scratch: int = 0
    sources: int = 1


_POOL_LISTS = (2, 2, 2)
_CALLS: Mapping[str, _Call] = MappingProxyType(
    {
        "CONV_2D": _Call("quantized_conv2d", 4, (2, 2, 2), (4, 1, 1, 1), (4, 1, 1, 1, 1), 1),
        "DEPTHWISE_CONV_2D": _Call("quantized_depthwise_conv2d", 5, (2, 2, 2), (4, 1, 1, 1), (4, 1, 1, 1, 1), 1),
        "TRANSPOSE_CONV": _Call("quantized_transpose_conv2d", 4, (2, 2, 2, 2), (4, 1, 1, 1), (4, 1, 1, 1, 1), 2),
        "FULLY_CONNECTED": _Call("quantized_linear", 6, (1, 1), (2, 2), (1,)),
        "ADD": _Call("quantized_add", 11, sources=2),
        "MUL": _Call("quantized_mul", 5, sources=2),
        "MINIMUM": _Call("minimum", 0, sources=2),
        "MAXIMUM": _Call("maximum", 0, sources=2),
        "AVERAGE_POOL_2D": _Call("quantized_avg_pool2d", 4, _POOL_LISTS, scratch=1),
        "MEAN": _Call("quantized_avg_pool2d", 4, _POOL_LISTS, scratch=1),
        "MAX_POOL_2D": _Call("quantized_max_pool2d", 5, (2, 2, 2, 2)),
        "SOFTMAX": _Call("softmax", 6),
        "LOGISTIC": _Call("quantized_activation", 0, learned=(1,)),
        "TANH": _Call("quantized_activation", 0, learned=(1,)),
        "TRANSPOSE": _Call("transpose", 0, (4,)),
        "PAD": _Call("pad", 1, (4, 4)),
        "QUANTIZE": _Call("quantize_per_tensor", 5),
        "DEQUANTIZE": _Call("dequantize_per_tensor", 5),
    }
)
"""Operators that the backend has int8 kernels for, as its passes write the calls."""
_RELABELLING = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_MINIMUM = _Call("minimum", 0, learned=(0,))
_CLONE = _Call("_clone_dim_order", 1, (4,))


FLOAT_BYTES = 4
_REQUANTISES = "the backend has no kernel from one scale to another"
_TWO = "an export makes two calls of it; what lies between is counted as alive in both, so memory may be less"


@lru_cache(SIGNATURES_KEPT)
def _kernel(called: Signature) -> Kernel:
    op = called.op
    if op.startswith(_OWN) and "::" in op:
        return Kernel(op.removeprefix(_OWN), why="named in the program")
    if op == "HARD_SWISH" and _is_int8(called):
        return Kernel("cortex_m::minimum, cortex_m::quantized_mul", why="the backend has no kernel of its own for it")
    if op in _RELABELLING:
        return Kernel("view", why="no bytes move") if not _moves(called) else Kernel("_clone_dim_order")
    if op not in _CALLS:
        return Kernel("", False, f"the cortex_m backend has no kernel for {op.removeprefix(_OWN)}")
    if op not in ("QUANTIZE", "DEQUANTIZE") and not _is_int8(called):
        return Kernel("", False, f"the cortex_m backend computes {op} of int8 alone")
    if _is_rescaling(called):
        return Kernel("cortex_m::dequantize_per_tensor, cortex_m::quantize_per_tensor", why=_REQUANTISES, caveat=_TWO)
    if op == "AVERAGE_POOL_2D" and _pads_a_copy(called):
        return Kernel("cortex_m::pad, cortex_m::quantized_avg_pool2d", why="padded first", caveat=_TWO)
    return Kernel(f"cortex_m::{_CALLS[op].name}")


def _is_int8(called: Signature) -> bool:
    source = called.input(2 if called.op == "TRANSPOSE_CONV" else 0)
    return all(kind.dtype is DType.INT8 for kind in (source, *called.outputs))


def _moves(called: Signature) -> bool:
    """Whether relabelling copies: a map of several pixels and channels that loses its axes lies otherwise in NCHW."""
    shape = called.input(0).shape
    return len(shape) == 4 != len(called.output.shape) and shape[-1] > 1 and shape[1] * shape[2] > 1


def _is_rescaling(called: Signature) -> bool:
    """Whether int8 becomes int8 of another scale: the backend has no kernel for that, and goes through floats."""
    return called.op == "QUANTIZE" and called.input(0).dtype is DType.INT8


def _pads_a_copy(called: Signature) -> bool:
    """Whether a pool's input is copied by a PAD of nothing, as PyTorch's default count_include_pad is exported."""
    window = attributes_of(called, Pool2DAttributes)
    source, result = called.input(0), called.output
    return window.padding is Padding.VALID and result.shape[1:3] != (1, 1) and source.shape != result.shape


def _runs_depthwise(called: Signature) -> bool:
    """Whether a convolution of one channel and one image is run as a depthwise one, as the backend's passes have it."""
    source = called.input(0)
    return source.channels == 1 == called.input(1).channels and source.shape[0] == 1


def _as_depthwise(called: Signature) -> Signature:
    weights, attributes = called.input(1), attributes_of(called, Conv2DAttributes)
    out_c, kernel_h, kernel_w, _ = weights.shape
    given = DepthwiseConv2DAttributes(
        padding=attributes.padding,
        stride_h=attributes.stride_h,
        stride_w=attributes.stride_w,
        pads=attributes.pads,
        dilation_h_factor=attributes.dilation_h_factor,
        dilation_w_factor=attributes.dilation_w_factor,
        depth_multiplier=out_c,
    )
    learned = tensor_type((1, kernel_h, kernel_w, out_c), weights.dtype, True)
    return signature("DEPTHWISE_CONV_2D", given, (called.input(0), learned), called.outputs)


def _overwrites(called: Signature) -> tuple[int, ...]:
    return (0,) if called.op in _RELABELLING and not _moves(called) else ()


def _scratch(called: Signature, family: Family) -> Scratch:
    """Working memory that the program plans for a call, an entry even where the kernel asks for none on this core."""
    if called.op == "MEAN":
        source = called.input(0)
        pooled = signature("AVERAGE_POOL_2D", Pool2DAttributes(), (source,), called.outputs)
        return family_scratch(pooled, family) if len(source.shape) == 4 else ()
    if called.op == "CONV_2D" and _runs_depthwise(called):
        return family_scratch(_as_depthwise(called), family)
    if _is_rescaling(called):
        return (("floats", FLOAT_BYTES * called.output.elements),)
    if called.op == "AVERAGE_POOL_2D" and _pads_a_copy(called):
        return (("padded copy", called.input(0).size_bytes), *family_scratch(called, family))
    if called.op == "HARD_SWISH":
        return (("minimum", called.output.size_bytes),)
    return family_scratch(called, family) if called.op in _CALLS and _CALLS[called.op].scratch else ()


@cache
def _rules(family: Family) -> LoweringRules:
    return LoweringRules(
        folds_padding=True,
        in_place=_RELABELLING,
        overwrites=_overwrites,
        planned_scratch=lambda called: _scratch(called, family),
        alignment=16,
        plans_variables=True,
    )


# What loading takes


def _calls(graph: Graph, family: Family) -> Iterator[tuple[_Call | None, Signature]]:
    """The calls that an export makes of a network's nodes; None for a view, which calls nothing."""
    for step in network_of(graph, _rules(family)).steps:
        called = step.signature
        if called.op in _RELABELLING:
            if _moves(called):
                yield _CLONE, called
            yield None, called
        elif _is_rescaling(called):
            yield _CALLS["DEQUANTIZE"], called
            yield _CALLS["QUANTIZE"], called
        elif called.op == "HARD_SWISH":
            yield _MINIMUM, called
            yield _CALLS["MUL"], called
        elif called.op == "AVERAGE_POOL_2D" and _pads_a_copy(called):
            yield _CALLS["PAD"], called
            yield _CALLS["AVERAGE_POOL_2D"], called
        elif called.op == "FULLY_CONNECTED" and family is not Family.MVE:
            yield _CALLS["FULLY_CONNECTED"]._replace(learned=(2, 1), left=()), called
        elif called.op == "CONV_2D" and _runs_depthwise(called):
            yield _CALLS["DEPTHWISE_CONV_2D"], called
        elif called.op in _CALLS:
            yield _CALLS[called.op], called


def _loading(graph: Graph, family: Family) -> tuple[int, int]:
    """Bytes that the method allocator and the temporary one must have for what an export would write of a network."""
    calls = list(_calls(graph, family))
    ranks = [rank for call, _ in calls if call is not None for rank in (*call.learned, *call.left)]
    ranks += [len(graph.tensors[index].shape) for index in graph.inputs]
    tensors = [request for rank in ranks for request in _tensor(rank)]
    values, arguments, lookups = len(ranks), [], []
    for call, called in calls:
        rank = len(called.output.shape)
        made = [rank] if call is None else [*[1] * call.scratch, rank]
        values += len(made)
        tensors += [request for each in made for request in _tensor(each)]
        if call is None:
            continue
        values += call.numbers + sum(call.lists) + len(call.lists)
        for length in call.lists:
            tensors += [Request("pointer", length), Request("integer", length), Request("boxed list")]
        # Its sources, what it learned, numbers, lists, working memory; and the result, as argument and as answer.
        count = call.sources + len(call.learned) + call.numbers + len(call.lists) + call.scratch + 2
        arguments.append(count)
        lookups.append(Lookup(count, (call.sources + 2) * rank + sum(call.learned) + call.scratch))
    requests = [Request("value", values), Request("flag", len(graph.inputs)), *tensors, Request("delegate", 0)]
    requests += [Request("chain"), Request("pointer", len(arguments)), Request("arguments", len(arguments))]
    requests += [Request("pointer", count) for count in arguments]
    return allocated_bytes(requests, MCU_POINTER_BYTES), lookup_bytes(lookups, MCU_POINTER_BYTES)


def _tensor(rank: int) -> tuple[Request, Request]:
    return Request("stride", rank), Request("tensor")


_KERNELS_OWN = "kernels that are not of its cortex_m backend may ask its temporary allocator for more"
_DELEGATES_OWN = "what the backends of its delegates take for themselves is not in the file and comes on top"


def _persistent(graph: Graph, family: Family) -> Persistent:
    items = _ledger(graph, family)
    return Persistent(sum(item.size_bytes for item in items), "; ".join(_untold(graph)))


def _untold(graph: Graph) -> Iterator[str]:
    compiled = graph.source.compiled
    if compiled is None:
        return
    if compiled.has_delegates:
        yield _DELEGATES_OWN
    if any(not node.op.startswith(f"{_OWN}cortex_m::") for node in graph.nodes):
        yield _KERNELS_OWN


def _ledger(graph: Graph, family: Family) -> tuple[LedgerItem, ...]:
    known = graph.source.compiled
    method_bytes, load_bytes = _loading(graph, family) if known is None else (known.method_bytes, known.load_bytes)
    return (
        LedgerItem("method allocator", method_bytes, "values, tensors, arguments of calls"),
        LedgerItem("temporary allocator", load_bytes, "to find kernels while loading"),
    )


CODE_UNKNOWN = "how large ExecuTorch's runtime and kernels are depends on the build, and nobody has measured one here"
_FILE_UNKNOWN = "ExecuTorch stores a .pte file; of this network only its constants are counted: export it to know"


def _flash(graph: Graph) -> Flash:
    if graph.source.compiled is not None:
        return Flash(graph.source.file_bytes, None, Basis.EXACT, CODE_UNKNOWN)
    constants = {
        id(t.constant) if t.constant is not None else id(t): t.size_bytes for t in graph.tensors if t.is_constant
    }
    return Flash(sum(constants.values()), None, Basis.DERIVED, f"{_FILE_UNKNOWN}; {CODE_UNKNOWN}")


def _flash_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    stored = _flash(graph).model_bytes or 0
    what = "as it is" if graph.source.compiled is not None else "constants alone"
    return (LedgerItem(".pte file", stored, what),)


@cache
def _on_core(runtime: Runtime, core: str) -> Runtime:
    family = family_of(core)
    if family is Family.DSP:
        return runtime
    return replace(
        runtime,
        rules=_rules(family),
        persistent=lambda graph: _persistent(graph, family),
        persistent_ledger=lambda graph: _ledger(graph, family),
        on_core=None,
    )


EXECUTORCH = register(
    Runtime(
        name="executorch",
        version="1.5.1",
        title="ExecuTorch, CMSIS-NN kernels of its cortex_m backend",
        rules=_rules(Family.DSP),
        planner_name="executorch-greedy",
        planner=executorch_greedy,
        kernel=_kernel,
        flash=_flash,
        flash_ledger=_flash_ledger,
        persistent=lambda graph: _persistent(graph, Family.DSP),
        persistent_ledger=lambda graph: _ledger(graph, Family.DSP),
        memory_basis=Basis.EXACT,
        persistent_basis=Basis.DERIVED,
        runs_compiled=True,
        price_family="executorch",
        weight_bits=(8,),
        evidence="planned memory and both allocators of .pte files equal those of the package's own library on 64 "
        "bits; planned memory of networks equals what its exporter plans; on 32 bits the sizes are the compiler's for "
        "its headers; nobody has published times or code sizes",
        on_core=_on_core,
    )
)
