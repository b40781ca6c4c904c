"""What a linked firmware image takes: read from its ELF file, or from the map file that GNU ld writes beside it.

    .text .rodata .ARM.exidx ...   flash
    .data                          flash (initial values) and RAM
    .bss .noinit COMMON ...        RAM

Sections count as the loader sees them; debugging sections never do.
"""

from __future__ import annotations

import io
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from mcusim.errors import InputError
from mcusim.files import content_of, is_dir, reason_of
from mcusim.memory.linkage import Function
from mcusim.memory.thumb import references, words

__all__ = ["LinkedFirmware", "LinkedObject", "read_linked_firmware"]

MAX_FILE_BYTES = 512 << 20
_ELF = b"\x7fELF"
_SHF_WRITE, _SHF_ALLOC, _SHF_EXEC, _SHF_COMPRESSED = 1, 2, 4, 1 << 11
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, MemoryError)
"""What pyelftools raises besides its own, and what comes of tables that contradict each other."""
MOST_SECTIONS = 5000
MOST_BYTES = 1 << 40
"""Of a section: more is no microcontroller's, and no figure."""
_RAM_SECTIONS = re.compile(r"\.?(t?bss|noinit|common|heap|stack|_user_heap_stack|uninit\w*)(\W|_|$)", re.IGNORECASE)
_DATA_SECTIONS = re.compile(r"\.(t?data|ramfunc|(pre)?init_array|fini_array|dynamic|got)(\W|$)")
_UNLOADED = re.compile(r"\.(debug|comment|note|stab|symtab|strtab|shstrtab|ARM\.attributes|gnu\.build|gnu_debug)|/DIS")


class LinkedObject(NamedTuple):
    """A function or an object. name: its symbol, or in a map file without symbols the section it came in.

    unit: the object file that it came from, without its suffix; "" where the image does not tell.
    """

    name: str
    size_bytes: int
    is_code: bool
    unit: str = ""


@dataclass(frozen=True, eq=False)
class LinkedFirmware:
    """A linked firmware. flash_bytes: what it stores.   ram_bytes: what it takes before main().

    pieces: the functions and constants in flash that have names.   kind: "ELF file" or "map file".
    machine: the processor it was linked for, as ELF names it; "" where the file does not say.
    functions: by address, with what each reaches; of Arm ELF files only.
    """

    where: str
    kind: str
    flash_bytes: int
    ram_bytes: int
    pieces: tuple[LinkedObject, ...]
    machine: str = ""
    functions: Mapping[int, Function] = field(default_factory=dict)

    @cached_property
    def size_of(self) -> dict[str, int]:
        """Bytes by name; functions of one name (static ones) together."""
        sizes: dict[str, int] = {}
        for piece in self.pieces:
            sizes[piece.name] = sizes.get(piece.name, 0) + piece.size_bytes
        return sizes

    def function_bytes(self, name: str) -> int | None:
        """Bytes of a function, its clones (`name.constprop.0`) included; None if it is not linked under that name."""
        sizes = [p.size_bytes for p in self.pieces if p.is_code and (p.name == name or p.name.startswith(f"{name}."))]
        return sum(sizes) if sizes else None


def read_linked_firmware(path: str | PathLike[str]) -> LinkedFirmware:
    """What the ELF or map file at `path` says. Raises InputError."""
    where = fspath(path)
    try:
        file = Path(path)
        if is_dir(file):
            raise InputError("it is a folder", where=where, fix="name an ELF file, or the map file of GNU ld")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError("it has more than 512 MiB", where=where, fix="name the firmware's ELF or map file")
        content = content_of(file, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=where, fix="check the path") from None
    if content.startswith(_ELF):
        return _from_elf(content, where)
    text = content.decode("utf-8", "replace")
    if "Linker script and memory map" not in text:
        fix = "name an ELF file, or a map file of GNU ld (gcc -Wl,-Map=FILE)"
        raise InputError("it is neither an ELF file nor a map file of GNU ld", where=where, fix=fix)
    return _from_map(text, where)


