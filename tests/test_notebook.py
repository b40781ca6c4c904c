"""The notebook of docs/: every cell runs."""

from __future__ import annotations

from typing import Any

import pytest
from commands import REPO

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_from_a_module_to_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra `notebook`)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra `notebook`)")
    for needed in ("ipykernel", "torch", "onnxscript", "onnxruntime", "sklearn"):
        pytest.importorskip(needed, reason=f"{needed} is not installed", exc_type=ImportError)
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    path = REPO / "docs" / "pytorch.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    printed = _printed(notebook)
    assert "fits" in printed
    assert "digits.h" in printed
    accuracies = [float(line.rpartition(" ")[2]) for line in printed.splitlines() if line.startswith("accuracy in")]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.85


def _printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)
