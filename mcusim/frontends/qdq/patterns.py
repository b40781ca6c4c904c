"""The one table of patterns: groups of steps that TFLite says with one operator.

Each rule sees a step and the network, and answers with the step that stands for it and the one before, or None. What it
looks at lies between two quantisers, where the network is real arithmetic: no rounding lies between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.network import Array, Attribute, Network, Step

__all__ = ["PATTERNS", "simplified"]

Rule = Callable[[Network, Step], Step | None]

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_TAKES_CLAMP = WEIGHTED | {
    "Add", "Sub", "Mul", "Div", "Affine", "AveragePool", "GlobalAveragePool", "MaxPool", "ReduceMean", "Identity",
    "HardSwish", "LeakyRelu", "Concat", "Resize", "Softmax", "Sigmoid", "Reshape", "Flatten", "Transpose",
}  # fmt: skip
MAX_ROUNDS = 64


def simplified(network: Network) -> Network:
    """`network` with every pattern of the table replaced, until none is left."""
    # One pattern makes another possible (a clamp behind a line behind a convolution), so rounds until nothing changes.
    for _ in range(MAX_ROUNDS):
        before = network
        for rule in PATTERNS.values():
            network = _applied(network, rule)
        if network is before:
            break
    return network


def _applied(network: Network, rule: Rule) -> Network:
    """One walk over the steps. A replaced step keeps the output's name; what it absorbed is left out if unread."""
    steps, changed = [], False
    absorbed: set[str] = set()
    for step in network.steps:
        if any(name in absorbed for name in step.inputs):  # its neighbour changed in this walk: look again in the next
            steps.append(step)
            continue
        new = rule(network, step)
        if new is None:
            steps.append(step)
            continue
        changed = True
        absorbed.update(name for name in step.inputs if name in network.producer and name not in new.inputs)
        absorbed.update(step.outputs)
        steps.append(new)
    return _pruned(network.with_steps(steps)) if changed else network


def _pruned(network: Network) -> Network:
    """Without steps whose outputs nobody reads."""
    needed, kept = set(network.outputs), []
    for step in reversed(network.steps):
        if any(output in needed for output in step.outputs):
            kept.append(step)
            needed.update(step.inputs)
    return network.with_steps(reversed(kept))


def _before(network: Network, name: str, ops: frozenset[str]) -> Step | None:
    """The step that computes a value, if it is one of these and nobody else reads it."""
    step = network.producer.get(name)
    return step if step is not None and step.op in ops and network.is_read_once(name) else None


def _without_clamp(step: Step | None) -> bool:
    return step is not None and "clamp" not in step.attributes


# Clamps


def clamp_as_step(network: Network, step: Step) -> Step | None:
    """Relu, Clip, Min and Max with a constant, HardTanh: a step of one input with a clamp."""
    if "clamp" in step.attributes:
        return None
    limits = _limits(network, step)
    if limits is None:
        return None
    source = next(name for name in step.inputs if name and (step.op in ("Relu", "Clip") or network.real(name) is None))
    return step.stand_in("Clip", (source,), step.outputs, {"clamp": limits})


def _limits(network: Network, step: Step) -> tuple[float, float] | None:
    if step.op == "Relu":
        return 0.0, float(np.inf)
    if step.op == "Clip" and len(step.inputs) == 1:
        return step.real("min", -np.inf), step.real("max", np.inf)
    if step.op == "Clip":
        bounds = [_scalar(network, step.input(i)) if step.has(i) else None for i in (1, 2)]
        if any(bound is None and step.has(i) for i, bound in enumerate(bounds, 1)):
            return None
        given = [network.constants[step.input(i)] for i in (1, 2) if step.input(i) in network.constants]
        if given and given[0].dtype.kind in "iu":
            return _stored_limits(network, step, bounds)
        return (-np.inf if bounds[0] is None else bounds[0], np.inf if bounds[1] is None else bounds[1])
    if step.op in ("Min", "Max") and len(step.inputs) == 2:
        scalars = [_scalar(network, name) for name in step.inputs]
        bound = next((each for each in scalars if each is not None), None)
        if bound is None or None not in scalars:
            return None
        return (bound, float(np.inf)) if step.op == "Max" else (float(-np.inf), bound)
    return None