# ---------------------------------------------------------------------------------------------------------------------
# ELF


def _from_elf(content: bytes, where: str) -> LinkedFirmware:
    try:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
    except ImportError:
        fix = f"`{quote(sys.executable)} -m pip install pyelftools`, or name the map file (gcc -Wl,-Map=FILE)"
        raise InputError("reading ELF files needs pyelftools", where=where, fix=fix) from None
    try:
        elf = ELFFile(io.BytesIO(content))
        if elf.num_sections() > MOST_SECTIONS:
            what = f"it has {elf.num_sections():,} sections, and {MOST_SECTIONS:,} are read"
            raise InputError(what, where=where, fix="name the linked firmware: it has a few dozen")
        sections = [section for section in elf.iter_sections() if section["sh_flags"] & _SHF_ALLOC]
        if elf["e_type"] == "ET_REL" or not sections:
            fix = "name the linked firmware, not an object file"
            raise InputError("nothing in it has an address yet", where=where, fix=fix)
        flash = ram = 0
        for section in sections:
            size, stored = int(section["sh_size"]), section["sh_type"] != "SHT_NOBITS"
            is_ram = bool(section["sh_flags"] & _SHF_WRITE)
            flash += size if stored else 0
            ram += size if is_ram or not stored else 0
        machine = str(elf["e_machine"]).removeprefix("EM_")
        table: Any = elf.get_section_by_name(".symtab")
        symbols = list(table.iter_symbols()) if table is not None else []
        functions = _functions(elf, sections, symbols) if machine == "ARM" else {}
        return LinkedFirmware(where, "ELF file", flash, ram, _symbols(elf, sections, symbols), machine, functions)
    except InputError:
        raise
    except (ELFError, *_DAMAGED) as error:
        what = "the ELF file is damaged: its header or its tables do not hold together"
        raise InputError(what, where=where, fix="link it again, or copy it again") from error


def _symbols(elf: Any, sections: list[Any], symbols: list[Any]) -> tuple[LinkedObject, ...]:
    """Named functions and constants in sections that are stored in flash. Aliases of one place count once."""
    stored = {elf.get_section_index(s.name) for s in sections if s["sh_type"] != "SHT_NOBITS"}
    objects: dict[tuple[int, int], LinkedObject] = {}
    for symbol in symbols:
        kind, size, place = symbol["st_info"]["type"], int(symbol["st_size"]), symbol["st_shndx"]
        if size and place in stored and kind in ("STT_FUNC", "STT_OBJECT"):
            key = (int(symbol["st_value"]), size)
            objects.setdefault(key, LinkedObject(symbol.name, size, kind == "STT_FUNC"))
    return tuple(objects.values())


def _functions(elf: Any, sections: list[Any], symbols: list[Any]) -> dict[int, Function]:
    """Functions in sections with code, and which of the others each refers to."""
    named: dict[int, tuple[str, int, int]] = {}
    marks: dict[int, bool] = {}  # mapping symbols: whether data starts here, or code
    for symbol in symbols:
        at, size, place = int(symbol["st_value"]) & ~1, int(symbol["st_size"]), symbol["st_shndx"]
        if symbol["st_info"]["type"] == "STT_FUNC" and size and isinstance(place, int):
            named.setdefault(at, (symbol.name, size, place))
        elif symbol.name[:2] in ("$t", "$d"):
            marks[at] = symbol.name.startswith("$d")
    code = {
        elf.get_section_index(s.name): (int(s["sh_addr"]), s.data())
        for s in sections
        if s["sh_flags"] & (_SHF_EXEC | _SHF_COMPRESSED) == _SHF_EXEC and s["sh_type"] != "SHT_NOBITS"
    }
    changes, starts = sorted(marks), sorted(named)
    functions: dict[int, Function] = {}
    for start, following in zip(starts, [*starts[1:], sys.maxsize], strict=True):
        name, size, place = named[start]
        # Each byte is looked at once: where a function begins inside of another, that one runs on into it.
        reached: set[int] = {following} if following < start + size else set()
        if place in code:
            for lo, hi, is_data in _stretches(start, min(start + size, following), changes, marks):
                base, content = code[place]
                piece = content[max(lo - base, 0) : max(hi - base, 0)]
                reached.update(target & ~1 for target in (words if is_data else references)(piece, lo))
        functions[start] = Function(name, size, frozenset(at for at in reached if at in named and at != start))
    return functions


