"""The C of a network as it is built: the predicted RAM, weights, code and stack, beside another, in a section."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from lanes import HostLane, QemuLane, expected_steps, write_files
from strategies import inputs_for

from mcusim.firmware.emit import STACK_BOUND_BYTES, sources
from mcusim.schedule import parse_schedule
from mcusim.simulation.emission import codegen, network_of, seeded
from mcusim.zoo.loading import load

HOST = HostLane()
QEMU = {core: QemuLane(core) for core in ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m3")}
needs_host = pytest.mark.skipif(not HOST.is_there, reason="no gcc on this machine")
needs_qemu = pytest.mark.skipif(
    not QEMU["cortex-m4"].is_there, reason="no arm-none-eabi-gcc or qemu-system-arm on this machine"
)


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@3", "stream:2@3"])
def test_ram_and_weights_are_what_the_report_says(tmp_path: Path, schedule: str) -> None:
    """`.data` and `.bss` of the network are its SRAM to the byte; the sizes of its arrays are the ledger's."""
    made = codegen("smallcifar", profile="stm32f746", schedule=schedule, name="small")
    write_files(made.files, tmp_path)
    subprocess.run(["make", "-s", "build/small.o"], cwd=tmp_path, check=True, capture_output=True)
    listed = subprocess.run(
        ["arm-none-eabi-size", "-A", "build/small.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    sizes = {line.split()[0]: int(line.split()[1]) for line in listed.splitlines() if re.match(r"\.\S+ +\d+", line)}
    ram = sum(size for name, size in sizes.items() if name.startswith((".data", ".bss")))
    assert ram == made.report.sram.peak_bytes
    header = made.files["small.h"]
    assert f"SMALL_ARENA_BYTES {made.report.sram.peak_bytes}\n" in header
    assert f"SMALL_STORED_BYTES {made.report.flash.model_bytes}\n" in header
    symbols = subprocess.run(
        ["arm-none-eabi-nm", "-S", "build/small.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    stored = sum(
        int(line.split()[1], 16)
        for line in symbols.splitlines()
        if re.search(r" small_\d+_(weights|scale|shift|table|exponentials)$", line)
    )
    assert stored == made.report.flash.model_bytes


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mbv2-w0.35-r144", ""),
        ("mcunet-vww1", ""),
        ("mcunet-vww0", ""),
        ("resnet8", "mlperf_ic01_resnet8_int8"),
        ("kws", "mlperf_kws01_dscnn_int8"),
        ("a layer of it needs 64 bits", "tinymaix_mbnet128_025_q"),
    ],
)
def test_code_is_as_large_as_was_predicted(tmp_path: Path, corpus: Path, name: str, file: str) -> None:
    """Code and constants but those that the ledger stores, built as the Makefile does, within 5 %."""
    graph = load(str(corpus / "models" / f"{file}.tflite") if file else name)
    made = codegen(graph, profile="stm32h743", name="net")
    write_files(made.files, tmp_path)
    subprocess.run(["make", "-s", "build/net.o"], cwd=tmp_path, check=True, capture_output=True)
    listed = subprocess.run(
        ["arm-none-eabi-size", "-A", "build/net.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    kept = sum(int(size) for size in re.findall(r"^\.(?:text|rodata)\S* +(\d+)", listed, re.MULTILINE))
    assert made.report.flash.model_bytes is not None
    assert made.report.flash.code_bytes == pytest.approx(kept - made.report.flash.model_bytes, rel=0.05)


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m3"])
@pytest.mark.parametrize(("name", "schedule"), [("smallcifar", "layer"), ("proxyless-w0.3-r64", "patch:2x2@9")])
def test_the_stack_stays_within_its_bound(name: str, schedule: str, core: str) -> None:
    graph = seeded(load(name), 0)
    network, _ = network_of(graph, parse_schedule(schedule), "net")
    made = sources(network)
    taken = QEMU[core].stack_bytes(made.files, "net", inputs_for(graph, 0))
    assert 0 < taken <= STACK_BOUND_BYTES


@pytest.mark.slow
@needs_qemu
def test_the_linker_refuses_what_does_not_fit(tmp_path: Path) -> None:
    made = codegen("smallcifar", profile="stm32f746", name="small")
    write_files(made.files, tmp_path)
    assert subprocess.run(["make", "-s", "link"], cwd=tmp_path, capture_output=True).returncode == 0
    script = tmp_path / "small.ld"
    least = made.report.sram.peak_bytes - 1
    script.write_text(re.sub(r"(RAM .*LENGTH = )\d+", rf"\g<1>{least}", script.read_text()))
    assert subprocess.run(["make", "-s", "link"], cwd=tmp_path, capture_output=True).returncode != 0


def test_prediction_is_the_report() -> None:
    made = codegen("smallcifar", profile="stm32f746", name="small")
    assert json.loads(made.files["prediction.json"]) == made.report.to_dict()


@pytest.mark.slow
@needs_host
def test_two_networks_live_in_one_program(tmp_path: Path) -> None:
    """Every symbol has the network's name before it."""
    for name in ("first", "second"):
        write_files(codegen("smallcifar", profile="stm32f746", name=name).files, tmp_path / name)
    main = '#include "first/first.h"\n#include "second/second.h"\n'
    main += "int main(void) { return first_init() + second_init(); }\n"
    (tmp_path / "main.c").write_text(main)
    command = ["gcc", "-std=c99", "main.c", "first/first.c", "second/second.c", "-o", "both"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert subprocess.run([tmp_path / "both"]).returncode == 0


@pytest.mark.slow
@needs_host
@pytest.mark.parametrize("name", ["mcu_conv", "MCU", "MCU_kws", "mcusim_own", "Q", "net_H", "x" * 40])
def test_a_name_prefixes_every_symbol_whatever_it_begins_with(tmp_path: Path, name: str) -> None:
    write_files(codegen("smallcifar", profile="stm32f746", name=name).files, tmp_path)
    upper = name.upper()
    main = (
        f'#include "{name}.h"\n'
        f"unsigned char mine[{upper}_ARENA_BYTES] __attribute__((aligned(4)));\n"
        f"int main(void) {{ return {name}_init() || {name}_invoke() || !{name}_input(0) || "
        f"!{name}_output({upper}_OUTPUTS - 1); }}\n"
    )
    (tmp_path / "the_main.c").write_text(main)
    command = ["gcc", "-std=c99", f"-D{upper}_ARENA=mine", "the_main.c", f"{name}.c", "-o", "the_main"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert subprocess.run([tmp_path / "the_main"]).returncode == 0
    listed = subprocess.run(["nm", "-g", "--defined-only", "the_main"], cwd=tmp_path, capture_output=True, text=True)
    own = {f"{name}_{part}" for part in ("init", "input", "set_input", "invoke", "output")}
    assert own <= {line.split()[-1] for line in listed.stdout.splitlines()}


@pytest.mark.slow
@needs_host
def test_another_array_may_be_the_arena(tmp_path: Path) -> None:
    made = codegen("smallcifar", profile="stm32f746", name="small")
    write_files(made.files, tmp_path)
    main = (
        '#include "small.h"\nunsigned char mine[SMALL_ARENA_BYTES] __attribute__((aligned(4)));\n'
        "int main(void) { unsigned char *in = small_input(0);\n"
        "return small_init() || in < mine || in >= mine + sizeof mine || small_input(1) || small_output(-1); }\n"
    )
    (tmp_path / "main.c").write_text(main)
    command = ["gcc", "-std=c99", "-DSMALL_ARENA=mine", "main.c", "small.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert subprocess.run([tmp_path / "main"]).returncode == 0
    assert "small_arena" not in subprocess.run(["nm", tmp_path / "main"], capture_output=True, text=True).stdout


@pytest.mark.slow
@needs_host
@pytest.mark.parametrize("schedule", ["layer", "stream:2@3"])
def test_the_arena_may_lie_in_a_section_of_its_own(tmp_path: Path, schedule: str) -> None:
    """All RAM of the network lies there, to the byte, and nothing is left elsewhere; it computes what it did."""
    made = codegen("smallcifar", profile="stm32f746", schedule=schedule, name="small")
    write_files(made.files, tmp_path)
    command = ["gcc", "-std=c99", "-O1", '-DSMALL_ARENA_SECTION=".fast_memory"', "-c", "small.c", "-o", "small.o"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    listed = subprocess.run(["objdump", "-h", "small.o"], cwd=tmp_path, check=True, capture_output=True, text=True)
    sizes = {row[1]: int(row[2], 16) for row in map(str.split, listed.stdout.splitlines()) if len(row) == 7}
    assert sizes[".fast_memory"] == made.report.sram.peak_bytes
    # The host's own pointers to external inputs are longer than those of the board, and lie outside.
    assert sizes[".data"] + sizes[".bss"] <= 8 * len(made.report.layers)
    graph = seeded(load("smallcifar"), 0)
    network, _ = network_of(graph, parse_schedule(schedule), "small")
    inputs = inputs_for(graph, 0)
    text = made.files["small.c"].replace(
        "#define MCU_MODES", '#define SMALL_ARENA_SECTION ".fast_memory"\n#define MCU_MODES'
    )
    shown = HOST.run({**made.files, "small.c": text}, "small", inputs)
    assert shown == list(expected_steps(graph, network.program, inputs))
