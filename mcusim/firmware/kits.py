"""A project for a board on a desk: what stands around a network's C so that it runs, and prints what each layer takes.

network's files + main.c + kit/start.c + kit/BOARD.c + linker scripts + Makefile, CMakeLists.txt, README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from mcusim.boards.board import Board, Core
from mcusim.errors import InputError
from mcusim.firmware.choice import STACK_BOUND_BYTES
from mcusim.firmware.emit import Network, Sources, render
from mcusim.firmware.project import CPU_FLAGS
from mcusim.firmware.text import comment
from mcusim.graph import ABSENT, DType
from mcusim.program import ViewKind

__all__ = ["KIT_RUNS", "drawn_inputs", "kit_files", "refuse_without_kit"]

KIT_RUNS = 3
"""Inferences that a kit logs: the first finds cold caches, and medians count."""
_DRAWN_TYPES = (DType.INT8, DType.UINT8, DType.INT16)
"""Of inputs whose bytes may be any: others (positions, real numbers) are 0."""
MARGIN_BYTES = 256
"""Of RAM beside network, stack, cycles and inputs: what main.c keeps."""


@dataclass(frozen=True, slots=True)
class _Kit:
    """How a board is written to and listened to.   serial: where its text appears."""

    flasher: str
    flash_command: str
    serial: str


_ST = _Kit("STM32CubeProgrammer", "STM32_Programmer_CLI -c port=SWD -w $< -rst", "the ST-LINK's serial port")
_KITS = {
    "stm32f746": _ST,
    "stm32h743": _ST,
    "stm32l4r5": _ST,
    "nrf52840": _Kit("nrfjprog", "nrfjprog --program $< --sectorerase --reset", "the J-Link's serial port"),
}
_MACHINES = {Core.CORTEX_M4: "mps2-an386", Core.CORTEX_M7: "mps2-an500"}
"""QEMU's boards with the same cores; their memories are larger, and lie elsewhere."""


class _Input(NamedTuple):
    """in_flash: an external one for which no RAM is left; its bytes are 0.   is_drawn: random bytes; else 0."""

    number: int
    size_bytes: int
    is_external: bool
    in_flash: bool
    is_drawn: bool


class _Layer(NamedTuple):
    node: int
    step: int
    op: str


def refuse_without_kit(board: Board) -> None:
    """Raise InputError for a board that has no start-up code here."""
    if board.name not in _KITS:
        fix = f"name one of {', '.join(_KITS)}; `mcusim codegen` writes the C for any board"
        raise InputError(f"there is no kit for {board.name}", where="--profile", fix=fix)


def _inputs(network: Network, board: Board, made: Sources) -> list[_Input]:
    steps = sum(1 for _ in network.program.body())
    # An external input is given from RAM while that lasts, so that it may hold drawn bytes; from flash it is zeros.
    free_bytes = board.sram_budget_bytes - made.arena_bytes - STACK_BOUND_BYTES - 4 * steps - MARGIN_BYTES
    described = []
    for index, home in enumerate(network.program.inputs):
        tensor = network.graph.tensors[home.held]
        is_external = home.view != ABSENT and network.program.views[home.view].kind is ViewKind.OUTSIDE
        in_flash = is_external and tensor.size_bytes > free_bytes
        if is_external and not in_flash:
            free_bytes -= -(-tensor.size_bytes // 4) * 4
        described.append(
            _Input(index, tensor.size_bytes, is_external, in_flash, tensor.dtype in _DRAWN_TYPES and not in_flash)
        )
    return described


def drawn_inputs(network: Network, board: Board, made: Sources) -> list[bool]:
    """Of each input whether main.c draws its bytes; else they are 0."""
    return [described.is_drawn for described in _inputs(network, board, made)]


def kit_files(network: Network, made: Sources, board: Board, schedule: str, output_hash: int) -> Mapping[str, str]:
    """All files of the project by path, the network's own among them.

    output_hash: FNV-1a of the outputs that an execution gives for main.c's inputs.
    """
    kit, run, inputs = _KITS[board.name], board.arena_run, _inputs(network, board, made)
    machine = _MACHINES.get(board.core)
    memories = {
        "flash_address": board.flash.address,
        "flash_bytes": board.flash_bytes,
        "ram_address": run[0].address if run else 0x20000000,
        "ram_bytes": board.sram_budget_bytes,
    }
    values = {
        "name": network.name,
        "upper": network.name.upper(),
        "title": comment(network.graph.name),
        "board": board,
        "board_title": comment(board.title),
        "schedule": schedule,
        "cpu_flags": CPU_FLAGS[board.core],
        "arena_bytes": made.arena_bytes,
        "stored_bytes": made.stored_bytes,
        "stack_bytes": STACK_BOUND_BYTES,
        "runs": KIT_RUNS,
        "steps": sum(1 for _ in network.program.body()),
        "layers": _layers(network),
        "inputs": inputs,
        "draws": any(described.is_drawn for described in inputs),
        "clears": any(not described.is_drawn and not described.in_flash for described in inputs),
        "hash": f"{output_hash:08x}",
        "machine": machine,
        "flasher": kit.flasher,
        "flash_command": kit.flash_command,
        "serial": kit.serial,
    }
    texts = {
        "main.c": render("kit_main.c.j2", **values),
        "Makefile": render("kit_Makefile.j2", **values),
        "CMakeLists.txt": render("kit_CMakeLists.txt.j2", **values),
        "README.md": render("kit_README.md.j2", **values),
        f"{network.name}.ld": render("board.ld.j2", **values, **memories),
    }
    if machine is not None:
        emulated = {"flash_address": 0, "flash_bytes": 4 << 20, "ram_address": 0x20000000, "ram_bytes": 4 << 20}
        texts["kit/emulated.ld"] = render("board.ld.j2", **values, **emulated)
    return {**made.files, **_sources_of(board), **texts}


def _sources_of(board: Board) -> dict[str, str]:
    folder = files("mcusim.firmware") / "kit"
    names = ["board.h", "start.c", f"{board.name}.c", *(["cortex_m7.h"] if board.core is Core.CORTEX_M7 else [])]
    return {f"kit/{name}": (folder / name).read_text(encoding="utf-8") for name in names}


def _layers(network: Network) -> Sequence[_Layer]:
    """The network's nodes in their order; what only the runtime does is nobody's layer."""
    layers: list[_Layer] = []
    index = 0
    for stage in network.program.stages:
        for step in stage.steps:
            if stage.part == 0 and step.node != ABSENT:
                layers.append(_Layer(step.node, index, step.signature.op))
            index += 1
    return sorted(layers)
