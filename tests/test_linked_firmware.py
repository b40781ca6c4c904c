"""Linked firmware: ELF and map files made by gcc here, and what they say instead of the estimate."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from commands import document_of, run
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim.errors import InputError
from mcusim.memory import linked_firmware
from mcusim.memory.flash import flash_ledger, flash_of_firmware
from mcusim.memory.linkage import Function, serving
from mcusim.memory.linked_firmware import LinkedFirmware, LinkedObject, read_linked_firmware
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
MODEL = Path("mlperf_ad01_int8.tflite")

SOURCE = """
const unsigned char model_data[{size}] __attribute__((aligned(16))) = {{1, 2, 3}};
static signed char arena[4096];
int counter = 7;
__attribute__((noinline)) int arm_fully_connected_s8(volatile int n) {{
    for (int i = 0; i < 4096; i++) arena[i] = (signed char)(model_data[i] * n + counter);
    return arena[n & 4095];
}}
int main(int argc, char **argv) {{ (void)argv; return arm_fully_connected_s8(argc); }}
"""


@pytest.fixture(scope="module")
def firmware(tmp_path_factory, corpus):
    """Folder with firmware.elf and firmware.map, linked with a constant as large as the model."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    folder = tmp_path_factory.mktemp("firmware")
    size = (corpus / "models" / MODEL).stat().st_size
    (folder / "main.c").write_text(SOURCE.format(size=size))
    flags = ["-O1", "-ffunction-sections", "-fdata-sections", "-Wl,-Map=firmware.map"]
    subprocess.run(["gcc", *flags, "-o", "firmware.elf", "main.c"], cwd=folder, check=True)
    return folder


def sizes(path: Path) -> tuple[int, int]:
    """Flash and RAM as binutils' `size` counts them: text + data, data + bss."""
    done = subprocess.run(["size", path], capture_output=True, text=True, check=True)
    text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
    return text + data, data + bss


@pytest.mark.parametrize("name", ["firmware.elf", "firmware.map"])
def test_an_image_is_as_large_as_size_says(firmware, name, corpus):
    if name.endswith(".elf"):
        pytest.importorskip("elftools")
    image = read_linked_firmware(firmware / name)
    flash, ram = sizes(firmware / "firmware.elf")
    assert (image.flash_bytes, image.ram_bytes) == (flash, ram)
    assert image.function_bytes("arm_fully_connected_s8") > 20
    assert image.function_bytes("arm_fully_connected") is None
    assert image.size_of["model_data"] == (corpus / "models" / MODEL).stat().st_size


def test_both_kinds_of_file_agree(firmware):
    pytest.importorskip("elftools")
    elf, linker_map = read_linked_firmware(firmware / "firmware.elf"), read_linked_firmware(firmware / "firmware.map")
    assert (elf.flash_bytes, elf.ram_bytes) == (linker_map.flash_bytes, linker_map.ram_bytes)
    name = "arm_fully_connected_s8"
    assert elf.function_bytes(name) == linker_map.function_bytes(name)


def test_facts_replace_the_estimate(firmware, corpus):
    path = str(corpus / "models" / MODEL)
    image = read_linked_firmware(firmware / "firmware.map")
    estimate = mcusim.simulate(path, profile="stm32f446", runtime="tflm-cmsis-nn")
    report = mcusim.simulate(path, profile="stm32f446", runtime="tflm-cmsis-nn", firmware=image)
    assert estimate.flash.basis is Basis.CALIBRATED
    assert report.flash.total_bytes == image.flash_bytes
    assert report.flash.model_bytes == estimate.flash.model_bytes
    assert report.flash.code_bytes == image.flash_bytes - report.flash.model_bytes
    assert report.flash.basis is Basis.MEASURED
    flash = document_of("plan", path, "--runtime", "tflm-cmsis-nn", "--map", str(firmware / "firmware.map"))["flash"]
    assert flash["total_bytes"] == image.flash_bytes
    (kernel,) = [k for k in flash["kernels"] if k["name"] == "arm_fully_connected_s8"]
    assert kernel["size_bytes"] == image.function_bytes("arm_fully_connected_s8")
    code, out, _ = run("run", path, "--profile", "stm32f446", "--map", str(firmware / "firmware.map"))
    assert code == 0
    assert "measured" in out


def test_a_model_outside_the_image_is_added(firmware, corpus):
    graph = mcusim.load(corpus / "models" / "mlperf_kws01_dscnn_int8.tflite")
    stored = flash_of_firmware(graph, RUNTIMES["tflm"], read_linked_firmware(firmware / "firmware.map"))
    assert stored.model_bytes == graph.source.file_bytes
    assert stored.code_bytes == read_linked_firmware(firmware / "firmware.map").flash_bytes
    assert "not found" in stored.warning


