"""A seeded sample of `scripts/prove_firmware`: prediction, execution and emulated firmware are the same."""

from __future__ import annotations

import os
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
    assert done.stdout.rstrip().endswith("6 of 6 rows hold")
