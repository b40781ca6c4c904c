"""Which preprocessing holds for a network: declared by the user, by its zoo entry, or assumed and said so.

All that happens to a pixel's value is one table of 256 entries a channel: byte -> what the network gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mcusim import zoo
from mcusim.errors import InputError, ModelError
from mcusim.evaluating.subject import Subject, real_range
from mcusim.files import is_file, reason_of, toml_of
from mcusim.graph import DType, Graph, Tensor
from mcusim.zoo.declarations import Channels, Detection, Integers, Preprocessing, Resize

__all__ = [
    "RANGES",
    "Declared",
    "Frame",
    "declared_by_user",
    "frame_of",
    "held_by",
    "is_outside",
    "pixel_table",
    "pixels_cut",
    "quantized",
    "settle",
]

RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..1": ((0.0,), (255.0,)),
    "-1..1": ((127.5,), (127.5,)),
    "0..255": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Usual normalisations: mean and std in bytes. `imagenet` is torchvision's (0.485, 0.229, ...) times 255."""

CLOSE = 0.03
"""Share of its width by which an input's range may miss a usual one and still be taken for it."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Preprocessing and who says so.   assumption: one sentence where nobody does; "" otherwise."""

    preprocessing: Preprocessing
    source: str
    assumption: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """The image that an input tensor is.   is_planar: channels come before rows."""

    rows: int
    cols: int
    channels: int
    is_planar: bool


def frame_of(tensor: Tensor) -> Frame | None:
    """The image that an input takes, or None where it takes none."""
    shape = tensor.shape
    if len(shape) != 4:
        return None
    if shape[3] in (1, 3):
        return Frame(shape[1], shape[2], shape[3], False)
    return Frame(shape[2], shape[3], shape[1], True) if shape[1] in (1, 3) else None


# ---------------------------------------------------------------------------------------------------------------------
# What the user declares


@dataclass(frozen=True, slots=True)
class UserDeclaration:
    """What `preprocess` said.   changes: over what would hold without it; base: a whole declaration, or None."""

    base: Preprocessing | None
    changes: dict[str, Any]
    detection: Detection | None
    source: str


def declared_by_user(words: Sequence[str]) -> UserDeclaration:
    """A declaration from `key=value`, a published network's name, or a TOML file; later ones override.

    A file holds the keys of Preprocessing, or tables `[preprocessing]` and `[detection]`. Raises InputError.
    """
    base, changes, detection, sources = None, dict[str, Any](), None, []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and not is_file(word):
            changes |= _change(key.strip(), value.strip())
            sources.append(word)
        elif Path(word).suffix.lower() == ".toml" or is_file(word):
            declared, boxes = _read_file(word)
            changes |= declared
            detection = boxes or detection
            sources.append(word)
        else:
            entry = _published(word)
            base, detection = entry.preprocessing, entry.detection or detection
            sources.append(f"the declaration of {entry.name}")
    _converted(changes, "--preprocess")  # refuses wrong values before anything is read
    return UserDeclaration(base, changes, detection, ", ".join(sources))


def _published(name: str) -> zoo.ZooEntry:
    fix = "write key=value, a .toml file, or a network that declares it, such as mcunet-in3"
    try:
        entry = zoo.describe(name)
    except ModelError:
        raise InputError(f"'{name}' is no setting, file or published network", where="--preprocess", fix=fix) from None
    if entry.preprocessing is None:
        raise InputError(f"{entry.name} declares no preprocessing", where="--preprocess", fix=fix)
    return entry


def _change(key: str, text: str) -> dict[str, Any]:
    if key == "range":
        if text == "bytes":
            return {"integers": "bytes"}
        if text not in RANGES:
            fix = f"use {', '.join(RANGES)} or bytes"
            raise InputError(f"'{text}' is no usual range", where="--preprocess range", fix=fix)
        mean, std = RANGES[text]
        return {"mean": mean, "std": std, "integers": "affine"}
    if key in ("mean", "std", "fraction"):
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            fix = "write numbers with commas, in bytes: mean=127.5 or mean=123.7,116.3,103.5"
            raise InputError(f"'{text}' is no list of numbers", where=f"--preprocess {key}", fix=fix) from None
        return {key: numbers[0] if key == "fraction" and len(numbers) == 1 else numbers}
    return {key: text}


