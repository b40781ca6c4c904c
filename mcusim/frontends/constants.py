"""Elements of constant tensors: views of the file's bytes where possible, unpacked or aligned copies where not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mcusim.arithmetic.packing import unpack
from mcusim.errors import ModelError
from mcusim.frontends.flatbuffer import Flatbuffer
from mcusim.graph import DType, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ConstantReader"]

_STORED_AS = {DType.BFLOAT16: "uint16", DType.STRING: "uint8"}
"""Element types that numpy lacks. Strings stay TFLite's packed bytes."""
_MOST_ELEMENTS = 1 << 59
"""What numpy can address, were each element 8 bytes."""


class ConstantReader:
    """Reads the constants of one file. Tensors that share a buffer, shape and element type share one array."""

    __slots__ = ("_file", "_known")

    def __init__(self, file: Flatbuffer) -> None:
        self._file = file
        self._known: dict[tuple[int, Shape, DType], NDArray[Any]] = {}

    def read(self, start: int, count: int, shape: Shape, dtype: DType, where: str) -> NDArray[Any] | None:
        """The elements of a constant whose `count` bytes begin at `start`: read-only, of `shape`.

        Elements of 4 and 2 bits are unpacked to one byte each. None for element types without storage.
        Bytes behind those that the shape takes are left out, as runtimes do. Raises ModelError if there are fewer.
        """
        if dtype is DType.STRING:
            return np.frombuffer(self._file.content, np.uint8, count, start)
        if dtype.bits == 0:
            return None
        if math.prod([size for size in shape if size]) > _MOST_ELEMENTS:  # numpy counts them although a 0 is among them
            fix = "download, copy or export the model again"
            raise ModelError(f"its shape {shape} is too large", where=where, fix=fix)
        expected = -(-math.prod(shape) * dtype.bits // 8)
        if count < expected:
            raise ModelError(
                f"its data has {count:,} bytes, and its shape takes {expected:,} ({dtype})",
                where=where,
                fix="download, copy or export the model again",
            )
        key = (start, shape, dtype)
        elements = self._known.get(key)
        if elements is None:
            elements = self._known[key] = self._elements(start, expected, shape, dtype)
            if dtype is DType.BOOL and (elements.view(np.uint8) > 1).any():  # C leaves open what such a bool is
                fix = "download, copy or export the model again"
                raise ModelError("it is bool, and holds bytes other than 0 and 1", where=where, fix=fix)
        return elements

    def _elements(self, start: int, count: int, shape: Shape, dtype: DType) -> NDArray[Any]:
        if dtype.bits < 8:
            return self._unpacked(start, count, shape, dtype)
        stored = np.dtype(_STORED_AS.get(dtype, dtype.value)).newbyteorder("<")
        elements = np.frombuffer(self._file.content, stored, math.prod(shape), start).reshape(shape)
        if elements.flags.aligned:
            return elements
        # Compiled kernels expect aligned elements. Converters align them; whoever did not gets a copy.
        self._file.charge(count)
        aligned = elements.copy()
        aligned.flags.writeable = False
        return aligned

    def _unpacked(self, start: int, count: int, shape: Shape, dtype: DType) -> NDArray[Any]:
        """One byte an element."""
        elements = math.prod(shape)
        self._file.charge(elements)
        packed = np.frombuffer(self._file.content, np.uint8, count, start)
        unpacked = unpack(packed, elements, dtype).reshape(shape)
        unpacked.flags.writeable = False
        return unpacked
