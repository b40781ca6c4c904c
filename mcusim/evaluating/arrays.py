"""Samples as arrays: `x` and `y` of an .npz, or x.npy and y.npy in a folder, or a folder's only .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Dataset, Form, Reading, Sample
from mcusim.evaluating.labels import numbered
from mcusim.files import is_dir, is_file
from mcusim.frontends.array_files import read_arrays
from mcusim.graph import DType, Tensor

__all__ = ["array_place", "is_bytes", "read_array_samples"]

_PAIRS = (("x", "y"), ("x_test", "y_test"), ("images", "labels"), ("data", "labels"))
_GROUPS = ("groups", "files")


def array_place(folder: Path) -> Path | None:
    """A folder with x.npy and y.npy, or the only .npz in one; None where it has neither."""
    if all(is_file(folder / name) for name in ("x.npy", "y.npy")):
        return folder
    archives = sorted(folder.glob("*.npz"))
    return archives[0] if len(archives) == 1 else None


def is_bytes(x: NDArray[Any], tensor: Tensor) -> bool:
    """Whether samples are pixels, 0 to 255, that the network wants in another type."""
    return x.dtype == np.uint8 and tensor.dtype is not DType.UINT8 and x.ndim == 4


def read_array_samples(place: Path, reading: Reading, tensor: Tensor) -> Dataset:
    """Samples and their labels. Raises InputError where they do not match each other or the network."""
    arrays = _load(place)
    keys = next((pair for pair in _PAIRS if pair[0] in arrays and pair[1] in arrays), None)
    if keys is None:
        fix = "save it as numpy.savez(FILE, x=samples, y=labels)"
        raise InputError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}", where=str(place), fix=fix)
    x, note = _shaped(arrays[keys[0]], tensor, f"{place} '{keys[0]}'")
    labels = _labels(arrays[keys[1]], len(x), f"{place} '{keys[1]}'")
    numbers, remarks = numbered(sorted(set(labels)), reading, f"{place} '{keys[1]}'")
    groups = next((arrays[name] for name in _GROUPS if name in arrays), None)
    if groups is not None and groups.shape != (len(x),):
        what = f"its shape is {groups.shape}, for {len(x)} samples"
        raise InputError(what, where=f"{place} 'groups'", fix="give the group of each sample")
    names = ["" if groups is None else str(group) for group in (groups if groups is not None else labels)]
    samples = tuple(
        Sample(str(i), numbers[label], index=i, group=group)
        for i, (label, group) in enumerate(zip(labels, names, strict=True))
    )
    classes = reading.classes + tuple(str(i) for i in range(len(reading.classes), reading.outputs))
    kind, x = _kind(x, tensor, str(place))
    notes = tuple(filter(None, (note, kind, *remarks)))
    return Dataset(Form.ARRAYS, place, samples, classes, arrays=x, notes=notes)


def _load(place: Path) -> dict[str, NDArray[Any]]:
    if is_dir(place):
        return {name: read_arrays(str(place / f"{name}.npy"), str(place / f"{name}.npy")) for name in ("x", "y")}
    arrays = read_arrays(str(place), str(place))
    if isinstance(arrays, dict):
        return arrays
    fix = "save samples and labels together with numpy.savez(FILE, x=..., y=...), or x.npy and y.npy in a folder"
    raise InputError("it is one array, without labels", where=str(place), fix=fix)


def _shaped(x: NDArray[Any], tensor: Tensor, where: str) -> tuple[NDArray[Any], str]:
    """Samples in the input's shape; dimensions of one may be left out."""
    wanted = tensor.shape[1:]
    if x.ndim == 0 or not len(x):
        raise InputError("there are no samples", where=where, fix="give at least one")
    if x.shape[1:] == wanted:
        return x, ""
    if [n for n in x.shape[1:] if n != 1] == [n for n in wanted if n != 1]:
        shapes = ["x".join(map(str, shape)) for shape in (x.shape[1:], wanted)]
        return x.reshape(len(x), *wanted), f"samples of {shapes[0]} taken as {shapes[1]}"
    shapes = ["x".join(map(str, shape)) or "one number" for shape in (x.shape[1:], wanted)]
    is_channels_first = x.ndim == 4 and (*x.shape[2:], x.shape[1]) == wanted
    fix = "its channels come last: x.transpose(0, 2, 3, 1)" if is_channels_first else "give it in that shape"
    raise InputError(f"a sample is {shapes[0]}, and the network takes {shapes[1]}", where=where, fix=fix)


def _labels(y: NDArray[Any], count: int, where: str) -> list[str]:
    """A label a sample, as text. One column for each class counts as its largest."""
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(axis=1)
    y = y.reshape(len(y), -1)[:, 0] if y.ndim == 2 else y
    if y.shape != (count,):
        what = f"there are {len(y) if y.ndim else 0} labels for {count} samples"
        raise InputError(what, where=where, fix="give one label for each sample")
    is_whole = y.dtype.kind in "iub" or (y.dtype.kind == "f" and bool((np.isfinite(y) & (y == np.trunc(y))).all()))
    if not is_whole and y.dtype.kind != "U":
        raise InputError(f"labels are {y.dtype}", where=where, fix="give whole numbers, or names")
    labels = [str(int(label)) if is_whole else str(label) for label in y.tolist()]  # exact, whatever the width
    negative = next((label for label in labels if label.startswith("-")), None)
    if negative is not None:
        raise InputError(f"a label is {negative}", where=where, fix="labels begin at 0")
    return labels


def _kind(x: NDArray[Any], tensor: Tensor, where: str) -> tuple[str, NDArray[Any]]:
    """How the numbers of x are taken."""
    wanted = np.dtype(tensor.dtype.value)
    if x.dtype == wanted:
        return ("integers, given to the network as they are" if wanted.kind in "iu" else "real numbers as they are"), x
    if is_bytes(x, tensor):
        return "pixels from 0 to 255", x
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():
            raise InputError("it holds NaN or infinity", where=where, fix="give finite numbers")
        return ("real numbers" if wanted.kind == "f" else "real numbers, quantised as the input is"), x
    if x.dtype.kind in "iu" and wanted.kind in "iu":
        bounds = np.iinfo(wanted)
        if bounds.min <= x.min() and x.max() <= bounds.max:
            return f"integers ({x.dtype}), given to the network as {wanted}", x.astype(wanted)
        what = f"its integers go from {x.min()} to {x.max()}, and the network takes {wanted}"
        raise InputError(what, where=where, fix="quantise them as the input, or give real numbers")
    fix = f"give real numbers, or {wanted} as the network takes them"
    raise InputError(f"it is {x.dtype}, and the network takes {wanted}", where=where, fix=fix)
