"""A .pt2 archive: a zip of a program in JSON, and of tensors as plain bytes. No torch, and nothing that is pickled.

    NAME/models/model.json                              the graph, its signature, shapes
    NAME/data/weights/model_weights_config.json         name -> file, shape, type, whether it is pickled
    NAME/data/weights/weight_0 ...                      elements, little-endian
Source: torch/export/pt2_archive and torch/_export/serde/schema.py (schema version 8).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.array_files import DAMAGED
from mcusim.frontends.qdq.network import Array
from mcusim.limits import refuse_beyond

__all__ = ["DTYPES", "Archive", "opened", "tensors"]

SCHEMA_MAJOR = 8
MAX_JSON_BYTES = 256 << 20
MAX_TENSOR_BYTES = 2**31 - 1
_SAVE_AGAIN = "save it again: torch.export.save(program, FILE), torch 2.9 or newer"

DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    28: "uint16",
}
"""Number of an element type in the file -> numpy's name.   Source: ScalarType of the schema."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive.   prefix: of all its names.   model: the program, as JSON gives it."""

    zip: zipfile.ZipFile
    prefix: str
    model: Mapping[str, Any]
    where: str


def opened(content: bytes, where: str) -> Archive:
    """The archive in these bytes. Raises ModelError if they are something else, or too old or new."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = archive.namelist()
    except (OSError, *DAMAGED) as error:
        raise ModelError("the file is no .pt2 archive", where=where, fix=_SAVE_AGAIN) from error
    programs = [name for name in names if "/models/" in name and name.endswith(".json")]
    if not programs:
        if any(name.endswith(("data.pkl", "serialized_exported_program.json")) for name in names):
            what = "its weights are pickled, and mcusim opens no pickles: opening one may run whatever it holds"
            raise ModelError(what, where=where, fix=_SAVE_AGAIN)
        raise ModelError("the archive holds no exported program", where=where, fix=_SAVE_AGAIN)
    if len(programs) > 1:
        raise ModelError(f"the archive holds {len(programs)} programs", where=where, fix="save one program a file")
    prefix = programs[0].split("/models/")[0]
    model = _json(archive, programs[0], where)
    version = model.get("schema_version")
    major = version.get("major") if isinstance(version, dict) else None
    if major != SCHEMA_MAJOR:
        what = f"its schema has version {major!r:.40}, and {SCHEMA_MAJOR} is read"
        raise ModelError(what, where=where, fix=_SAVE_AGAIN)
    return Archive(archive, prefix, model, where)


def _json(archive: zipfile.ZipFile, name: str, where: str) -> Mapping[str, Any]:
    try:
        content = json.loads(_bytes(archive, name, MAX_JSON_BYTES, where))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"'{name:.80}' is no JSON", where=where, fix=_SAVE_AGAIN) from error
    if not isinstance(content, dict):
        raise ModelError(f"'{name:.80}' is no JSON object", where=where, fix=_SAVE_AGAIN)
    return content


def _bytes(archive: zipfile.ZipFile, name: str, most_bytes: int, where: str) -> bytes:
    """A member's bytes, so many at most: a zip of a few bytes can ask for gigabytes."""
    if name in archive.NameToInfo:
        refuse_beyond(archive.getinfo(name).file_size, f"unpacking '{name:.80}'", where=where)
    try:
        with archive.open(name) as stream:
            content = stream.read(most_bytes + 1)
    except (OSError, *DAMAGED) as error:
        raise ModelError(f"'{name:.80}' cannot be read", where=where, fix=_SAVE_AGAIN) from error
    if len(content) > most_bytes:
        raise ModelError(f"'{name:.80}' has more than {most_bytes:,} bytes", where=where, fix="use a smaller network")
    return content


def tensors(archive: Archive, kind: str) -> dict[str, Array]:
    """All tensors of a kind, "weights" or "constants", by name."""
    folder = f"{archive.prefix}/data/{kind}"
    name = f"{folder}/model_{kind}_config.json"
    if name not in archive.zip.namelist():
        return {}
    config = _json(archive.zip, name, archive.where).get("config")
    if not isinstance(config, dict):
        raise ModelError(f"'{name:.80}' lists no tensors", where=archive.where, fix=_SAVE_AGAIN)
    held: dict[str, Array] = {}
    held_bytes = 0
    for key, entry in config.items():
        held[key] = _tensor(archive, folder, key, entry, held_bytes)
        held_bytes += held[key].nbytes
    return held


def _tensor(archive: Archive, folder: str, name: str, entry: Any, held_bytes: int) -> Array:
    """One tensor.   held_bytes: of those before it; all of them count against the limit."""
    where = f"{archive.where}, tensor '{name:.80}'"
    try:
        path, meta, is_pickled = entry["path_name"], entry["tensor_meta"], entry.get("use_pickle", False)
        if is_pickled:
            what = "it is pickled, and mcusim opens no pickles: opening one may run whatever it holds"
            raise ModelError(what, where=where, fix="save plain tensors on the CPU")
        kind = np.dtype(DTYPES[meta["dtype"]])
        shape = tuple(int(each["as_int"]) for each in meta["sizes"])
        strides = tuple(int(each["as_int"]) for each in meta["strides"])
        offset = int(meta.get("storage_offset", {}).get("as_int", 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError("its description is malformed", where=where, fix=_SAVE_AGAIN) from error
    content = _bytes(archive.zip, f"{folder}/{path}", MAX_TENSOR_BYTES, where)
    flat = np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)
    elements = prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=False))
    is_sound = len(shape) == len(strides) and min((*shape, *strides, offset), default=0) >= 0
    if not is_sound or (elements and last >= flat.size):
        raise ModelError(f"shape {shape} does not go with {flat.size:,} elements", where=where, fix=_SAVE_AGAIN)
    # Steps of 0 name an element many times, so that a small storage may still stand for a large tensor.
    refuse_beyond(held_bytes + elements * kind.itemsize, "reading its tensors", where=where)
    if not elements:
        return np.zeros(shape, kind)
    steps = tuple(stride * kind.itemsize for stride in strides)
    return np.array(np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False))