def test_generated_arrays_are_the_model():
    graph = mcusim.load("mcunet-vww0")
    stored = RUNTIMES["tinyengine"].flash(graph).model_bytes
    assert stored is not None
    arrays = (
        LinkedObject("weight0", stored - 100, False),
        LinkedObject("bias0", 60, False),
        LinkedObject("scales0", 40, False),
    )
    image = LinkedFirmware("x.elf", "ELF file", stored + 50_000, 0, (*arrays, LinkedObject("add_fpreq", 300, True)))
    ledger = flash_ledger(graph, RUNTIMES["tinyengine"], image)
    assert (ledger.code_bytes, ledger.total_bytes, ledger.basis) == (50_000, stored + 50_000, Basis.MEASURED)
    assert [kernel.size_bytes for kernel in ledger.kernels if kernel.name == "add_fpreq"] == [300]
    assert [(item.name, item.size_bytes) for item in ledger.code] == [
        ("add_fpreq", 300),
        ("everything else", 50_000 - 300),
    ]
    assert "lacks kernels of this network" in ledger.note
    assert "add_fpreq" not in ledger.note


MCU_MAP = """
Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00100000         xr
RAM              0x20000000         0x00050000         xrw
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD build/main.o

.isr_vector     0x08000000      0x188
 .isr_vector    0x08000000      0x188 build/startup.o

.text           0x08000188     0x1000
 .text.main     0x08000188       0x40 build/main.o
                0x08000188                main
 .text.arm_convolve_s8
                0x080001c8      0x200 libcmsis.a(arm_convolve_s8.o)
 *fill*         0x080003c8        0x8

.rodata         0x08001188      0x800
 .rodata.g_model
                0x08001188      0x700 build/model.o

.data           0x20000000       0x20 load address 0x08001988
 .data.counter  0x20000000        0x4 build/main.o

.bss            0x20000020     0x2000 load address 0x080019a8
 .bss.arena     0x20000020     0x1f00 build/main.o
._user_heap_stack
                0x20002020      0x600 load address 0x080019a8
.debug_info     0x00000000     0x9999
 .debug_info    0x00000000     0x9999 build/main.o
.comment        0x00000000       0x44
OUTPUT(firmware.elf elf32-littlearm)
"""


