"""What a file is that is no .tflite file, and the way from there to one: people hand over what they have."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.files import HERE_IS_GONE, exists, is_circular, is_dir, is_here_gone

__all__ = ["HEAD_BYTES", "QUANTISE", "missing_file", "not_a_file", "not_onnx", "not_tflite"]

HEAD_BYTES = 4096
"""How much of a file `not_tflite` looks at."""

QUANTISE = (
    "convert it to int8: tf.lite.TFLiteConverter with optimizations = [tf.lite.Optimize.DEFAULT], a "
    "representative_dataset, target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8] and "
    "inference_input_type = inference_output_type = tf.int8"
)
"""The converter settings that give an int8 network."""

_FROM_KERAS = f"load it with tf.keras.models.load_model and {QUANTISE} (TFLiteConverter.from_keras_model)"
_FROM_SAVED_MODEL = f"{QUANTISE} (TFLiteConverter.from_saved_model on its folder)"
_FROM_TORCH = (
    "give the exported program that PT2E quantised, saved by torch.export.save as .pt2, or convert it with "
    "ai-edge-torch (litert-torch), quantised to int8 by its PT2E quantiser"
)
_FROM_ONNX = "name it *.onnx: mcusim reads quantised ONNX networks (pip install 'mcusim[onnx]')"
_USE_TFLITE = "give the path of a .tflite file"


class _Kind(NamedTuple):
    what: str
    fix: str


_KERAS = _Kind("is a Keras model", _FROM_KERAS)
_SAVED_MODEL = _Kind("is a TensorFlow SavedModel", _FROM_SAVED_MODEL)
_TORCH = _Kind("is a PyTorch model", _FROM_TORCH)
_ONNX = _Kind("is an ONNX model", _FROM_ONNX)
_GGUF = _Kind("is a GGUF file, weights for large language models", "give the path of an int8 .tflite network")
_SAFETENSORS = _Kind(
    "is a safetensors file: weights without a network", "build the network that they belong to and export it to .tflite"
)

_MAGIC: tuple[tuple[bytes, _Kind], ...] = (
    (b"\x89HDF\r\n", _KERAS),
    (b"GGUF", _GGUF),
    (b"\x80\x02", _TORCH),
    (b"\x93NUMPY", _Kind("is a numpy array", _USE_TFLITE)),
    (b"\x1f\x8b", _Kind("is a gzip archive", "unpack it with gunzip or tar, and give the .tflite file inside")),
    (b"version https://git-lfs", _Kind("is a Git LFS pointer, not the model", "fetch the file with `git lfs pull`")),
    (b"\x7fELF", _Kind("is a program", _USE_TFLITE)),
)

_IDENTIFIERS: dict[bytes, _Kind] = {
    b"ORTM": _Kind("is an ONNX Runtime model (.ort)", f"take the .onnx file that it was made from and {_FROM_ONNX}"),
    b"CIR0": _Kind("is a circle model of ONE", "give the .tflite file that it was made from"),
    **{
        b"ET%02d" % version: _Kind(
            "is an ExecuTorch program", f"name it *.pte for its memory; to execute it, {_FROM_TORCH}"
        )
        for version in range(11, 20)
    },
}
"""Flatbuffers of other schemas, by bytes 4 to 8."""

_ONNX_FIELDS = bytes((0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42))
"""Tags of the fields of an ONNX ModelProto that may follow the first: 2 to 8."""

_SUFFIXES: dict[str, _Kind] = {
    ".onnx": _ONNX,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".pb": _SAVED_MODEL,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".pt2": _TORCH,
    ".gguf": _GGUF,
    ".safetensors": _SAFETENSORS,
}


def not_tflite(head: bytes, tail: bytes, suffix: str, where: str) -> ModelError:
    """The error for a file that does not carry the mark of a .tflite file ("TFL3" at byte 4).

    head, tail: its first and last bytes, HEAD_BYTES at most.   suffix: of its name, "" if unknown.
    """
    if not head:
        return ModelError("the file is empty", where=where, fix="download, copy or export the model again")
    kind = _by_content(head, tail) or _SUFFIXES.get(suffix.lower())
    if kind is None:
        mark = f"bytes 4 to 8 are {head[4:8]!r}, not b'TFL3'" if len(head) >= 8 else f"it has only {len(head)} bytes"
        kind = _Kind(f"is not a .tflite file: {mark}", _USE_TFLITE)
    return ModelError(f"the file {kind.what}", where=where, fix=kind.fix)


def _by_content(head: bytes, tail: bytes) -> _Kind | None:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] in _IDENTIFIERS:
        return _IDENTIFIERS[head[4:8]]
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(head + tail)
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 32:
        return _SAFETENSORS
    return _protobuf_kind(head) or _text_kind(head)


def _zip_kind(names: bytes) -> _Kind:
    """names: begin and end of the archive, where its file names are."""
    if b"data.pkl" in names or b"serialized_exported_program" in names or b"exported_program.json" in names:
        return _TORCH
    if b"model.weights.h5" in names or (b"config.json" in names and b"metadata.json" in names):
        return _KERAS
    return _Kind("is a zip archive", "unpack it, and give the .tflite file inside")


def _protobuf_kind(head: bytes) -> _Kind | None:
    """ONNX begins with field 1, ir_version (3 to 31 or so), SavedModel with its version (1) and a graph (field 2)."""
    if head[:3] == b"\x08\x01\x12":
        return _SAVED_MODEL
    if len(head) > 2 and head[0] == 0x08 and 2 <= head[1] < 32 and head[2] in _ONNX_FIELDS:
        return _ONNX
    return None


def _text_kind(head: bytes) -> _Kind | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html")):
        return _Kind("is a web page", "download the file itself (on GitHub: the Raw button)")
    if b"\0" in head:
        return None
    if b"unsigned char" in text or b"uint8_t" in text:
        return _Kind(
            "is C source that holds a model",
            "give the .tflite file it was made from (`xxd -r -p` turns hex back to bytes)",
        )
    if text.startswith((b"{", b"[")):
        return _Kind("is JSON", _USE_TFLITE)
    return None


def not_onnx(content: bytes, where: str) -> ModelError | None:
    """The error for bytes that are plainly of another kind than ONNX; None where that cannot be seen."""
    if content[4:8] == b"TFL3":
        return ModelError("the file is a .tflite file", where=where, fix="name it *.tflite")
    if not content:
        return ModelError("the file is empty", where=where, fix="download, copy or export the model again")
    kind = _by_content(content[:HEAD_BYTES], content[-HEAD_BYTES:])
    return None if kind is None or kind is _ONNX else ModelError(f"the file {kind.what}", where=where, fix=kind.fix)


def not_a_file(path: Path) -> ModelError:
    """The error for a path that is there but is no regular file."""
    where = str(path)
    if not is_dir(path):
        return ModelError("is not a regular file", where=where, fix=_USE_TFLITE)
    if exists(path / "saved_model.pb") or exists(path / "keras_metadata.pb"):
        return ModelError("the folder is a TensorFlow SavedModel", where=where, fix=_FROM_SAVED_MODEL)
    inside = _network_names(path)
    fix = (
        f"give one of its files: {', '.join(inside[:3])}{', ...' if len(inside) > 3 else ''}" if inside else _USE_TFLITE
    )
    return ModelError("is a folder, not a .tflite file", where=where, fix=fix)


def missing_file(path: Path) -> ModelError:
    """The error for a path where there is nothing, with the nearest names of its folder."""
    if path.is_symlink():
        fix = "mend the link, or give the file itself"
        where_it_leads = "which leads in a circle" if is_circular(path) else "which is not there"
        return ModelError(f"it is a link to {os.readlink(path)}, {where_it_leads}", where=str(path), fix=fix)
    if not path.is_absolute() and is_here_gone():
        fix = "change to another folder, or give the whole path"
        return ModelError(HERE_IS_GONE, where=str(path), fix=fix)
    if not is_dir(path.parent):
        return ModelError("there is no such file, nor its folder", where=str(path), fix="correct the path")
    near = difflib.get_close_matches(path.name, _network_names(path.parent), n=3, cutoff=0.5)
    if near:
        fix = f"did you mean {' or '.join(repr(str(path.parent / name)) for name in near)}?"
    else:
        fix = "correct the path: no network of its folder has a similar name"
    return ModelError("there is no such file", where=str(path), fix=fix)


_READ = (".tflite", ".lite", ".onnx", ".pt2", ".pte")


def _network_names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in _READ)
    except OSError:
        return []
