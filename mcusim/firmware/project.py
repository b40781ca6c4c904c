"""What stands around the sources: a linker script for the board's memories, Makefile, CMakeLists.txt and README."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.boards.board import Board, Core
from mcusim.firmware.emit import STACK_BOUND_BYTES, Network, Sources, render
from mcusim.firmware.text import comment
from mcusim.graph import ABSENT, Tensor
from mcusim.program import Home, ViewKind

__all__ = ["CPU_FLAGS", "project_files"]

CPU_FLAGS = {
    Core.CORTEX_M0: "-mcpu=cortex-m0 -mthumb",
    Core.CORTEX_M0_PLUS: "-mcpu=cortex-m0plus -mthumb",
    Core.CORTEX_M3: "-mcpu=cortex-m3 -mthumb",
    Core.CORTEX_M4: "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
    Core.CORTEX_M7: "-mcpu=cortex-m7 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
    Core.CORTEX_M23: "-mcpu=cortex-m23 -mthumb",
    Core.CORTEX_M33: "-mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
    Core.CORTEX_M55: "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard",
    Core.CORTEX_M85: "-mcpu=cortex-m85 -mthumb -mfloat-abi=hard",
}


def project_files(network: Network, made: Sources, board: Board, schedule: str) -> dict[str, str]:
    """The files by path."""
    program, graph = network.program, network.graph
    external = [
        index
        for index, home in enumerate(program.inputs)
        if home.view != ABSENT and program.views[home.view].kind is ViewKind.OUTSIDE
    ]
    run = board.arena_run
    values = {
        "name": network.name,
        "upper": network.name.upper(),
        "title": comment(graph.name),
        "board": board,
        "board_title": comment(board.title),
        "schedule": schedule,
        "cpu_flags": CPU_FLAGS[board.core],
        "arena_bytes": made.arena_bytes,
        "stored_bytes": made.stored_bytes,
        "stack_bytes": STACK_BOUND_BYTES,
        "flash_address": board.flash.address,
        "flash_bytes": board.flash_bytes,
        "ram_address": run[0].address if run else 0x20000000,
        "ram_bytes": board.sram_budget_bytes,
        "external": external,
        "inputs": _described(graph.tensors, program.inputs),
        "outputs": _described(graph.tensors, program.outputs),
    }
    names = {
        f"{network.name}.ld": "board.ld.j2",
        "Makefile": "Makefile.j2",
        "CMakeLists.txt": "CMakeLists.txt.j2",
        "README.md": "README.md.j2",
    }
    return {path: render(template, **values) for path, template in names.items()}


def _described(tensors: Sequence[Tensor], homes: Sequence[Home]) -> list[str]:
    lines = []
    for home in homes:
        tensor = tensors[home.held]
        shape = "x".join(map(str, tensor.shape)) or "1"
        scale = ""
        if tensor.quantization is not None:
            scale = f", scale {tensor.quantization.scales[0]:g}, zero point {tensor.quantization.zero_points[0]}"
        lines.append(f"{comment(tensors[home.tensor].name)}: {shape} {tensor.dtype}{scale}")
    return lines
