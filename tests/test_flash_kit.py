"""Projects for boards: each builds without a warning, and in emulation prints the log that calibrate takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import run
from lanes import QemuLane, write_files

from mcusim.firmware.kits import KIT_RUNS
from mcusim.simulation.emission import codegen, flash_kit

BOARDS = ("stm32f746", "stm32h743", "stm32l4r5", "nrf52840")
needs_gcc = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc here")
needs_qemu = pytest.mark.skipif(not QemuLane("cortex-m4").is_there, reason="no gcc for Arm or QEMU here")


def made(folder: Path, *words: str) -> Path:
    code, out, err = run("flash-kit", *words, "-o", str(folder))
    assert (code, err) == (0, ""), err
    assert "`make flash`" in out
    return folder


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("log", ["serial", "semihosting"])
@pytest.mark.parametrize("board", BOARDS)
def test_every_kit_builds_without_a_warning(tmp_path: Path, board: str, log: str) -> None:
    """For the board's own memories: the vector table lies at the start of its flash, and the stack ends its RAM."""
    write_files(flash_kit("smallcifar", profile=board, name="small").files, tmp_path)
    strict = "WARNING=-Wall -Wextra -Werror -Wundef -Wshadow"
    done = subprocess.run(["make", "-s", strict, f"LOG={log}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    script = (tmp_path / "small.ld").read_text()
    flash, ram, length = (
        int(re.search(pattern, script)[1], 0)  # type: ignore[index]
        for pattern in (r"FLASH .*ORIGIN = (\w+)", r"RAM .*ORIGIN = (\w+)", r"RAM .*LENGTH = (\d+)")
    )
    dumped = subprocess.run(
        ["arm-none-eabi-objdump", "-s", "--start-address", hex(flash), "--stop-address", hex(flash + 8), "small.elf"],
        cwd=tmp_path / "build",
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    words = re.search(rf"^ {flash:x} (\w{{8}}) (\w{{8}})|^ {flash:04x} (\w{{8}}) (\w{{8}})", dumped, re.MULTILINE)
    assert words is not None
    top, reset = (int.from_bytes(bytes.fromhex(word), "little") for word in words.groups() if word)
    assert top == ram + length
    assert flash < reset < flash + (1 << 21)
    assert reset % 2 == 1, "thumb code"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here")
@needs_gcc
def test_cmake_builds_it_too(tmp_path: Path) -> None:
    write_files(flash_kit("smallcifar", profile="nrf52840", name="small").files, tmp_path)
    set_up = ["cmake", "-B", "build", "-DCMAKE_C_COMPILER=arm-none-eabi-gcc"]
    for command in (set_up, ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "small.elf").is_file()


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize(
    ("board", "network", "schedule"),
    [("stm32f746", "smallcifar", "patch:2x2@3"), ("nrf52840", "person-det", "stream:2@6")],
)
def test_calibrate_takes_the_log_that_a_kit_prints(tmp_path: Path, board: str, network: str, schedule: str) -> None:
    """In QEMU, which counts instructions. The outputs are those that mcusim executes."""
    kit = made(tmp_path / "kit", network, "--profile", board, "--schedule", schedule, "--name", "kit")
    done = subprocess.run(["make", "-s", "emulate"], cwd=kit, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as predicted") == KIT_RUNS
    assert done.stdout.endswith("# done\n")
    log, own = tmp_path / "layers.csv", tmp_path / "own.json"
    log.write_text(done.stdout)
    totals = [int(total) for total in re.findall(r"^all,total,(\d+)$", done.stdout, re.MULTILINE)]
    layers = [int(line) for line in re.findall(r"^\d+,[A-Z0-9_]+,(\d+)$", done.stdout, re.MULTILINE)]
    assert sum(layers) == sum(totals) > 0
    asked = ("--model", network, "--profile", board, "--runtime", "mcusim", "--schedule", schedule)
    code, out, err = run("calibrate", str(log), *asked, "-o", str(own))
    assert (code, err) == (0, ""), err
    assert network in out
    code, out, _ = run("run", network, *asked[2:], "--calibration", str(own), "--json", "-")
    assert code == 0
    clock_hz = json.loads(out)["profile"]["clock_hz"]
    measured_ms = 1000 * totals[1] / clock_hz
    assert json.loads(out)["latency"]["ms"] == pytest.approx(measured_ms, rel=0.1)


@pytest.mark.slow
@needs_qemu
def test_outputs_that_were_not_predicted_are_told(tmp_path: Path) -> None:
    files = dict(flash_kit("smallcifar", profile="stm32f746", name="small").files)
    files["main.c"] = files["main.c"].replace("drawn = 1;", "drawn = 2;")
    write_files(files, tmp_path)
    done = subprocess.run(
        ["make", "-s", "emulate"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "was predicted" in done.stdout
    assert "# failed" in done.stdout


@pytest.mark.slow
def test_an_input_for_which_no_ram_is_left_lies_in_flash() -> None:
    files = flash_kit("mcunet-in0", profile="nrf52840", schedule="patch:2x2@5", input_place="external").files
    assert "static uint8_t input_0" in files["main.c"]
    roomy = flash_kit("mbv2-w0.35-r144", profile="nrf52840", schedule="auto", input_place="external").files
    assert "static const uint8_t input_0" in roomy["main.c"]


def test_the_network_is_the_one_that_codegen_writes() -> None:
    kit = flash_kit("smallcifar", profile="stm32f746", name="small").files
    plain = codegen("smallcifar", profile="stm32f746", name="small").files
    same = {path for path in plain if path.endswith((".c", ".h", ".json", ".ld"))}
    assert all(kit[path] == plain[path] for path in same)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["smallcifar", "--profile", "stm32f412"], "there is no kit for stm32f412; name one of stm32f746"),
        (["smallcifar", "--profile", "stm32f746", "--name", "int"], "it is a keyword of C"),
        (["mbv2-w1.0-r224", "--profile", "stm32f746"], "bytes of SRAM under schedule 'layer', and there are"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    folder = tmp_path / "kit"
    code, out, err = run("flash-kit", *words, "-o", str(folder))
    assert (code, out) == (2, "")
    assert sentence in err
    assert not folder.exists()
