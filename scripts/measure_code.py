#!/usr/bin/env python3
"""Bytes of the kernels' functions as they are compiled, which `mcusim/firmware/code_sizes.py` adds up.

    python scripts/measure_code.py        compiles every kernel, and writes mcusim/firmware/data/code_sizes.json

A kernel is one function in every network (`MCU_NOINLINE`), so what it takes does not depend on who calls it. Those of
the matrix product depend on the ways of requantising that are built, so they are there for every set of them. Needs
arm-none-eabi-gcc.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from measure_firmware import COMPILER, CPU, DATA

from mcusim.firmware.choice import BANDS, depthwise_kernel
from mcusim.firmware.kernel_files import kernel_files
from mcusim.firmware.tables import Mode

KERNELS, STRIDES = range(2, 8), (1, 2)
SHARED = {
    "ring": ("ring_begin", "ring_fill", "ring_lines", "ring_row_of_few", "load_few"),
    "careful": ("careful_output",),
}
"""What kernels have in common, by name."""


def sizes(texts: Mapping[str, str], modes: int = 31) -> dict[str, int]:
    """Bytes of every function of some kernel files, and of their constant tables."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for file, text in texts.items():
            (folder / file).write_text(text)
        lines = [f"#define MCU_MODES {modes}u", *(f'#include "{file}"' for file in texts)]
        (folder / "all.c").write_text("\n".join(lines))
        options = ["-O2", "-fomit-frame-pointer", "-std=c99", "-ffreestanding", "-fkeep-static-functions"]
        command = ["arm-none-eabi-gcc", *CPU, *options, "-c", "all.c", "-o", "all.o"]
        subprocess.run(command, cwd=folder, check=True)
        listed = subprocess.run(
            ["arm-none-eabi-nm", "-S", "all.o"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {row[3].removeprefix("mcu_"): int(row[1], 16) for row in rows if len(row) == 4}


def product_bytes(modes: int) -> int:
    """Of all that convolutions call, where these ways of requantising are built."""
    built = sizes(kernel_files({"conv_2d.h": ()}), modes)
    names = [name for name in built if re.match(r"column|window|conv_2d|product|of_four", name)]
    return sum(built[name] for name in names)


def depthwise_bytes(file: str) -> dict[str, int]:
    """Of one fast kernel: `own`, and the loop of each way."""
    built, name = sizes(kernel_files({file: [mode.value for mode in Mode]})), file.removesuffix(".h")
    one = sizes(kernel_files({file: ["RISING_8"]}))
    ways = {way: built[f"{name}_{way}"] for way in ("rising", "signed", "careful")}
    return {"own": one[name] + one.get(f"{name}_fill", 0), **ways}


def main() -> None:
    kernels = files("mcusim.firmware") / "kernels"
    plain = [entry.name for entry in kernels.iterdir() if entry.name.endswith(".h")]
    built = sizes(kernel_files(dict.fromkeys(sorted(plain), ())))
    fast = {
        f"{depthwise_kernel(kernel, stride, rows, cols)[0]}.h": None
        for kernel in KERNELS
        for stride in STRIDES
        for rows in BANDS
        for cols in (2, 4)
    }
    document = {
        "compiler": COMPILER,
        "shared": {name: sum(built[function] for function in group) for name, group in SHARED.items()},
        "conv_2d": {str(modes): product_bytes(modes) for modes in range(1, 1 << len(Mode))},
        "depthwise": {file.removesuffix(".h"): depthwise_bytes(file) for file in fast},
        "functions": {name: size for name, size in sorted(built.items()) if not name.startswith("depthwise_any_")},
    }
    (DATA / "code_sizes.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
