"""Any way of naming a network -> Graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mcusim import zoo
from mcusim.errors import ModelError
from mcusim.files import lies_there
from mcusim.frontends.description import graph_from_dict
from mcusim.frontends.onnx import read_onnx
from mcusim.frontends.pt2 import read_pt2
from mcusim.frontends.pte_graph import read_pte_graph
from mcusim.frontends.tflite import read_tflite
from mcusim.graph import Graph

__all__ = ["load"]


def load(model: str | PathLike[str] | Mapping[str, Any]) -> Graph:
    """The network that `model` names.

    model: the path of a `.tflite`, `.onnx`, `.pt2` or `.pte` file, or of a TOML file as `mcusim search-net` writes it,
    the name of a published network (`mcusim models` lists them), or a description as a dict (see
    `mcusim.frontends.description`).
    Raises ModelError where there is no such network, or the file or description is wrong.
    """
    if isinstance(model, Mapping):
        return graph_from_dict(model)
    text: object = os.fspath(model) if isinstance(model, PathLike) else model
    if not isinstance(text, str):
        fix = "give a network's name, the path of a .tflite file, or a description as a dict"
        raise ModelError(f"this is {type(model).__name__}, which names no network", where="model", fix=fix)
    if not text.strip():
        fix = "give a .tflite file or one of the names that `mcusim models` lists"
        raise ModelError("the name of the network is empty", where="model", fix=fix)
    if Path(text).suffix.lower() == ".toml":
        return zoo.read_file(Path(text))
    if Path(text).suffix.lower() == ".onnx":
        return read_onnx(Path(text))
    if Path(text).suffix.lower() == ".pt2":
        return read_pt2(Path(text))
    if Path(text).suffix.lower() == ".pte":
        return read_pte_graph(Path(text))
    if not isinstance(model, str) or _looks_like_a_file(text):
        return read_tflite(Path(text))
    return zoo.build(text)


def _looks_like_a_file(text: str) -> bool:
    return lies_there(text) or os.sep in text or "/" in text or Path(text).suffix.lower() in _FILE_SUFFIXES


_FILE_SUFFIXES = frozenset(
    {".tflite", ".lite", ".onnx", ".h5", ".hdf5", ".keras", ".pb", ".pt", ".pt2", ".pte", ".pth", ".tfl"}
)
