"""How many bytes of code each operator of TensorFlow Lite Micro brings into an image: measured on a linked image.

    python scripts/code_table.py firmware.elf --objdump arm-none-eabi-objdump > table.csv

Writes a table in the form of mcusim/runtimes/data/code_sizes/*.csv: a row for all functions that serve one operator,
and one for each function of CMSIS-NN (arm_...). "*" stands for what the interpreter itself needs. The image must have
symbols, and as many operators as the table is to tell of: one with an AllOpsResolver, for instance.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
from bisect import bisect_right
from collections import defaultdict

from mcusim.memory.linkage import Function, serving

_SYMBOL = re.compile(r"^([0-9a-f]+) .{6}F \S+\t([0-9a-f]+) +(?:0x[0-9a-f]+ |\.\w+ )*(\S+)$")
_HEAD = re.compile(r"^([0-9a-f]+) <.*>:$")
_TARGET = re.compile(r"\t(?:b\w{0,3}(?:\.[nw])?|call|j\w+)\s+([0-9a-f]+) <|# ([0-9a-f]+) <|\.word\s+0x([0-9a-f]+)")


def read_functions(elf: str, objdump: str) -> dict[int, Function]:
    """Functions of an image by address, with what each refers to, as binutils disassembles it."""
    named: dict[int, tuple[str, int]] = {}
    for line in _told(objdump, "-t", elf).splitlines():
        row = _SYMBOL.match(line)
        if row and int(row[2], 16):
            named.setdefault(int(row[1], 16) & ~1, (row[3], int(row[2], 16)))
    starts = sorted(named)
    reaches: dict[int, set[int]] = defaultdict(set)
    here = -1
    for line in _told(objdump, "-d", elf).splitlines():
        head = _HEAD.match(line)
        if head:
            address = int(head[1], 16)
            here = starts[max(bisect_right(starts, address) - 1, 0)]
            here = here if address < here + named[here][1] else -1  # in no function that has a size
            continue
        match = _TARGET.search(line)
        if match:
            target = int(match[1] or match[2] or match[3], 16) & ~1
            if here in named and target in named:
                reaches[here].add(target)
    return {start: Function(*named[start], frozenset(reaches[start])) for start in starts}


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rows(functions: dict[int, Function]) -> list[tuple[str, int, str]]:
    """Rows of (function, bytes, operators), by function."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for address, operators in serving(functions).items():
        function = functions[address]
        own = function.name if function.name.startswith("arm_") else ""
        sizes[own, " ".join(sorted(operators))] += function.size_bytes
    return [(name, size, operators) for (name, operators), size in sorted(sizes.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("elf", help="a linked image with symbols")
    parser.add_argument("--objdump", default="arm-none-eabi-objdump", help="binutils' objdump for its processor")
    chosen = parser.parse_args()
    try:
        functions = rows(read_functions(chosen.elf, chosen.objdump))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", None) or str(error)).split())
        parser.error(f"{chosen.elf} cannot be read with {chosen.objdump} ({reason}); name the objdump of its processor")
    if not functions:
        parser.error(f"{chosen.elf} names no operator of TensorFlow Lite Micro; link it with symbols")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("function", "bytes", "operators"))
    writer.writerows(functions)


if __name__ == "__main__":
    main()