def _stretches(start: int, end: int, changes: list[int], is_data: dict[int, bool]) -> Iterator[tuple[int, int, bool]]:
    """[start, end) cut where code turns to data or back."""
    here, data = start, is_data.get(start, False)
    for change in changes[bisect_left(changes, start + 1) : bisect_left(changes, end)]:
        yield here, change, data
        here, data = change, is_data[change]
    yield here, end, data


# ---------------------------------------------------------------------------------------------------------------------
# Map files of GNU ld
#
#   .text           0x08000000     0x1a34                      an output section
#    .text.main     0x08000010       0x24 build/main.o         an input section; a long name stands on a line of its own
#    *fill*         0x08000034        0xc

_ROW = re.compile(r"^( ?)(\S+)?\s+0x([0-9a-fA-F]+)\s+0x([0-9a-fA-F]+)(?:\s+(load address\s+0x[0-9a-fA-F]+|\S.*))?$")
_LONG_NAME = re.compile(r"^( ?)([^\s*(]\S*)$")
_PREFIXES = (".text.unlikely.", ".text.startup.", ".text.hot.", ".text.", ".rodata.", ".data.rel.ro.", ".data.")


def _from_map(text: str, where: str) -> LinkedFirmware:
    flash = ram = 0
    pieces: list[LinkedObject] = []
    section, pending = "", ""
    body = text.partition("Linker script and memory map")[2]
    for line in body.partition("Cross Reference Table")[0].splitlines():
        long_name = _LONG_NAME.match(line)
        if long_name:
            pending = line
            continue
        row = _ROW.match(f"{pending}{line}" if pending and line.startswith(" ") else line)
        pending = ""
        if row is None or row[2] is None:
            continue
        size = int(row[4], 16)
        if not row[1]:
            section = row[2]
            counts_in_flash, counts_in_ram = _places(section, int(row[3], 16), row[5] or "")
            flash += size * counts_in_flash
            ram += size * counts_in_ram
        elif size and row[5] and _places(section, 1, "")[0] and row[2].startswith("."):
            name = next((row[2].removeprefix(p) for p in _PREFIXES if row[2].startswith(p)), row[2])
            pieces.append(LinkedObject(name, size, row[2].startswith(".text"), _unit(row[5])))
    if max(flash, ram) > MOST_BYTES:
        raise InputError("its sections have more than 1 TiB", where=where, fix="link again with -Wl,-Map=FILE")
    if not flash:
        raise InputError("the map file names no section with code", where=where, fix="link again with -Wl,-Map=FILE")
    return LinkedFirmware(where, "map file", flash, ram, tuple(pieces))


def _unit(path: str) -> str:
    """`lib.a(conv.o)`, `build/conv.cc.obj` -> conv."""
    file = path.strip().rstrip(")").rpartition("(")[2].replace("\\", "/").rpartition("/")[2]
    return file.partition(".")[0]


def _places(section: str, address: int, load: str) -> tuple[bool, bool]:
    """Whether an output section counts in flash, and in RAM. What only debuggers read lies at address 0."""
    if _UNLOADED.match(section) and address == 0:
        return False, False
    if _RAM_SECTIONS.match(section):
        return False, True
    return True, bool(_DATA_SECTIONS.match(section)) or load.startswith("load address")