def _read_file(path: str) -> tuple[dict[str, Any], Detection | None]:
    try:
        content = toml_of(path)
    except OSError as error:
        what = f"it cannot be read ({reason_of(error)})"
        raise InputError(what, where=f"--preprocess {path}", fix="check the path") from None
    except ValueError as error:
        raise InputError(f"it is no TOML ({error})", where=f"--preprocess {path}", fix="correct it") from None
    tables = {key: content.pop(key, {}) for key in ("preprocessing", "detection")}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{name} is no table", where=f"--preprocess {path}", fix=f"write its keys under [{name}]")
    keys = {**content, **tables["preprocessing"]}
    if "range" in keys:
        keys |= _change("range", str(keys.pop("range")))
    _converted(keys, path)
    try:
        return keys, msgspec.convert(tables["detection"], Detection) if tables["detection"] else None
    except msgspec.ValidationError as error:
        fix = f"use the keys {', '.join(Detection.__struct_fields__)}"
        raise InputError(_plainly(error), where=f"{path} [detection]", fix=fix) from None


def _converted(changes: dict[str, Any], where: str) -> Preprocessing:
    try:
        chosen = msgspec.convert(changes, Preprocessing)
    except msgspec.ValidationError as error:
        keys = f"{', '.join(Preprocessing.__struct_fields__)} and range ({', '.join(RANGES)}, bytes)"
        raise InputError(
            _plainly(error), where=where, fix=f"the keys are {keys}; docs/evaluate.md lists them"
        ) from None
    if not 0.1 <= chosen.fraction <= 1:
        raise InputError(f"fraction is {chosen.fraction:g}", where=where, fix="use 0.1 to 1, as in fraction=0.875")
    if any(not np.isfinite(value) for value in (*chosen.mean, *chosen.std)) or not all(chosen.std):
        raise InputError("mean and std must be finite, std not 0", where=where, fix="write mean=127.5 and std=127.5")
    return chosen


def _plainly(error: Exception) -> str:
    return (
        str(error)
        .replace("`", "'")
        .replace("Object contains", "it has")
        .replace("Invalid enum value", "no such choice:")
    )


# ---------------------------------------------------------------------------------------------------------------------
# What holds


def settle(subject: Subject, user: UserDeclaration, *, is_imagenet: bool = False, has_files: bool = True) -> Declared:
    """The preprocessing that holds: the user's over the zoo's, and what neither says assumed.

    has_files: whether images have to be resized.
    """
    entry = subject.entry.preprocessing if subject.entry is not None else None
    base = user.base or entry
    if base is not None:
        who = user.source if user.base else f"zoo network {subject.entry.name if subject.entry else ''} ({base.source})"
        assumption = ""
    else:
        base, assumption = _assumed(
            subject.graph, is_imagenet, set(user.changes) | (set() if has_files else {"resize"})
        )
        who = "assumed"
    if user.changes:
        changed = msgspec.to_builtins(base) | user.changes
        base, who = (
            _converted(changed, "--preprocess"),
            user.source + ("" if user.base or not entry else f" over {who}"),
        )
        who += ", the rest assumed" if assumption else ""
    _check_channels(subject.input, base)
    return Declared(base, who, assumption)


def _check_channels(tensor: Tensor, chosen: Preprocessing) -> None:
    frame = frame_of(tensor)
    if frame is None:
        return
    is_gray = chosen.channels is Channels.GRAY
    if chosen.channels is not Channels.AUTO and is_gray != (frame.channels == 1):
        what = f"channels={chosen.channels} for an input of {frame.channels}"
        raise InputError(what, where="--preprocess channels", fix="leave it out, or use auto")
    for name, values in (("mean", chosen.mean), ("std", chosen.std)):
        if len(values) not in (1, frame.channels):
            what = f"{len(values)} numbers for {frame.channels} channels"
            raise InputError(what, where=f"--preprocess {name}", fix=f"give 1 or {frame.channels}")


def _assumed(graph: Graph, is_imagenet: bool, said: set[str]) -> tuple[Preprocessing, str]:
    """What most converters and scripts do, by the input's type (assumption A30), and the sentence that says so."""
    resize = Resize.CROP if is_imagenet else Resize.STRETCH
    assumptions = []
    if "resize" not in said:
        assumptions.append(
            "images are cropped as for ImageNet" if is_imagenet else "images are stretched to the input's size"
        )
    held = real_range(held_by(graph))
    mean, std, integers = *RANGES["0..1"], Integers.AFFINE
    reason = "the input is float, and nothing tells its range"
    if held is not None:
        name = next((n for n, (m, s) in RANGES.items() if _is_close(held, m, s)), None)
        shown = f"{held[0]:.3g} to {held[1]:.3g}"
        if name is not None:
            mean, std = RANGES[name]
            reason = f"the input holds {shown}"
        else:
            mean, std, integers = *_spanning(held), Integers.BYTES
            name, reason = "bytes", f"the input holds {shown}, which is no usual range"
    else:
        name = "0..1"
    if not {"mean", "std", "integers"} & said:
        assumptions.append(
            f"pixels are normalised to {name} ({reason})" if name != "bytes" else f"0 to 255 fill it: {reason}"
        )
    sentence = ", ".join(assumptions)
    return Preprocessing(resize=resize, mean=mean, std=std, integers=integers), sentence


