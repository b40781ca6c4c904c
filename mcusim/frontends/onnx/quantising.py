"""A float ONNX network and calibration data -> the network on TFLite's scales, by ONNX Runtime's calibrators.

What ONNX Runtime gives is imported like any other quantised network, but for scales that TFLite wants equal or fixed:
those are chosen so (`qdq/tying.py`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.errors import InputError, ModelError
from mcusim.frontends.onnx.reading import file_content, read_network, self_contained
from mcusim.frontends.onnx.running import package, reason, runtime_errors
from mcusim.frontends.qdq import Network, Value, import_network
from mcusim.frontends.qdq.network import Array
from mcusim.frontends.qdq.tying import tied
from mcusim.graph import DType, Graph

__all__ = ["Method", "Recipe", "feeds", "float_network_inputs", "quantised_graph"]


_LIBRARY_ERRORS = (ValueError, KeyError, AssertionError, AttributeError, TypeError, OSError)
"""What ONNX Runtime's quantiser raises on networks that it does not expect, beside its own errors."""


class Method(StrEnum):
    """How the range of an activation is found from calibration data."""

    MIN_MAX = "min-max"
    """The smallest and the largest number seen."""
    PERCENTILE = "percentile"
    """The range that holds a share of all numbers seen: outliers are cut."""
    ENTROPY = "entropy"
    """The range that loses the least information."""


_METHODS = {Method.MIN_MAX: "MinMax", Method.PERCENTILE: "Percentile", Method.ENTROPY: "Entropy"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to quantise. percentile: of METHOD percentile, in (50, 100].   bits: of activations, 8 or 16."""

    method: Method = Method.MIN_MAX
    percentile: float = 99.99
    per_channel: bool = True
    bits: int = 8


def quantised_graph(path: Path, samples: Sequence[Mapping[str, Array]], recipe: Recipe) -> Graph:
    """The network in a float .onnx file, quantised after training.

    samples: feeds of the network, each input by name, in its own shape and float32.
    Raises ModelError for what cannot be read or expressed.
    """
    where = str(path)
    content = file_content(path)
    _refuse_quantised(read_network(content, name=path.stem, where=where, folder=path.parent), where)
    whole = self_contained(content, where=where, folder=path.parent)
    quantised = _quantised(whole, samples, recipe, where)
    network = read_network(quantised, name=path.stem, where=where)
    return import_network(tied(network) if recipe.bits == 8 else network, where)


def _refuse_quantised(network: Network, where: str) -> None:
    if any(step.op in ("QuantizeLinear", "DequantizeLinear") for step in network.steps):
        fix = "export it as it is: `mcusim export MODEL OUT.tflite`"
        raise ModelError("the network is quantised already", where=where, fix=fix)


def feeds(inputs: Mapping[str, Value], arrays: Mapping[str, Array], where: str) -> list[dict[str, Array]]:
    """Samples of calibration data, one by one.

    arrays: for each input N samples of its shape, stacked or joined along the batch. Raises InputError.
    """
    columns = {}
    for name, value in inputs.items():
        if name not in arrays:
            fix = f"save one array an input: numpy.savez(FILE, **{{{', '.join(f'{n!r}: ...' for n in inputs)}}})"
            raise InputError(f"it has no array '{name}'", where=where, fix=fix)
        columns[name] = _samples(name, value, arrays[name], where)
    counts = {len(each) for each in columns.values()}
    if len(counts) != 1:
        raise InputError(f"its arrays hold {sorted(counts)} samples", where=where, fix="give as many for each input")
    return [{name: column[i] for name, column in columns.items()} for i in range(counts.pop())]


def _samples(name: str, value: Value, array: Array, where: str) -> list[Array]:
    shape = value.shape
    dtype = np.float32 if value.dtype is DType.FLOAT32 else np.dtype(value.dtype.value)
    is_stacked = array.shape[1:] == shape
    is_batched = array.ndim == len(shape) and array.shape[1:] == shape[1:] and shape[:1] == (1,)
    if not len(array) or not (is_stacked or is_batched) or array.dtype.kind not in "fiu":
        shown = "x".join(map(str, ("N", *(shape[1:] if shape[:1] == (1,) else shape))))
        what = f"array '{name}' is {array.dtype} {'x'.join(map(str, array.shape))}"
        raise InputError(what, where=where, fix=f"give N samples as the network takes them, {shown}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"array '{name}' holds numbers that are not finite", where=where, fix="leave them out")
    return [np.ascontiguousarray(each.reshape(shape).astype(dtype)) for each in array]


def float_network_inputs(path: Path) -> Mapping[str, Value]:
    """The inputs of an .onnx file, by name."""
    network = read_network(file_content(path), name=path.stem, where=str(path), folder=path.parent)
    return {name: network.values[name] for name in network.inputs}


def _quantised(whole: bytes, samples: Sequence[Mapping[str, Array]], recipe: Recipe, where: str) -> bytes:
    """What `quantize_static` writes.   whole: the float model, with all its tensors in it.

    It gets a file of its own: ONNX Runtime's preparation loses track of tensors in other files, where torch.onnx puts
    them.
    """
    quantization = package("onnxruntime.quantization", where)
    shape_inference = package("onnxruntime.quantization.shape_inference", where)
    errors: tuple[type[Exception], ...] = (
        *runtime_errors(),
        *_LIBRARY_ERRORS,
        package("onnx.checker", where).ValidationError,
    )
    kind = quantization.QuantType.QInt8 if recipe.bits == 8 else quantization.QuantType.QInt16
    with tempfile.TemporaryDirectory(prefix="mcusim-") as folder, _silenced():
        given, prepared, written = (Path(folder) / f"{part}.onnx" for part in ("given", "prepared", "quantised"))
        try:
            given.write_bytes(whole)
            shape_inference.quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(written),
                _reader(quantization, samples),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=kind,
                weight_type=quantization.QuantType.QInt8,
                per_channel=recipe.per_channel,
                calibrate_method=quantization.CalibrationMethod[_METHODS[recipe.method]],
                extra_options={
                    "ActivationSymmetric": recipe.bits == 16,
                    "WeightSymmetric": True,
                    "CalibTensorRangeSymmetric": False,
                    "CalibPercentile": recipe.percentile,
                },
            )
        except errors as error:
            fix = "check that onnxruntime runs the network on these samples"
            fix += ", or take one scale for all weights of a layer (--per-tensor)" if recipe.per_channel else ""
            raise ModelError(f"onnxruntime cannot quantise it: {reason(error)}", where=where, fix=fix) from error
        return written.read_bytes()


def _reader(quantization: Any, samples: Sequence[Mapping[str, Array]]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[Mapping[str, Array]] = iter(samples)

        def get_next(self) -> Mapping[str, Array] | None:
            return next(self.left, None)

    return Reader()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Without the advice that the quantiser logs, and without the progress that it prints."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
