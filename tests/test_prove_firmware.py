"""A seeded sample of `scripts/prove_firmware`: prediction, execution and emulated firmware are the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from commands import REPO
from lanes import QemuLane


@pytest.mark.slow
@pytest.mark.skipif(not QemuLane("cortex-m4").is_there, reason="no gcc for Arm or QEMU here")
def test_a_seeded_sample_holds() -> None:
    command = [sys.executable, str(REPO / "scripts" / "prove_firmware.py"), "--sample", "6", "--seed", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bytes, RAM, weights" in done.stdout
    # A schedule that a network cannot be cut by is a row that is not made.
    held = re.search(r"^(\d+) of (\d+) rows hold", done.stdout, re.MULTILINE)
    assert held is not None
    assert int(held[1]) == int(held[2]) >= 3


@pytest.mark.slow
@pytest.mark.skipif(not QemuLane("cortex-m4").is_there, reason="no gcc for Arm or QEMU here")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "mcunet-vwv1"], "mcunet-vwv1"),
        (["--only", "missing.tflite"], "missing.tflite"),
        (["--only", "smallcifar", "--schedule", "patch:2by2@3"], "patch:2by2@3"),
        (["--schedule", "stream:1@3"], "--schedule goes with --only"),
    ],
)
def test_what_it_cannot_prove_is_a_sentence(words: list[str], sentence: str) -> None:
    command = [sys.executable, str(REPO / "scripts" / "prove_firmware.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