def _stored_limits(network: Network, step: Step, bounds: list[float | None]) -> tuple[float, float] | None:
    """A Clip of stored integers, as Brevitas writes fewer bits: its bounds in real numbers."""
    producer = network.producer.get(step.input(0))
    if producer is None or producer.op != "QuantizeLinear":
        return None
    scale, zero_point = _scalar(network, producer.input(1)), _scalar(network, producer.input(2)) or 0.0
    if scale is None:
        return None
    low, high = (None if bound is None else (bound - zero_point) * scale for bound in bounds)
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _scalar(network: Network, name: str) -> float | None:
    real = network.real(name) if name else None
    return float(real.ravel()[0]) if real is not None and real.size == 1 else None


def absorb_clamp(network: Network, step: Step) -> Step | None:
    """A clamp behind what computes."""
    if step.op != "Clip" or "clamp" not in step.attributes:
        return None
    before = _before(network, step.input(0), _TAKES_CLAMP | {"Clip"})
    if before is None or (before.op == "Clip" and "clamp" not in before.attributes):
        return None
    low, high = _bounds(step)
    if "clamp" in before.attributes:
        inner = _bounds(before)
        # Clip(Clip(x, a, b), c, d): the ends of the inner clamp, each moved into the outer one.
        low, high = min(max(inner[0], low), high), max(min(inner[1], high), low)
    return replace(before, outputs=step.outputs, attributes={**before.attributes, "clamp": (low, high)})


def _bounds(step: Step) -> tuple[float, float]:
    ends = step.attributes["clamp"]
    assert isinstance(ends, tuple)
    return float(ends[0]), float(ends[1])


# Sums and products with constants


def constant_as_affine(network: Network, step: Step) -> Step | None:
    """x + c, x - c, c - x, x * c, x / c with a real constant, one for all or one a channel: x * factor + offset."""
    if step.op not in ("Add", "Sub", "Mul", "Div") or "clamp" in step.attributes:
        return None
    operand = _with_constant(network, step)
    if operand is None:
        return None
    name, numbers, is_first = operand
    one, zero = np.ones(1), np.zeros(1)
    if step.op == "Add":
        factor, offset = one, numbers
    elif step.op == "Sub":
        factor, offset = (-one, numbers) if is_first else (one, -numbers)
    elif step.op == "Mul":
        factor, offset = numbers, zero
    # c / x is no line in x, and x / 0 no number.
    elif is_first or (numbers == 0).any():
        return None
    else:
        factor, offset = 1 / numbers, zero
    return step.stand_in("Affine", (name,), step.outputs, {"factor": factor, "offset": offset})


def _with_constant(network: Network, step: Step) -> tuple[str, Array, bool] | None:
    """The operand that is computed, the constant's numbers (one, or one a channel), and whether it is the first."""
    for index in (0, 1):
        real, other = network.constants.get(step.input(index)), step.input(1 - index)
        if real is None or real.dtype.kind != "f" or network.real(other) is not None:
            continue
        numbers = per_channel(real, network.shape(other))
        if numbers is not None:
            return other, numbers, index == 0
    return None


def per_channel(real: Array, shape: tuple[int, ...] | None) -> Array | None:
    """A constant as one number, or one for each channel (axis 1) of a map; None where it is neither."""
    if real.size == 1:
        return real.astype(np.float64).ravel()
    if shape is None or len(shape) not in (3, 4) or len(shape) < real.ndim:
        return None
    full = (1,) * (len(shape) - real.ndim) + real.shape
    if full[1] == real.size == shape[1]:
        return real.astype(np.float64).ravel()
    return None


def batch_norm_as_affine(network: Network, step: Step) -> Step | None:
    if step.op != "BatchNormalization":
        return None
    numbers = [network.real(name) for name in step.inputs[1:5]]
    if any(each is None for each in numbers) or len(step.outputs) != 1:
        return None
    scale, bias, mean, variance = (np.asarray(each, np.float64) for each in numbers)
    factor = scale / np.sqrt(variance + step.real("epsilon", 1e-5))
    line: dict[str, Attribute] = {"factor": factor, "offset": bias - mean * factor}
    return step.stand_in("Affine", step.inputs[:1], step.outputs, line)


def hard_sigmoid_as_affine(network: Network, step: Step) -> Step | None:
    if step.op != "HardSigmoid":
        return None
    slope, middle = np.array([step.real("alpha", 0.2)]), np.array([step.real("beta", 0.5)])
    line: dict[str, Attribute] = {"factor": slope, "offset": middle, "clamp": (0.0, 1.0)}
    return step.stand_in("Affine", step.inputs, step.outputs, line)


