"""The hardware that mcusim knows about, as values: a board with its core, memory banks, flash, caches and power.

    0x20000000 DTCM        |##|                 the budget of a runtime with one arena
    0x24000000 AXI         |##########| <- run  is the largest run of banks whose
    0x30000000 SRAM1..3    |######|             addresses follow one another,
    0x38000000 SRAM4       |#|                  less `reserved_bytes`

Frozen and hashable. They hold no rules beyond arithmetic: `loading.py` checks a profile once, when it is loaded.
What a profile does not say is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

import msgspec

from mcusim.errors import ProfileError

__all__ = [
    "MAX_CLOCK_HZ",
    "MIN_CLOCK_HZ",
    "BankKind",
    "Board",
    "Caches",
    "Core",
    "Flash",
    "MemoryBank",
    "Power",
    "UnitPrice",
    "total_bytes",
]

_BOARDS_KEPT = 256
"""Boards whose sums are found again: reports of one ask several times."""

MIN_CLOCK_HZ, MAX_CLOCK_HZ = 1_000_000, 2_000_000_000


class Core(StrEnum):
    """The processor core that runs the network."""

    CORTEX_M0 = "cortex-m0"
    CORTEX_M0_PLUS = "cortex-m0+"
    CORTEX_M3 = "cortex-m3"
    CORTEX_M4 = "cortex-m4"
    CORTEX_M7 = "cortex-m7"
    CORTEX_M23 = "cortex-m23"
    CORTEX_M33 = "cortex-m33"
    CORTEX_M55 = "cortex-m55"
    CORTEX_M85 = "cortex-m85"


class BankKind(StrEnum):
    """How a memory bank is attached; `itcm` and `external` never hold the arena."""

    SRAM = "sram"
    AXI = "axi"
    DTCM = "dtcm"
    ITCM = "itcm"
    CCM = "ccm"
    EXTERNAL = "external"


NO_ARENA = (BankKind.ITCM, BankKind.EXTERNAL)
"""Kinds that hold no arena unless the user names them with --bank."""


class MemoryBank(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One bank of RAM: the bytes [address, address + size_bytes).

    arena: whether a runtime may lay its arena here; None: as the kind says.
    bytes_per_second: what an external memory delivers, sustained.
    """

    name: str
    address: int
    size_bytes: int
    kind: BankKind
    arena: bool | None = None
    bytes_per_second: int | None = None
    source: str | None = None

    @property
    def end(self) -> int:
        """The first address behind the bank."""
        return self.address + self.size_bytes

    @property
    def is_on_chip(self) -> bool:
        return self.kind is not BankKind.EXTERNAL

    @property
    def holds_arena(self) -> bool:
        """Whether a runtime may lay its arena here."""
        return self.kind not in NO_ARENA if self.arena is None else self.arena


class Flash(msgspec.Struct, frozen=True, kw_only=True):
    """The flash that stores code and weights. `wait_states` hold at the board's `clock_hz`.

    accelerator: prefetch and small caches between flash and core (ST's ART); its cache sizes are of its own, not
    the core's.   read_width_bits: bits that one flash read delivers.   bytes_per_second: what a flash outside the chip
    delivers, sustained, through the window in which code and weights are read in place (QSPI, XIP); None for a flash
    on the chip.
    """

    address: int
    size_bytes: int
    wait_states: int | None = None
    read_width_bits: int | None = None
    accelerator: bool | None = None
    accelerator_icache_bytes: int | None = None
    accelerator_dcache_bytes: int | None = None
    bytes_per_second: int | None = None
    source: str | None = None

    @property
    def end(self) -> int:
        """The first address behind the flash."""
        return self.address + self.size_bytes


class Caches(msgspec.Struct, frozen=True, kw_only=True):
    """Caches of the core, in bytes; 0 is none, None unknown."""

    icache_bytes: int | None = None
    dcache_bytes: int | None = None
    dcache_external_only: bool = False
    source: str | None = None


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """Power of the board's supply while a network runs, in milliwatts, as an interval, at one setting."""

    active_low_mw: float
    active_high_mw: float
    setting: str | None = None
    source: str | None = None


class UnitPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A hint, in US dollars for the bare part."""

    usd: float
    source: str | None = None


class Board(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One microcontroller at one clock. Sizes in bytes, clock in hertz.

    series: parts that share core, flash and buses, such as `stm32h7`; by the name if None. Measurements of kin count.
    """

    name: str
    title: str
    core: Core
    clock_hz: int
    default_model: str
    memory: tuple[MemoryBank, ...]
    flash: Flash
    caches: Caches = Caches()
    power: Power | None = None
    price: UnitPrice | None = None
    reserved_bytes: int = 0
    aliases: tuple[str, ...] = ()
    series: str | None = None
    source: str | None = None

    @property
    def arena_run(self) -> tuple[MemoryBank, ...]:
        """The banks of the largest address-contiguous run that may hold the arena, lowest address first.

        Of runs of the same size the lowest counts.
        """
        return _arena_run(self)

    @property
    def runs(self) -> tuple[tuple[MemoryBank, ...], ...]:
        """Banks that may hold the arena, in runs of addresses without a gap, lowest address first."""
        runs: list[list[MemoryBank]] = []
        for bank in sorted((b for b in self.memory if b.holds_arena), key=lambda b: b.address):
            if runs and runs[-1][-1].end == bank.address:
                runs[-1].append(bank)
            else:
                runs.append([bank])
        return tuple(map(tuple, runs))

    @property
    def sram_budget_bytes(self) -> int:
        """What a runtime with one arena can have: the largest run, less what the profile reserves."""
        return total_bytes(self.arena_run) - self.reserved_bytes

    def reserved_in(self, bank: MemoryBank) -> int:
        """Bytes of a bank that `reserved_bytes` keeps from the arena: the end of the arena's run is reserved."""
        run = self.arena_run
        if bank not in run:
            return 0
        behind = total_bytes(run[run.index(bank) + 1 :])
        return min(max(self.reserved_bytes - behind, 0), bank.size_bytes)

    @property
    def sram_bytes(self) -> int:
        """All on-chip RAM that may hold activations, whether in the run or not."""
        return _sram_bytes(self)

    @property
    def arena_run_bytes(self) -> int:
        """More than this no arena in one piece can be, whatever the profile reserves."""
        return total_bytes(self.arena_run)

    @property
    def flash_bytes(self) -> int:
        """Size of the flash."""
        return self.flash.size_bytes

    def with_banks(self, names: tuple[str, ...]) -> Board:
        """The same board with its arena in these banks only; external memory and ITCM may be named too.

        Raises ProfileError for a bank that it does not have.
        """
        known = {bank.name.lower(): bank.name for bank in self.memory}
        wanted = {name.strip().lower() for name in names}
        for name in sorted(wanted - set(known)):
            fix = f"name one or more of {', '.join(known.values())}"
            raise ProfileError(f"it has no bank '{name}'", where=f"board '{self.name}'", fix=fix)
        memory = tuple(msgspec.structs.replace(b, arena=b.name.lower() in wanted) for b in self.memory)
        board = msgspec.structs.replace(self, memory=memory)
        if not {bank.name for bank in self.arena_run} & {bank.name for bank in board.arena_run}:
            return msgspec.structs.replace(board, reserved_bytes=0)  # what is reserved lies in the run as it was
        if board.sram_budget_bytes <= 0:
            fix = "name more banks, or lower reserved_bytes in the profile"
            what = f"it reserves {self.reserved_bytes:,} bytes, and {', '.join(names)} has no more"
            raise ProfileError(what, where=f"board '{self.name}'", fix=fix)
        return board

    def with_clock(self, clock_hz: int) -> Board:
        """The same board at another clock.

        Wait states and power are known for the profile's clock only: at another one they become None.
        Raises ProfileError if the clock is not between 1 MHz and 2 GHz.
        """
        if clock_hz == self.clock_hz:
            return self
        if not MIN_CLOCK_HZ <= clock_hz <= MAX_CLOCK_HZ:
            fix = "use 1 MHz to 2 GHz, in hertz"
            raise ProfileError(f"a clock of {clock_hz} Hz is out of range", where=f"board '{self.name}'", fix=fix)
        flash = msgspec.structs.replace(self.flash, wait_states=None)
        return msgspec.structs.replace(self, clock_hz=clock_hz, flash=flash, power=None)


@lru_cache(_BOARDS_KEPT)
def _arena_run(board: Board) -> tuple[MemoryBank, ...]:
    return max(board.runs, key=total_bytes, default=())


@lru_cache(_BOARDS_KEPT)
def _sram_bytes(board: Board) -> int:
    return total_bytes(bank for bank in board.memory if bank.holds_arena)


def total_bytes(banks: Iterable[MemoryBank]) -> int:
    """Bytes of several banks together."""
    return sum(bank.size_bytes for bank in banks)
