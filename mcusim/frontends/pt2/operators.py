"""PyTorch's operators -> steps in ONNX's words: one short rule each.

Operators go by their names in ATen, whatever the overload: `conv2d` for `torch.ops.aten.conv2d.default`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mcusim.frontends.pt2.calls import AtenCall

__all__ = ["RULES"]

Rule = Callable[[AtenCall], None]


def _renamed(op: str, *arguments: str) -> Rule:
    """An operator with the same operands and no attributes."""

    def rule(call: AtenCall) -> None:
        call.step(op, *(call.tensor(name) for name in arguments))

    return rule


def _reshaped(call: AtenCall) -> None:
    """Whatever only changes the shape: the program says what comes out."""
    source = "self" if "self" in call.arguments else "input"
    call.step("Reshape", call.tensor(source), call.integers_constant("shape", call.shape(call.output)))


# Quantisers


def _grid(call: AtenCall) -> tuple[str, str]:
    """Scale and zero point as constants of their own types."""
    kind = call.dtype("dtype")
    names = []
    for argument, part, dtype in (("scale", "scale", "float32"), ("zero_point", "zero_point", kind)):
        plural = f"{argument}s"
        name = call.tensor(plural) if plural in call.arguments else call.tensor(argument)
        elements = call.program.constants.get(name)
        if elements is None:
            raise call.refuse("its scale is computed at run time (dynamic quantisation)", "quantise it statically")
        names.append(call.constant(part, elements.astype(dtype)))
    return names[0], names[1]


def _quantize(call: AtenCall) -> None:
    kind, (scale, zero_point) = call.dtype("dtype"), _grid(call)
    axis = call.plain("axis", 0)
    if _is_whole(call, kind):
        call.step("QuantizeLinear", call.tensor("input"), scale, zero_point, axis=axis)
        return
    inner = f"{call.output}/wide"
    call.step("QuantizeLinear", call.tensor("input"), scale, zero_point, outputs=(inner,), axis=axis)
    bounds = [call.constant(name, np.array(call.plain(name), kind)) for name in ("quant_min", "quant_max")]
    call.step("Clip", inner, *bounds)


def _is_whole(call: AtenCall, kind: str) -> bool:
    """Whether all numbers of the stored type are used. -127 for -128 makes no difference: nothing is as low."""
    limits = np.iinfo(kind)
    lowest, highest = call.plain("quant_min", limits.min), call.plain("quant_max", limits.max)
    return bool(lowest <= limits.min and highest >= limits.max)


def _dequantize(call: AtenCall) -> None:
    call.step("DequantizeLinear", call.tensor("input"), *_grid(call), axis=call.plain("axis", 0))


# Weights


def _conv(spatial: int) -> Rule:
    def rule(call: AtenCall) -> None:
        pads = call.plain("padding", 0)
        attributes = {
            "kernel_shape": call.shape(call.tensor("weight"))[2:],
            "strides": call.pair("stride", 1, spatial),
            "dilations": call.pair("dilation", 1, spatial),
            "group": call.plain("groups", 1),
        }
        operands = (call.tensor("input"), call.tensor("weight"), call.tensor("bias"))
        if isinstance(pads, str):
            call.step("Conv", *operands, auto_pad="SAME_UPPER" if pads == "same" else "VALID", **attributes)
        else:
            call.step("Conv", *operands, pads=call.pair("padding", 0, spatial) * 2, **attributes)

    return rule


def _conv_transpose(call: AtenCall) -> None:
    weights = call.shape(call.tensor("weight"))
    spatial = len(weights) - 2
    call.step(
        "ConvTranspose",
        call.tensor("input"),
        call.tensor("weight"),
        call.tensor("bias"),
        kernel_shape=weights[2:],
        strides=call.pair("stride", 1, spatial),
        dilations=call.pair("dilation", 1, spatial),
        pads=call.pair("padding", 0, spatial) * 2,
        output_padding=call.pair("output_padding", 0, spatial),
        group=call.plain("groups", 1),
    )


def _convolution(call: AtenCall) -> None:
    if call.plain("transposed", False):
        _conv_transpose(call)
    else:
        _conv(len(call.shape(call.tensor("weight"))) - 2)(call)


def _linear(call: AtenCall) -> None:
    call.step("Gemm", call.tensor("input"), call.tensor("weight"), call.tensor("bias"), transB=1)


def _addmm(call: AtenCall) -> None:
    if call.plain("beta", 1) != 1 or call.plain("alpha", 1) != 1:
        raise call.refuse("it has alpha or beta", "write it as a plain matrix product with a bias")
    call.step("Gemm", call.tensor("mat1"), call.tensor("mat2"), call.tensor("self"))


def _batch_norm(call: AtenCall) -> None:
    names = ("input", "weight", "bias", "running_mean", "running_var")
    call.step(
        "BatchNormalization",
        *(call.tensor(n) for n in names),
        outputs=call.outputs[:1],
        epsilon=call.plain("eps", 1e-5),
    )


def _layer_norm(call: AtenCall) -> None:
    axes = len(call.integers("normalized_shape"))
    operands = (call.tensor("input"), call.tensor("weight"), call.tensor("bias"))
    if not operands[1]:
        operands = (operands[0], call.constant("ones", np.ones(1, np.float32)), "")
    call.step("LayerNormalization", *operands, outputs=call.outputs[:1], axis=-axes, epsilon=call.plain("eps", 1e-5))


# Arithmetic


def _binary(op: str) -> Rule:
    def rule(call: AtenCall) -> None:
        if call.plain("alpha", 1) != 1 or call.has("rounding_mode"):
            raise call.refuse("it has alpha or a rounding mode", "write it with plain operands")
        call.step(op, call.tensor("self"), call.tensor("other"))

    return rule


def _clamp(low: str, high: str, lowest: float = -math.inf, highest: float = math.inf) -> Rule:
    def rule(call: AtenCall) -> None:
        bounds = float(call.plain(low, lowest)), float(call.plain(high, highest))
        call.step("Clip", call.tensor("self"), min=bounds[0], max=bounds[1])

    return rule


def _silu(call: AtenCall) -> None:
    gate = f"{call.output}/gate"
    call.step("Sigmoid", call.tensor("self"), outputs=(gate,))
    call.step("Mul", call.tensor("self"), gate)


def _softplus(call: AtenCall) -> None:
    if call.plain("beta", 1) != 1:
        raise call.refuse("it is not of beta 1", "use beta=1")
    call.step("Softplus", call.tensor("self"))


def _leaky(call: AtenCall) -> None:
    call.step("LeakyRelu", call.tensor("self"), alpha=float(call.plain("negative_slope", 0.01)))


def _prelu(call: AtenCall) -> None:
    slopes = call.program.constants.get(call.tensor("weight"))
    if slopes is None:
        raise call.refuse("its slopes are computed at run time", "give it constants")
    rank = len(call.shape(call.tensor("self")))
    shaped = slopes.reshape(-1, *[1] * max(rank - 2, 0))
    call.step("PRelu", call.tensor("self"), call.constant("slopes", shaped))


def _softmax(call: AtenCall) -> None:
    call.step("Softmax", call.tensor("self"), axis=call.plain("dim", -1))


# Pools and means


def _pool(op: str) -> Rule:
    def rule(call: AtenCall) -> None:
        spatial = len(call.shape(call.tensor("self"))) - 2
        kernel = call.pair("kernel_size", 1, spatial)
        strides = call.pair("stride", 1, spatial) if call.plain("stride", ()) not in ((), []) else kernel
        if call.has("divisor_override"):
            raise call.refuse("it has a divisor of its own", "leave divisor_override out")
        call.step(
            op,
            call.tensor("self"),
            outputs=call.outputs[:1],
            kernel_shape=kernel,
            strides=strides,
            pads=call.pair("padding", 0, spatial) * 2,
            dilations=call.pair("dilation", 1, spatial),
            ceil_mode=int(call.plain("ceil_mode", False)),
            count_include_pad=int(call.plain("count_include_pad", True)),
        )

    return rule


def _adaptive(op: str, whole: str) -> Rule:
    def rule(call: AtenCall) -> None:
        before, after = call.shape(call.tensor("self"))[2:], call.shape(call.output)[2:]
        if set(after) == {1}:
            call.step(whole, call.tensor("self"), outputs=call.outputs[:1])
            return
        if any(a % b for a, b in zip(before, after, strict=True)):
            raise call.refuse(f"its windows differ in size: {before} to {after}", "use sizes that divide")
        kernel = tuple(a // b for a, b in zip(before, after, strict=True))
        call.step(op, call.tensor("self"), outputs=call.outputs[:1], kernel_shape=kernel, strides=kernel)

    return rule


def _reduce(op: str) -> Rule:
    def rule(call: AtenCall) -> None:
        axes = call.integers("dim") or tuple(range(len(call.shape(call.tensor("self")))))
        call.step(op, call.tensor("self"), axes=axes, keepdims=int(call.plain("keepdim", False)))

    return rule


def _arg_max(call: AtenCall) -> None:
    if not call.has("dim"):
        raise call.refuse("it is taken over all axes", "name one: dim=")
    call.step("ArgMax", call.tensor("self"), axis=call.plain("dim"), keepdims=int(call.plain("keepdim", False)))


# Moves


def _permute(call: AtenCall) -> None:
    rank = len(call.shape(call.tensor("self")))
    call.step("Transpose", call.tensor("self"), perm=tuple(axis % rank for axis in call.integers("dims")))


def _transpose(call: AtenCall) -> None:
    order = list(range(len(call.shape(call.tensor("self")))))
    a, b = call.plain("dim0", 0), call.plain("dim1", len(order) - 1)
    order[a], order[b] = order[b], order[a]
    call.step("Transpose", call.tensor("self"), perm=tuple(order))


def _cat(call: AtenCall) -> None:
    call.step("Concat", *call.tensors("tensors"), axis=call.plain("dim", 0))


def _slice(call: AtenCall) -> None:
    axis, most = call.plain("dim", 0), (1 << 62)
    numbers = {"starts": call.plain("start", 0), "ends": call.plain("end", most), "axes": axis}
    names = [call.integers_constant(part, (value,)) for part, value in numbers.items()]
    call.step("Slice", call.tensor("self"), *names, call.integers_constant("steps", (call.plain("step", 1),)))


def _select(call: AtenCall) -> None:
    place = call.constant("index", np.array(call.plain("index"), np.int64))
    call.step("Gather", call.tensor("self"), place, axis=call.plain("dim"))


def _split(call: AtenCall) -> None:
    axis = call.plain("dim", 0)
    sizes = tuple(call.shape(output)[axis] for output in call.outputs)
    call.step("Split", call.tensor("self"), call.integers_constant("sizes", sizes), axis=axis)


def _pad(call: AtenCall) -> None:
    """PyTorch names the last axis first, each with its two ends."""
    rank, flat = len(call.shape(call.tensor("self"))), call.integers("pad" if "pad" in call.arguments else "padding")
    ends = [(0, 0)] * rank
    for i in range(len(flat) // 2):
        ends[rank - 1 - i] = (flat[2 * i], flat[2 * i + 1])
    amounts = (*(before for before, _ in ends), *(after for _, after in ends))
    mode = "reflect" if call.op.startswith("reflection") else call.plain("mode", "constant")
    call.step(
        "Pad",
        call.tensor("self"),
        call.integers_constant("pads", amounts),
        call.constant("value", np.array(call.plain("value", 0.0), np.float32)),
        mode=mode,
    )


def _shuffle(call: AtenCall) -> None:
    n, c, *rest = call.shape(call.tensor("self"))
    groups = call.plain("groups")
    wide, turned = f"{call.output}/wide", f"{call.output}/turned"
    shape = call.integers_constant("split", (n, groups, c // groups, *rest))
    call.step("Reshape", call.tensor("self"), shape, outputs=(wide,))
    call.step("Transpose", wide, outputs=(turned,), perm=(0, 2, 1, *range(3, 3 + len(rest))))
    call.step("Reshape", turned, call.integers_constant("shape", (n, c, *rest)))


def _pixel_shuffle(op: str, factor: str) -> Rule:
    def rule(call: AtenCall) -> None:
        if op == "SpaceToDepth":
            raise call.refuse("TFLite orders its channels otherwise", "use a strided convolution")
        call.step(op, call.tensor("self"), blocksize=call.plain(factor), mode="CRD")

    return rule


def _upsample(mode: str) -> Rule:
    def rule(call: AtenCall) -> None:
        size = call.integers_constant("sizes", call.shape(call.output))
        place = "asymmetric" if mode == "nearest" else "half_pixel"
        if call.plain("align_corners", False):
            place = "align_corners"
        source = "self" if "self" in call.arguments else "input"
        call.step(
            "Resize", call.tensor(source), "", "", size,
            mode=mode, coordinate_transformation_mode=place, nearest_mode="floor",
        )  # fmt: skip

    return rule


def _expand(call: AtenCall) -> None:
    call.step("Expand", call.tensor("self"), call.integers_constant("shape", call.shape(call.output)))


def _embedding(call: AtenCall) -> None:
    call.step("Gather", call.tensor("weight"), call.tensor("indices"), axis=0)


RULES: Mapping[str, Rule] = {
    "quantize_per_tensor": _quantize,
    "quantize_per_channel": _quantize,
    "dequantize_per_tensor": _dequantize,
    "dequantize_per_channel": _dequantize,
    "conv1d": _conv(1),
    "conv2d": _conv(2),
    "convolution": _convolution,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "linear": _linear,
    "addmm": _addmm,
    "mm": _renamed("MatMul", "self", "mat2"),
    "bmm": _renamed("MatMul", "self", "mat2"),
    "matmul": _renamed("MatMul", "self", "other"),
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "layer_norm": _layer_norm,
    "native_layer_norm": _layer_norm,
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "relu": _renamed("Relu", "self"),
    "relu6": _clamp("", "", 0.0, 6.0),
    "hardtanh": _clamp("min_val", "max_val", -1.0, 1.0),
    "clamp": _clamp("min", "max"),
    "hardswish": _renamed("HardSwish", "self"),
    "hardsigmoid": lambda call: call.step("HardSigmoid", call.tensor("self"), alpha=1 / 6, beta=0.5),
    "leaky_relu": _leaky,
    "prelu": _prelu,
    "sigmoid": _renamed("Sigmoid", "self"),
    "tanh": _renamed("Tanh", "self"),
    "silu": _silu,
    "gelu": lambda call: call.step("Gelu", call.tensor("self"), approximate=str(call.plain("approximate", "none"))),
    "erf": _renamed("Erf", "self"),
    "gt": _renamed("Greater", "self", "other"),
    "ge": _renamed("GreaterOrEqual", "self", "other"),
    "lt": _renamed("Less", "self", "other"),
    "le": _renamed("LessOrEqual", "self", "other"),
    "where": _renamed("Where", "condition", "self", "other"),
    "logical_not": _renamed("Not", "self"),
    "logical_and": _renamed("And", "self", "other"),
    "logical_or": _renamed("Or", "self", "other"),
    "mish": _renamed("Mish", "self"),
    "softplus": _softplus,
    "log_softmax": lambda call: call.step("LogSoftmax", call.tensor("self"), axis=call.plain("dim", -1)),
    "_log_softmax": lambda call: call.step("LogSoftmax", call.tensor("self"), axis=call.plain("dim", -1)),
    "reciprocal": _renamed("Reciprocal", "self"),
    "pow": _renamed("Pow", "self", "exponent"),
    "log": _renamed("Log", "self"),
    "softmax": _softmax,
    "_softmax": _softmax,
    "sqrt": _renamed("Sqrt", "self"),
    "exp": _renamed("Exp", "self"),
    "abs": _renamed("Abs", "self"),
    "neg": _renamed("Neg", "self"),
    "max_pool1d": _pool("MaxPool"),
    "max_pool2d": _pool("MaxPool"),
    "max_pool2d_with_indices": _pool("MaxPool"),
    "avg_pool1d": _pool("AveragePool"),
    "avg_pool2d": _pool("AveragePool"),
    "adaptive_avg_pool1d": _adaptive("AveragePool", "GlobalAveragePool"),
    "adaptive_avg_pool2d": _adaptive("AveragePool", "GlobalAveragePool"),
    "_adaptive_avg_pool2d": _adaptive("AveragePool", "GlobalAveragePool"),
    "adaptive_max_pool2d": _adaptive("MaxPool", "GlobalMaxPool"),
    "mean": _reduce("ReduceMean"),
    "sum": _reduce("ReduceSum"),
    "amax": _reduce("ReduceMax"),
    "amin": _reduce("ReduceMin"),
    "argmax": _arg_max,
    **dict.fromkeys(
        ("flatten", "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "view_copy", "unflatten"), _reshaped
    ),
    "permute": _permute,
    "permute_copy": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "cat": _cat,
    "slice": _slice,
    "select": _select,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _split,
    "constant_pad_nd": _pad,
    "pad": _pad,
    "reflection_pad1d": _pad,
    "reflection_pad2d": _pad,
    "channel_shuffle": _shuffle,
    "pixel_shuffle": _pixel_shuffle("DepthToSpace", "upscale_factor"),
    "pixel_unshuffle": _pixel_shuffle("SpaceToDepth", "downscale_factor"),
    "upsample_nearest2d": _upsample("nearest"),
    "upsample_bilinear2d": _upsample("linear"),
    "expand": _expand,
    "embedding": _embedding,
    **{
        name: _renamed("Identity", argument)
        for name, argument in (
            ("contiguous", "self"), ("clone", "self"), ("detach", "self"), ("alias", "self"), ("dropout", "input"),
            ("_to_copy", "self"), ("lift_fresh_copy", "self"), ("feature_dropout", "input"),
        )
    },
}  # fmt: skip
"""ATen's name -> the rule. What is missing here is refused by name where the steps are placed."""