def compose_affine(network: Network, step: Step) -> Step | None:
    """An affine step behind another, or behind what has weights."""
    if step.op != "Affine":
        return None
    before = _before(network, step.input(0), WEIGHTED | {"Affine"})
    if before is None or (before.op == "MatMul" and network.real(before.input(1)) is None):
        return None
    factor, offset = step.array("factor"), step.array("offset")
    assert factor is not None
    assert offset is not None
    # One number a channel is one along axis 1, which of a matrix product need not be that of its weights' columns.
    if before.op in ("Gemm", "MatMul") and max(factor.size, offset.size) > 1:
        return None
    attributes = {**before.attributes}
    if "clamp" in before.attributes:
        if before.op != "Affine" or factor.size > 1 or offset.size > 1 or factor[0] <= 0 or "clamp" in step.attributes:
            return None
        # A line behind a clamp moves the clamp's ends with it; only a rising line keeps their order.
        low, high = _bounds(before)
        attributes["clamp"] = (low * factor[0] + offset[0], high * factor[0] + offset[0])
    old_factor, old_offset = before.array("factor"), before.array("offset")
    attributes["factor"] = factor * (1.0 if old_factor is None else old_factor)
    attributes["offset"] = offset + factor * (0.0 if old_offset is None else old_offset)
    if "clamp" in step.attributes:
        attributes["clamp"] = step.attributes["clamp"]
    return replace(before, outputs=step.outputs, attributes=attributes)


def absorb_bias(network: Network, step: Step) -> Step | None:
    """A sum with a constant behind what has weights, and no bias yet in it, whether that has a scale or not."""
    if step.op != "Add":
        return None
    for index in (0, 1):
        real = network.real(step.input(index))
        before = _before(network, step.input(1 - index), WEIGHTED)
        if real is None or before is None or not _without_clamp(before):
            continue
        weights = network.shape(before.input(1))
        if weights is None or network.real(before.input(1)) is None:
            continue
        channels = _channels(before, weights)
        is_map = before.op in ("Conv", "ConvTranspose")
        shape = network.shape(step.output) or network.shape(before.output)
        if is_map:
            numbers = per_channel(real, shape)
        else:
            numbers = (
                real.ravel() if real.size in (1, channels) and real.shape[-1:] in ((channels,), (1,), ()) else None
            )
        if numbers is None or numbers.size not in (1, channels):
            continue
        if (
            # A plain bias stays an operand, as its quantised elements are then taken as they are. All else joins the
            # offset.
            not before.has(2)
            and before.array("offset") is None
            and before.array("factor") is None
            and real.size == channels
        ):
            return replace(before, outputs=step.outputs, inputs=(*before.inputs[:2], step.input(index)))
        old = before.array("offset")
        offset = np.broadcast_to(numbers.astype(np.float64), (channels,)) + (0.0 if old is None else old)
        return replace(before, outputs=step.outputs, attributes={**before.attributes, "offset": offset})
    return None


def _channels(step: Step, weights: tuple[int, ...]) -> int:
    if step.op == "Conv":
        return weights[0]
    if step.op == "ConvTranspose":
        return weights[1] * step.integer("group", 1)
    return weights[0] if step.op == "Gemm" and step.integer("transB", 0) else weights[-1]


# Hard swish


def hard_swish(network: Network, step: Step) -> Step | None:
    """x * clip(x / 6 + 1/2, 0, 1), in the forms that exporters write."""
    if step.op == "Mul" and len(step.inputs) == 2 and "clamp" not in step.attributes:
        for gate_name, source in (step.inputs, step.inputs[::-1]):
            gate = _before(network, gate_name, frozenset({"Affine"}))
            if gate is not None and gate.input(0) == source and _is_gate(gate, 1 / 6):
                return step.stand_in("HardSwish", (source,), step.outputs, {})
    if step.op == "Affine" and "clamp" not in step.attributes:
        product = _before(network, step.input(0), frozenset({"Mul"}))
        if product is None or not _is_number(step.array("factor"), 1 / 6) or not _is_number(step.array("offset"), 0.0):
            return None
        for gate_name, source in (product.inputs, product.inputs[::-1]):
            gate = _before(network, gate_name, frozenset({"Affine"}))
            if gate is not None and gate.input(0) == source and _is_gate(gate, 1.0):
                return step.stand_in("HardSwish", (source,), step.outputs, {})
    return None


def _is_gate(step: Step, slope: float) -> bool:
    """Whether a step is clip(slope * x + 3 * slope, 0, 6 * slope)."""
    if "clamp" not in step.attributes:
        return False
    low, high = _bounds(step)
    return (
        _is_number(step.array("factor"), slope)
        and _is_number(step.array("offset"), 3 * slope)
        and abs(low) < _CLOSE
        and abs(high - 6 * slope) < _CLOSE
    )


_CLOSE = 1e-5


