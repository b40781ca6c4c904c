"""ONNX Runtime: the judge of what an ONNX network answers, in floats between its quantisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.onnx.reading import file_content, self_contained
from mcusim.frontends.qdq.network import Array

__all__ = ["package", "reason", "runtime_answers", "runtime_errors"]

_INSTALL = "pip install 'mcusim[onnx]'"


def package(name: str, where: str) -> Any:
    """A module of onnxruntime. Raises ModelError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError("this needs the package `onnxruntime`", where=where, fix=_INSTALL) from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """The exceptions of ONNX Runtime, which have no base of their own, and RuntimeError."""
    state = vars(import_module("onnxruntime.capi.onnxruntime_pybind11_state")).values()
    own = tuple(each for each in state if isinstance(each, type) and issubclass(each, Exception))
    return (*own, RuntimeError)


def reason(error: BaseException) -> str:
    """The first line of an error."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def runtime_answers(path: Path, samples: Sequence[Mapping[str, Array]]) -> list[list[Array]]:
    """What a network answers on each sample, node by node as the file says: nothing is fused. Raises ModelError.

    It is given whole: ONNX Runtime cannot infer shapes from tensors that lie in other files.
    """
    whole = self_contained(file_content(path), where=str(path), folder=path.parent)
    runtime = package("onnxruntime", str(path))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    errors: tuple[type[Exception], ...] = (*runtime_errors(), ValueError)
    try:
        session = runtime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
        return [[np.asarray(each) for each in session.run(None, dict(sample))] for sample in samples]
    except errors as error:
        what = f"onnxruntime cannot run it: {reason(error)}"
        raise ModelError(what, where=str(path), fix="check the model") from error
