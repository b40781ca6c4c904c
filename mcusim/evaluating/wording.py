"""Preprocessing in words, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.evaluating.dataset import Dataset
from mcusim.evaluating.preprocessing import RANGES, Declared, Frame, frame_of
from mcusim.evaluating.subject import Subject
from mcusim.graph import DType, Tensor
from mcusim.zoo.declarations import Channels, Filter, Integers, Preprocessing, Resize

__all__ = ["preprocessing_steps"]


def preprocessing_steps(
    subject: Subject, dataset: Dataset, declared: Declared, has_pixels: bool
) -> tuple[tuple[str, str], ...]:
    """(what, how) of every step from file to input."""
    frame, chosen = frame_of(subject.input), declared.preprocessing
    if not has_pixels or frame is None:
        return (("values", _given(subject.input, dataset)),)
    steps = []
    if dataset.arrays is None:
        steps.append(("size", _size(frame, chosen)))
    steps.append(("channels", _channels(frame, chosen)))
    steps.append(("values", _values(subject.input, chosen)))
    return tuple(steps)


def _size(frame: Frame, chosen: Preprocessing) -> str:
    target = f"{frame.cols}x{frame.rows}"
    smooth = "" if chosen.filter is Filter.NEAREST else ", antialiased"
    if chosen.resize is Resize.NONE:
        return f"images must be {target}"
    if chosen.resize is Resize.STRETCH:
        return f"stretched to {target}, {chosen.filter} (Pillow{smooth})"
    sides = f"{int(frame.cols / chosen.fraction)}x{int(frame.rows / chosen.fraction)}"
    side = f"shorter side to {int(frame.cols / chosen.fraction)}" if frame.cols == frame.rows else f"to cover {sides}"
    return f"{side}, {chosen.filter} (Pillow{smooth}), then the central {target}"


def _channels(frame: Frame, chosen: Preprocessing) -> str:
    name = "gray" if frame.channels == 1 else "BGR" if chosen.channels is Channels.BGR else "RGB"
    return f"{name}, channels first" if frame.is_planar else name


def _values(tensor: Tensor, chosen: Preprocessing) -> str:
    if tensor.dtype.is_integer and (chosen.integers is Integers.BYTES or tensor.quantization is None):
        low = -128 if tensor.dtype is DType.INT8 else 0
        return f"bytes 0..255 given as {low}..{low + 255}"
    name = next((n for n, pair in RANGES.items() if pair == (chosen.mean, chosen.std)), None)
    moved = f"(byte - {_numbers(chosen.mean)})" if any(chosen.mean) else "byte"
    formula = moved if set(chosen.std) == {1.0} else f"{moved} / {_numbers(chosen.std)}"
    if name is not None:
        formula += f" (range={name})"
    return f"{formula}, {_quantised(tensor)}"


def _quantised(tensor: Tensor) -> str:
    if tensor.quantization is None:
        return str(tensor.dtype)
    scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    return f"as {tensor.dtype} with scale {scale:.6g} and zero point {zero_point}"


def _given(tensor: Tensor, dataset: Dataset) -> str:
    assert dataset.arrays is not None
    if dataset.arrays.dtype.kind == "f" and tensor.dtype.is_integer:
        return f"real numbers, {_quantised(tensor)}"
    return f"{tensor.dtype} as they are"


def _numbers(values: Sequence[float]) -> str:
    listed = ", ".join(f"{value:g}" for value in values)
    return listed if len(values) == 1 else f"({listed})"