def _is_number(array: Array | None, number: float) -> bool:
    return array is not None and array.size == 1 and abs(float(array.ravel()[0]) - number) < _CLOSE


# The error function, and what is monotone


def line_before_error_function(network: Network, step: Step) -> Step | None:
    """erf(x * a + b)."""
    before = _before(network, step.input(0), frozenset({"Affine"})) if step.op == "Erf" else None
    line = _line(before)
    if before is None or line is None or "slope" in step.attributes or "slope_before" in step.attributes:
        return None
    return replace(step, inputs=before.inputs, attributes={"slope_before": line[0], "middle_before": line[1]})


def line_behind_error_function(network: Network, step: Step) -> Step | None:
    """erf(x) * a + b."""
    before = _before(network, step.input(0), frozenset({"Erf"})) if step.op == "Affine" else None
    line = _line(step)
    if before is None or line is None or "slope" in before.attributes:
        return None
    return replace(before, outputs=step.outputs, attributes={**before.attributes, "slope": line[0], "middle": line[1]})


def _line(step: Step | None) -> tuple[float, float] | None:
    """Factor and offset of a line without clamp that is one for all channels."""
    factor, offset = (None, None) if step is None else (step.array("factor"), step.array("offset"))
    if (
        step is None
        or factor is None
        or offset is None
        or factor.size > 1
        or offset.size > 1
        or "clamp" in step.attributes
    ):
        return None
    return float(factor.ravel()[0]), float(offset.ravel()[0])


def gelu(network: Network, step: Step) -> Step | None:
    """x / 2 * (1 + erf(x / sqrt(2))), in the forms that exporters write."""
    if step.op == "Affine" and _line(step) == (0.5, 0.0):
        product = _before(network, step.input(0), frozenset({"Mul"}))
        source = _gated(network, product, 1.0)
        return step.stand_in("Gelu", (source,), step.outputs, {}) if source else None
    if step.op != "Mul" or "clamp" in step.attributes:
        return None
    source = _gated(network, step, 0.5)
    if source:
        return step.stand_in("Gelu", (source,), step.outputs, {})
    for index in (0, 1):
        half = _before(network, step.input(index), frozenset({"Affine"}))
        if half is not None and _line(half) == (0.5, 0.0):
            plain = replace(step, inputs=(half.input(0), step.input(1 - index)))
            source = _gated(network, plain, 1.0)
            if source:
                return step.stand_in("Gelu", (source,), step.outputs, {})
    return None


def _gated(network: Network, product: Step | None, slope: float) -> str:
    """x, where a product is x * slope * (1 + erf(x / sqrt(2))); else ""."""
    if product is None or len(product.inputs) != 2 or "clamp" in product.attributes:
        return ""
    for gate_name, source in (product.inputs, product.inputs[::-1]):
        gate = _before(network, gate_name, frozenset({"Erf"}))
        if gate is None or gate.input(0) != source:
            continue
        numbers = [gate.real(name, default) for name, default in _GELU_NUMBERS.items()]
        if np.allclose(numbers, [2**-0.5, 0.0, slope, slope], atol=_CLOSE):
            return source
    return ""


_GELU_NUMBERS = {"slope_before": 1.0, "middle_before": 0.0, "slope": 1.0, "middle": 0.0}


def place_of_largest(network: Network, step: Step) -> Step | None:
    """The largest of a softmax is the largest of what goes into it."""
    before = _before(network, step.input(0), frozenset({"Softmax"})) if step.op == "ArgMax" else None
    shape = network.shape(step.input(0))
    if before is None or shape is None or "clamp" in before.attributes or before.integer("is_flattening", 0):
        return None
    rank = len(shape)
    if before.integer("axis", -1) % rank != step.integer("axis", 0) % rank:
        return None
    return replace(step, inputs=before.inputs)


PATTERNS: Mapping[str, Rule] = {
    "a clamp is a step of one input": clamp_as_step,
    "a batch norm is a factor and an offset a channel": batch_norm_as_affine,
    "a hard sigmoid is a clamped line": hard_sigmoid_as_affine,
    "a bias behind weights": absorb_bias,
    "a sum or product with a constant is a line": constant_as_affine,
    "a line behind a line, or behind weights": compose_affine,
    "a clamp behind what computes": absorb_clamp,
    "x * hard sigmoid(x) is hard swish": hard_swish,
    "a line before an error function": line_before_error_function,
    "a line behind an error function": line_behind_error_function,
    "x / 2 * (1 + erf(x / sqrt(2))) is GELU": gelu,
    "the largest of a softmax is the largest before it": place_of_largest,
}
