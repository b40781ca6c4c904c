"""Kernels of all other operators that compute.

A choice depends on types and attributes alone, never on where a step lies, so that memory and price are known before
there is any C. It names the kernel's function and file, what it works in, what it stores in flash (name, bytes of an
entry, entries), and which inputs it may be computed on top of. None: there is no kernel in C, and `refusals` say so.
"""

from __future__ import annotations

from mcusim.firmware.choices.kinds import STORED_INTEGERS, KernelChoice, Stored, same
from mcusim.graph import DType, Signature

__all__ = [
    "add_n",
    "batch_matmul",
    "bilinear",
    "cast",
    "comparison",
    "converting",
    "cumsum",
    "extreme",
    "l2_normalization",
    "leaky_relu",
    "log_softmax",
    "lookup",
    "lstm",
    "pool",
    "reduction",
    "relu",
    "root",
    "sigmoid",
    "softmax",
    "svdf",
]


def lookup(signature: Signature) -> KernelChoice | None:
    if same(signature, DType.INT8, DType.BOOL):
        return KernelChoice("lookup", "lookup.h", (), (Stored("table", 1, 256),), (0,))
    return None


def root(signature: Signature) -> KernelChoice | None:
    if same(signature, DType.INT16):
        return KernelChoice("roots_16", "roots_16.h", (), (), (0,))
    return lookup(signature)


def sigmoid(signature: Signature) -> KernelChoice | None:
    if same(signature, DType.INT16):
        return KernelChoice("sigmoid_16", "sigmoid_16.h", (), (Stored("table", 2, 256),), (0,))
    return lookup(signature)


def leaky_relu(signature: Signature) -> KernelChoice | None:
    if same(signature, DType.INT16):
        return KernelChoice("leaky_relu_16", "leaky_relu_16.h", (), (), (0,))
    return lookup(signature)


def relu(signature: Signature) -> KernelChoice | None:
    if same(signature, DType.INT16):
        return KernelChoice("relu_16", "relu_16.h", (), (), (0,))
    return lookup(signature)


def softmax(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.output.dtype
    if kinds in ((DType.INT8, DType.INT8), (DType.INT8, DType.INT16)):
        overwrites = (0,) if kinds[0] is kinds[1] else ()
        return KernelChoice("softmax", "softmax.h", (), (Stored("exponentials", 4, 256),), overwrites)
    if kinds == (DType.INT16, DType.INT16):
        stored = Stored("exponentials", 2, 513), Stored("reciprocals", 2, 513)
        return KernelChoice("softmax_16", "softmax_16.h", (), stored, (0,))
    return None


_READ_TYPES = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.BOOL)


def extreme(signature: Signature) -> KernelChoice | None:
    known = signature.input(0).dtype in _READ_TYPES and signature.output.dtype in (DType.INT32, DType.INT64)
    return KernelChoice("extreme", "extreme.h") if known else None


def cast(signature: Signature) -> KernelChoice | None:
    known = (*_READ_TYPES, DType.INT64)
    is_known = signature.input(0).dtype in known and signature.output.dtype in known
    return KernelChoice("cast", "convert.h") if is_known else None


def lstm(signature: Signature) -> KernelChoice | None:
    source, state = signature.input(0), signature.input(18)
    if source.dtype not in (DType.INT8, DType.INT16) or not all(
        signature.has(i) for i in (*range(1, 9), *range(12, 16))
    ):
        return None
    if len(signature.input(1).shape) != 2:
        return None
    units, inputs = signature.input(1).shape
    bias_bytes = 8 if source.dtype is DType.INT16 else 4
    gate = (
        Stored("inputs", 1, units * inputs),
        Stored("recurrent", 1, units * units),
        Stored("bias", bias_bytes, units),
    )
    stored = tuple(array._replace(name=f"{array.name}_{number}") for number in range(4) for array in gate)
    scratch = (("hidden", units * state.dtype.bits // 8),)
    return KernelChoice("lstm", "lstm.h", scratch, (*stored, Stored("table", 2, 256)))


def log_softmax(signature: Signature) -> KernelChoice | None:
    if not same(signature, DType.INT8):
        return None
    stored = Stored("exponentials", 4, 256), Stored("scaled", 4, 256)
    return KernelChoice("log_softmax", "log_softmax.h", (), stored, (0,))


def pool(signature: Signature) -> KernelChoice | None:
    name = "average_pool_2d" if signature.op == "AVERAGE_POOL_2D" else "max_pool_2d"
    if same(signature, DType.INT8):
        return KernelChoice(name, "pool_2d.h")
    return KernelChoice(f"{name}_16", "pool_2d_16.h") if same(signature, DType.INT16) else None


_REDUCED_TYPES = (DType.INT8, DType.INT16, DType.BOOL)


def reduction(signature: Signature) -> KernelChoice | None:
    is_alike = signature.input(0).dtype is signature.output.dtype
    return KernelChoice("reduce", "reduce.h") if is_alike and signature.output.dtype in _REDUCED_TYPES else None


def converting(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.output.dtype
    if any(kind.is_packed for kind in kinds):
        return None
    overwrites = (0,) if kinds[0].bits == kinds[1].bits else ()
    return KernelChoice("convert", "convert.h", (), (), overwrites)


def comparison(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.input(1).dtype
    if kinds in ((DType.INT32, DType.INT32), (DType.BOOL, DType.BOOL)):
        return KernelChoice("plain_relation", "plain.h")
    return KernelChoice("relation", "relation.h") if kinds == (DType.INT8, DType.INT8) else None


def batch_matmul(signature: Signature) -> KernelChoice | None:
    return KernelChoice("batch_matmul", "batch_matmul.h") if same(signature, DType.INT8, DType.INT16) else None


def bilinear(signature: Signature) -> KernelChoice | None:
    if signature.input(0).dtype not in STORED_INTEGERS or signature.output.dtype is not signature.input(0).dtype:
        return None
    places = signature.output.rows + signature.output.cols
    return KernelChoice("resize_bilinear", "resize_bilinear.h", (), (Stored("places", 2, 3 * places),))


def svdf(signature: Signature) -> KernelChoice | None:
    features, times = signature.input(1), signature.input(2)
    stored = (
        Stored("features", 1, features.elements),
        Stored("times", times.dtype.bits // 8, times.elements),
        Stored("bias", 4, signature.output.shape[-1]),
    )
    return KernelChoice("svdf" if times.dtype is DType.INT16 else "svdf_8", "svdf.h", (), stored)


def add_n(signature: Signature) -> KernelChoice | None:
    return KernelChoice("add_n", "add_n.h") if same(signature, DType.INT8) else None


def cumsum(signature: Signature) -> KernelChoice | None:
    is_int8 = signature.input(0).dtype is signature.output.dtype is DType.INT8
    return KernelChoice("cumsum", "cumsum.h") if is_int8 else None


def l2_normalization(signature: Signature) -> KernelChoice | None:
    return KernelChoice("l2_normalization", "l2_normalization.h", (), (), (0,)) if same(signature, DType.INT8) else None
