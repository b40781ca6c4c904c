"""Which way the steps of a network run: by compiled programs where the host can, else one kernel after the other."""

from __future__ import annotations

import os
from importlib import import_module
from typing import cast

from mcusim.execution.runners import Tier

__all__ = ["KERNEL_SET", "PLAIN", "compiled_tier"]

KERNEL_SET = "MCUSIM_KERNELS"
"""Environment variable that forces a kernel set: one that `ops/kernels/fast/vector.py` lists, or `plain`."""
PLAIN = "plain"


def compiled_tier() -> Tier | None:
    """A tier for one network, whose sessions share it; None where only plain kernels run.

    That is asked for by MCUSIM_KERNELS=plain, and where numba's compiler is off (NUMBA_DISABLE_JIT=1). The first time
    on a machine this compiles. Raises InputError where MCUSIM_KERNELS names what the machine cannot run.
    """
    if os.environ.get(KERNEL_SET) == PLAIN or os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    # By name, so that nothing but an execution ever imports a compiler.
    return cast(Tier, import_module("mcusim.ops.kernels.fast.stream").Stream())
