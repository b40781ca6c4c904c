"""Options of custom operators: a map of names to scalars, as TensorFlow's FlexBuffers store it.

    ... values ... | types | root (here: offset back to the map) | type of the root | bytes of the root
A map is two vectors, of keys and of values; each says its length before its first element, and is found by an offset
back. Every read is checked: whatever the bytes are, the answer is a map or a ModelError.
Source: flatbuffers, docs/source/flatbuffers/internals.md, "FlexBuffers".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from mcusim.errors import ModelError

__all__ = ["Scalar", "read_map"]

Scalar = bool | int | float | str

_INT, _UINT, _FLOAT, _STRING, _MAP, _BOOL = 1, 2, 3, 5, 9, 26
_INDIRECT = {6: _INT, 7: _UINT, 8: _FLOAT}
_FORMATS = {
    _INT: {1: "<b", 2: "<h", 4: "<i", 8: "<q"},
    _UINT: {1: "<B", 2: "<H", 4: "<I", 8: "<Q"},
    _FLOAT: {4: "<f", 8: "<d"},
}


class _Bytes:
    """Reads with bounds."""

    def __init__(self, content: bytes, where: str) -> None:
        self.content, self.where = content, where

    def corrupt(self) -> ModelError:
        fix = "download, copy or export the model again"
        return ModelError("its custom options are malformed", where=self.where, fix=fix)

    def number(self, kind: int, position: int, width: int) -> int | float:
        layout = _FORMATS.get(kind, {}).get(width)
        if layout is None or not 0 <= position <= len(self.content) - width:
            raise self.corrupt()
        value: int | float = struct.unpack_from(layout, self.content, position)[0]
        return value

    def count(self, position: int, width: int) -> int:
        return int(self.number(_UINT, position, width))

    def back(self, position: int, width: int) -> int:
        """Where the offset at `position` points."""
        target = position - self.count(position, width)
        if target < 0:
            raise self.corrupt()
        return target

    def text(self, position: int) -> str:
        """A name, which ends with a 0."""
        end = self.content.find(b"\0", position)
        if end < 0:
            raise self.corrupt()
        return self.content[position:end].decode("utf-8", "replace")


def read_map(content: bytes, where: str) -> Mapping[str, Scalar]:
    """The scalars of a map by name; what is no scalar is left out. Empty where there are no bytes.

    where: names the operator in errors. Raises ModelError if the bytes are no map.
    """
    if not content:
        return {}
    file = _Bytes(content, where)
    if len(content) < 3:
        raise file.corrupt()
    width, kind = content[-1], content[-2]
    if kind >> 2 != _MAP:
        raise file.corrupt()
    values, value_width = file.back(len(content) - 2 - width, width), 1 << (kind & 3)
    length = file.count(values - value_width, value_width)
    keys = file.back(values - 3 * value_width, value_width)
    key_width = file.count(values - 2 * value_width, value_width)
    if length * value_width > len(content) or key_width not in _FORMATS[_UINT]:
        raise file.corrupt()
    pairs = {}
    for index in range(length):
        name = file.text(file.back(keys + index * key_width, key_width))
        position = values + length * value_width + index
        if not 0 <= position < len(content):
            raise file.corrupt()
        value = _scalar(file, content[position], values + index * value_width, value_width)
        if value is not None:
            pairs[name] = value
    return pairs


def _scalar(file: _Bytes, packed: int, position: int, width: int) -> Scalar | None:
    kind = packed >> 2
    if kind == _BOOL:
        return bool(file.number(_UINT, position, width))
    if kind in (_INT, _UINT, _FLOAT):
        return file.number(kind, position, width)
    if kind in _INDIRECT:
        return file.number(_INDIRECT[kind], file.back(position, width), 1 << (packed & 3))
    if kind == _STRING:
        start, length_width = file.back(position, width), 1 << (packed & 3)
        length = file.count(start - length_width, length_width)
        return file.content[start : start + length].decode("utf-8", "replace")
    return None
