"""The corpus's goldens: seeded inputs, and the SHA-256 of every operator's output as the reference kernels computed it.

Where TFLM's own answers are stored (`NAME.tflm.npz`), they count. Imports nothing from mcusim.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RUNS", "Golden", "InputKind", "golden_inputs", "load_golden", "sha256"]

Array = NDArray[Any]
RUNS = 4


class InputKind(NamedTuple):
    """What the drawing of an input depends on. scale, zero_point: of the first QUANTIZE that reads real numbers."""

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


class Golden(NamedTuple):
    """answers: the file that counts.   given: the file with the inputs; empty where only TFLM's answers are there."""

    answers: dict[str, Array]
    given: dict[str, Array]

    def tensors(self, run: int) -> dict[int, str]:
        """Tensor index -> SHA-256, of those that have elements."""
        hashes = self.answers[f"sha{run}"].tolist()
        return {int(t): sha for t, sha in zip(self.answers["tidx"], hashes, strict=True) if sha}

    def outputs(self, run: int, count: int) -> list[Array]:
        return [self.answers[f"out{run}_{k}"] for k in range(count)]


def load_golden(corpus: Path, name: str) -> Golden:
    def read(path: Path) -> dict[str, Array]:
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as loaded:
            return {key: loaded[key] for key in loaded.files}

    tflm = read(corpus / "goldens" / f"{name}.tflm.npz")
    desktop = read(corpus / "goldens" / f"{name}.npz")
    return Golden(tflm or desktop, desktop)


def golden_inputs(golden: Golden, kinds: list[InputKind], run: int) -> list[Array]:
    rng = np.random.default_rng(20240600 + run)
    arrays = []
    for k, (shape, dtype, scale, zero_point) in enumerate(kinds):
        if dtype.startswith("float"):
            stored = rng.integers(-128, 128, shape, dtype=np.int16)
            array = ((stored - zero_point) * scale).astype(np.float32)
        else:
            info = np.iinfo(dtype)
            array = rng.integers(info.min, info.max + 1, shape, dtype=dtype)
        array = golden.given.get(f"in{run}_{k}", array)  # small ones are stored; one is a shape, and not drawn
        if f"insha{run}_{k}" in golden.given:
            assert sha256(array) == str(golden.given[f"insha{run}_{k}"])
        arrays.append(array)
    return arrays


def sha256(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
