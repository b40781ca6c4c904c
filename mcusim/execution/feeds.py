"""What a user gives a network to compute on, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.arithmetic.quant import dtype_range
from mcusim.errors import InputError
from mcusim.graph import DType, Graph, Tensor

__all__ = ["Feed", "Inputs", "check_inputs"]

Array = NDArray[Any]
Inputs = Sequence[ArrayLike] | Mapping[str, ArrayLike] | Array


class Feed(NamedTuple):
    """Checked inputs, in the order of the network's.   calls: how many; None for one call without a batch."""

    arrays: tuple[Array, ...]
    calls: int | None

    def one(self, call: int) -> list[Array]:
        """The inputs of one call of a batch."""
        return [array[call : call + 1] for array in self.arrays]

    def room_for_outputs(self, graph: Graph) -> list[Array]:
        """Empty outputs of all calls: the number of calls stands in the place of a leading 1, else before the shape."""
        assert self.calls is not None
        rooms = []
        for index in graph.outputs:
            shape = graph.tensors[index].shape
            rest = shape[1:] if shape[:1] == (1,) else shape
            rooms.append(np.zeros((self.calls, *rest), graph.tensors[index].dtype.unpacked.value))
        return rooms


def check_inputs(graph: Graph, inputs: Inputs) -> Feed:
    """The inputs as arrays of the right shape and type. Raises InputError: what came, what is expected, how to fix it.

    An array of exactly the input's shape is one call. Where the input has a leading 1, N in its place is N calls.
    """
    ordered = _in_order(graph, inputs)
    arrays, calls = [], []
    for index, given in zip(graph.inputs, ordered, strict=True):
        tensor = graph.tensors[index]
        array = _array(graph, tensor, given)
        calls.append(_calls(graph, tensor, array))
        arrays.append(array)
    if len(set(calls)) > 1:
        counts = ", ".join("one call" if n is None else f"{n} calls" for n in calls)
        raise _refusal(graph, f"the inputs disagree: {counts}", "give every input the same leading dimension")
    return Feed(tuple(arrays), calls[0] if calls else None)


def _in_order(graph: Graph, inputs: Inputs) -> Sequence[ArrayLike]:
    names = [graph.tensors[index].name for index in graph.inputs]
    if isinstance(inputs, Mapping):
        unknown = [name for name in inputs if name not in names]
        missing = [name for name in names if name not in inputs]
        if unknown or missing:
            what = f"there is no input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
            raise _refusal(graph, what, f"give {', '.join(map(repr, names))}")
        return [inputs[name] for name in names]
    if isinstance(inputs, np.ndarray):
        if len(names) == 1:
            return [inputs]
        raise _refusal(graph, f"one array came for {len(names)} inputs", f"give a list: {_listed(graph)}")
    if isinstance(inputs, str | bytes) or not (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__")):
        what = "None came" if inputs is None else f"{type(inputs).__name__} {inputs!r:.60} came"
        raise _refusal(graph, f"{what} for the inputs", f"give a list of arrays: {_listed(graph)}")
    if len(inputs) != len(names):
        what = f"{len(inputs)} input{'s' if len(inputs) != 1 else ''} came, and it has {len(names)}"
        raise _refusal(graph, what, f"give {_listed(graph)}")
    return inputs


def _listed(graph: Graph) -> str:
    return ", ".join(_wanted(graph.tensors[index]) for index in graph.inputs)


def _wanted(tensor: Tensor) -> str:
    return f"'{tensor.name}' {tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}"


def _array(graph: Graph, tensor: Tensor, given: ArrayLike) -> Array:
    try:
        array = np.asarray(given)
    except (ValueError, TypeError):
        raise _refusal(graph, f"what came for {_wanted(tensor)} is no array", "give a numpy array") from None
    if array.dtype != np.dtype(tensor.dtype.unpacked.value):
        raise _refusal(graph, f"{array.dtype} came for {_wanted(tensor)}", _other_type_fix(tensor, array))
    if array.dtype.kind == "b":  # files may hold bytes other than 0 and 1, and C leaves open what such a bool is
        array = array.view(np.uint8) != 0
    if tensor.dtype.is_packed and array.size:
        lowest, highest = dtype_range(tensor.dtype)
        if array.min() < lowest or array.max() > highest:
            what = f"numbers from {array.min()} to {array.max()} came for {_wanted(tensor)}"
            fix = f"give integers from {lowest} to {highest}, one an element of {tensor.dtype.unpacked}"
            raise _refusal(graph, what, fix)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        what = f"{array[index]} at {index} of the input {_wanted(tensor)}"
        raise _refusal(graph, what, "give finite numbers only")
    return array


def _other_type_fix(tensor: Tensor, array: Array) -> str:
    """How to come to the input's type. A mere `astype` would wrap or cut numbers, so it is never advised."""
    if array.dtype == np.uint8 and tensor.dtype is DType.INT8:
        return "if it is an image of 0..255, give (array.astype('int16') - 128).astype('int8')"
    if array.dtype.kind == "f" and tensor.dtype.is_integer and tensor.quantization is not None:
        scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
        formula = f"round(x / {scale:.6g}) + {zero_point}, clipped to {tensor.dtype}"
        return f"quantise it with the input's scale {scale:.6g} and zero point {zero_point}: {formula}"
    return f"give an array of {tensor.dtype.unpacked}"


def _calls(graph: Graph, tensor: Tensor, array: Array) -> int | None:
    """Number of calls that an array's shape says; None for one call without a batch."""
    shape = tensor.shape
    if array.shape == shape:
        return None
    # Only a leading 1 of the network may become a batch: elsewhere a longer array is a mistake.
    if shape[:1] == (1,) and array.ndim == len(shape) and array.shape[1:] == shape[1:]:
        if array.shape[0]:
            return int(array.shape[0])
        raise _refusal(graph, f"an empty batch came for {_wanted(tensor)}", "give at least one call")
    fix = f"reshape it to {shape}"
    if array.shape == shape[1:]:
        fix = "give it a leading dimension of 1: array[None]"
    # Channels first, as PyTorch has them: a frequent slip with a clear remedy.
    elif array.ndim == len(shape) == 4 and (*array.shape[2:], array.shape[1]) == shape[1:]:
        fix = "its channels come last: array.transpose(0, 2, 3, 1)"
    elif shape[:1] == (1,):
        fix += f", or ({', '.join(['N', *map(str, shape[1:])])}) for N calls"
    came = "x".join(map(str, array.shape)) or "a scalar"
    raise _refusal(graph, f"{came} came for {_wanted(tensor)}", fix)


def _refusal(graph: Graph, what: str, fix: str) -> InputError:
    return InputError(what, where=f"network '{graph.name}'", fix=fix)