def held_by(graph: Graph) -> Tensor:
    """The tensor that says which real numbers the network can tell apart: its input, or what quantises a float one."""
    index = graph.inputs[0]
    readers = [graph.nodes[i] for i in graph.consumers.get(index, ())]
    quantises = (n.outputs[0] for n in readers if n.op == "QUANTIZE" and graph.tensors[index].dtype is DType.FLOAT32)
    return graph.tensors[next(quantises, index)]


def _is_close(held: tuple[float, float], mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    low = min(-m / s for m, s in zip(mean, std, strict=True))
    high = max((255 - m) / s for m, s in zip(mean, std, strict=True))
    return max(abs(held[0] - low), abs(held[1] - high)) <= CLOSE * (high - low)


def _spanning(held: tuple[float, float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std with which 0 and 255 become the ends of a range."""
    std = 255 / (held[1] - held[0])
    return (-held[0] * std,), (std,)


# ---------------------------------------------------------------------------------------------------------------------
# Values


def pixel_table(tensor: Tensor, chosen: Preprocessing, channels: int) -> NDArray[Any]:
    """What the network gets for each byte of each channel: (channels, 256), of the input's type.

    Raises InputError for inputs that no image can fill.
    """
    mean = np.resize(np.array(chosen.mean, np.float64), channels)[:, None]
    std = np.resize(np.array(chosen.std, np.float64), channels)[:, None]
    real = (np.arange(256.0)[None, :] - mean) / std
    if tensor.dtype is DType.FLOAT32:
        return real.astype(np.float32)
    if tensor.dtype in (DType.INT8, DType.UINT8) and (chosen.integers is Integers.BYTES or tensor.quantization is None):
        low = -128 if tensor.dtype is DType.INT8 else 0
        return np.tile(np.arange(256) + low, (channels, 1)).astype(tensor.dtype.value)
    return quantized(tensor, real)


def pixels_cut(tensor: Tensor, chosen: Preprocessing, channels: int) -> NDArray[np.bool_]:
    """Which bytes of each channel the input cannot hold: (channels, 256)."""
    if chosen.integers is Integers.BYTES or tensor.quantization is None or not tensor.dtype.is_integer:
        return np.zeros((channels, 256), np.bool_)
    mean = np.resize(np.array(chosen.mean, np.float64), channels)[:, None]
    std = np.resize(np.array(chosen.std, np.float64), channels)[:, None]
    return is_outside(tensor, (np.arange(256.0)[None, :] - mean) / std)


def is_outside(tensor: Tensor, real: NDArray[Any]) -> NDArray[np.bool_]:
    """Which real numbers lie beyond what a quantised tensor can hold, by more than one of its steps."""
    quantization = tensor.quantization
    if quantization is None or tensor.dtype not in (DType.INT8, DType.UINT8, DType.INT16):
        return np.zeros(real.shape, np.bool_)
    steps, bounds = real / quantization.scales[0] + quantization.zero_points[0], np.iinfo(tensor.dtype.value)
    return np.asarray((steps < bounds.min - 1) | (steps > bounds.max + 1))


def quantized(tensor: Tensor, real: NDArray[Any]) -> NDArray[Any]:
    """Real numbers as the input's integers, rounded as TFLite's QUANTIZE does: halves away from zero. InputError."""
    if tensor.quantization is None or tensor.dtype not in (DType.INT8, DType.UINT8, DType.INT16):
        fix = "give an .npz whose x has the input's own type"
        raise InputError(f"the input '{tensor.name}' is {tensor.dtype} without a scale", where="preprocessing", fix=fix)
    scaled = (real.astype(np.float32) / np.float32(tensor.quantization.scales[0])).astype(np.float64)
    rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + tensor.quantization.zero_points[0]
    bounds = np.iinfo(tensor.dtype.value)
    return np.asarray(np.clip(rounded, bounds.min, bounds.max)).astype(tensor.dtype.value)