def test_a_microcontrollers_map(tmp_path):
    path = tmp_path / "firmware.map"
    path.write_text(MCU_MAP)
    image = read_linked_firmware(path)
    assert image.flash_bytes == 0x188 + 0x1000 + 0x800 + 0x20
    assert image.ram_bytes == 0x20 + 0x2000 + 0x600
    assert image.function_bytes("arm_convolve_s8") == 0x200
    assert image.size_of["g_model"] == 0x700


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "neither an ELF file nor a map file"),
        (b"TFL3" * 9, "neither an ELF file nor a map file"),
        (b"\x7fELF", "damaged"),
        (b"\x7fELF" + bytes(60), "damaged"),
        (b"Linker script and memory map\n", "names no section with code"),
    ],
)
def test_what_is_no_image(tmp_path, content, what):
    if content.startswith(b"\x7fELF"):
        pytest.importorskip("elftools")
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        read_linked_firmware(path)
    code, out, err = run("run", "mcunet-vww0", "--profile", "stm32f746", "--map", str(path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_folder_and_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_linked_firmware(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_linked_firmware(tmp_path / "none")


@needs_gcc
def test_an_object_file_is_told(tmp_path):
    pytest.importorskip("elftools")
    (tmp_path / "a.c").write_text("int f(void) { return 1; }\n")
    subprocess.run(["gcc", "-c", "a.c"], cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="nothing in it has an address yet"):
        read_linked_firmware(tmp_path / "a.o")


def test_without_pyelftools_it_says_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("elftools")] + ["elftools", "elftools.elf.elffile"]:
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "f.elf"
    path.write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(InputError, match="needs pyelftools") as refusal:
        read_linked_firmware(path)
    assert f"{sys.executable} -m pip install pyelftools`" in refusal.value.fix  # the Python that runs


@given(st.binary(max_size=300), st.integers(0, 5000), st.integers(0, 255))
def test_damage_is_told_or_harmless(firmware, junk, place, value):
    """Whatever the bytes: a LinkedFirmware or an InputError."""
    pytest.importorskip("elftools")
    content = bytearray((firmware / "firmware.elf").read_bytes())
    content[place % len(content)] = value
    for damaged in (bytes(content), bytes(content[: place + 4]), b"\x7fELF" + junk):
        path = firmware / "damaged"
        path.write_bytes(damaged)
        try:
            image = read_linked_firmware(path)
        except InputError:
            continue
        assert image.flash_bytes >= 0


def _elf(code: bytes, functions: list[tuple[str, int, int]], kind: int = 1, flags: int = 6) -> bytes:
    """An executable of one section of code at 0x8000. functions: name, offset and size."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in functions)
    symbols, at = bytes(16), 1
    for name, offset, size in functions:
        symbols += struct.pack("<IIIBBH", at, 0x8001 + offset, size, 0x12, 0, 1)
        at += len(name) + 1
    section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    parts = [
        (1, kind, flags, 0x8000, code, 0, 0),
        (7, 2, 0, 0, symbols, 3, 16),
        (15, 3, 0, 0, names, 0, 0),
        (23, 3, 0, 0, section_names, 0, 0),
    ]
    heads, content = bytes(40), b""
    for name, kind_of, flags_of, address, held, link, entry in parts:
        size = len(held) if kind_of != 8 else 0xF0000000
        heads += struct.pack(
            "<10I", name, kind_of, flags_of, address, 52 + len(content), size, link, link // 3, 4, entry
        )
        content += held
    ends = struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 0, 52 + len(content), 0, 52, 32, 0, 40, len(parts) + 1, 4)
    return b"\x7fELF\x01\x01\x01" + bytes(9) + ends + content + heads


def test_functions_that_lie_on_each_other_are_read_once(tmp_path, monkeypatch):
    pytest.importorskip("elftools")
    code = bytes.fromhex("7047c046") * 1000
    path, looked = tmp_path / "x.elf", []
    path.write_bytes(_elf(code, [(f"f{k}", 2 * k, len(code) - 2 * k) for k in range(500)]))
    monkeypatch.setattr(linked_firmware, "references", lambda piece, at: looked.append(len(piece)) or ())
    image = read_linked_firmware(path)
    assert sum(looked) == len(code)
    assert image.functions[0x8000].reaches == {0x8002}  # it runs on into the next
    assert image.functions[0x8000].size_bytes == len(code)


def test_sections_without_end_are_not_read(tmp_path):
    """A file without a number of sections in its head has it in the first, with 32 bits."""
    pytest.importorskip("elftools")
    content = bytearray(_elf(b"G" * 64, [("main", 0, 64)]))
    [heads] = struct.unpack_from("<I", content, 32)
    struct.pack_into("<H", content, 48, 0)
    struct.pack_into("<I", content, heads + 20, 2**32 - 1)
    path = tmp_path / "x.elf"
    path.write_bytes(content)
    with pytest.raises(InputError, match="4,294,967,295 sections"):
        read_linked_firmware(path)


def test_code_that_is_not_stored_is_not_read(tmp_path):
    """3.8 GiB of zeros, says the file."""
    pytest.importorskip("elftools")
    path = tmp_path / "x.elf"
    path.write_bytes(_elf(b"", [("main", 0, 16)], kind=8))
    assert read_linked_firmware(path).functions[0x8000].reaches == frozenset()


def test_objects_are_what_has_bytes_and_is_stored_and_aliases_count_once(tmp_path):
    pytest.importorskip("elftools")
    path = tmp_path / "x.elf"
    named = [("main", 0, 16), ("label", 4, 0), ("next", 16, 8), ("alias", 16, 8)]
    path.write_bytes(_elf(bytes(24), named))
    objects = read_linked_firmware(path).pieces
    assert [(each.name, each.size_bytes) for each in objects] == [("main", 16), ("next", 8)]
    path.write_bytes(_elf(b"", named, kind=8))  # nothing of it is stored
    assert read_linked_firmware(path).pieces == ()


def test_a_map_of_more_than_any_chip_has_is_refused(tmp_path):
    path = tmp_path / "x.map"
    path.write_text(f"Linker script and memory map\n.text 0x0 0x{'f' * 5000}\n", encoding="utf-8")
    with pytest.raises(InputError, match="more than 1 TiB"):
        read_linked_firmware(path)


def test_an_image_that_registers_thousands_is_not_followed():
    functions = {at: Function(f"_ZN6tflite12Register_OP{at}Ev", 2, frozenset({at + 1}) & {5000}) for at in range(5000)}
    assert serving(functions) == {}
