"""Code in flash, operator by operator: from tables without an image, and from what an image links."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from commands import document_of, run
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim.memory.flash import flash_ledger
from mcusim.memory.linkage import Function, registered, serving
from mcusim.memory.linked_code import linked_items, unit_operators
from mcusim.memory.linked_firmware import LinkedFirmware, LinkedObject, read_linked_firmware
from mcusim.memory.thumb import references, words
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.code_sizes import function_bytes, host_scale, linked_operator_names, network_code
from mcusim.runtimes.tflm import BENCHMARKED, REFERENCE
from mcusim.runtimes.tflm_cmsis_nn import OPTIMISED

TABLES = Path(mcusim.__file__).parent / "runtimes" / "data" / "code_sizes"
KIB = 1024


def rows(name: str) -> list[tuple[str, int, set[str]]]:
    lines = [line for line in (TABLES / name).read_text().splitlines() if not line.startswith("#")]
    return [(row["function"], int(row["bytes"]), set(row["operators"].split())) for row in csv.DictReader(lines)]


DSP, HOST = rows("dsp.csv"), rows("host.csv")
ARM = [row for row in rows("arm.csv") if row[0] not in {name for name, _, _ in DSP}] + [row for row in DSP if row[1]]
OPERATORS = sorted({op for _, _, ops in ARM for op in ops} - {"*"})


def code_of(operators, kernels) -> int:
    return sum(item.size_bytes or 0 for item in network_code(frozenset(operators), kernels))


# ---------------------------------------------------------------------------------------------------------------------
# Without an image


@pytest.mark.parametrize(("runtime", "published_kib"), [("tflm", (96.7, 96.9)), ("tflm-cmsis-nn", (111.7, 114.9))])
@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-vww1"])
def test_published_totals_are_met_by_operators_interpreter_and_application(runtime, published_kib, name):
    graph = mcusim.load(name)
    assert linked_operator_names(graph) == BENCHMARKED
    ledger = flash_ledger(graph, RUNTIMES[runtime])
    assert ledger.code_bytes == sum(item.size_bytes for item in ledger.code)
    low, high = published_kib
    assert (low - 0.1) * KIB <= ledger.code_bytes <= (high + 0.1) * KIB
    assert all(item.size_bytes > 0 for item in ledger.code)
    assert {item.name for item in ledger.code} >= BENCHMARKED | {"interpreter", "application"}


@pytest.mark.parametrize(
    ("model", "published_kib"),
    [
        ("mlperf_ad01_int8.tflite", 345.562),
        ("mlperf_kws01_dscnn_int8.tflite", 182.016),
        ("mlperf_vww01_mbv1_025_96_int8.tflite", 437.141),
    ],
)
def test_images_that_nothing_was_fitted_to(model, published_kib, corpus):
    """EdgeMark (2025), TFLM with CMSIS-NN at -O3 on STM32L4R5: text of whole programs for the same architectures.

    Their networks were trained anew, so their files may differ a little.
    """
    report = mcusim.simulate(corpus / "models" / model, profile="stm32l4r5", runtime="tflm-cmsis-nn")
    assert report.flash.total_bytes == pytest.approx(published_kib * KIB, rel=0.10)
    assert report.flash.basis is Basis.CALIBRATED


@given(st.sets(st.sampled_from(OPERATORS), min_size=1), st.sampled_from(OPERATORS))
def test_helpers_are_linked_once(operators, another):
    both, alone, more = (code_of(ops, OPTIMISED) for ops in ({*operators, another}, operators, {another}))
    least = code_of((), OPTIMISED)
    assert alone <= both <= alone + more - least
    naive = sum(size for _, size, ops in ARM if ops & ({*operators, another, "*"}))
    assert both - least == naive - sum(size for _, size, ops in ARM if "*" in ops)


def test_reference_kernels_are_scaled_from_the_other_machine():
    optimised = {op for function, _, ops in ARM if function for op in ops}
    both = {op for _, _, ops in ARM for op in ops} & {op for _, _, ops in HOST for op in ops}
    brought = [[sum(s for _, s, ops in table if op in ops) for op in both - optimised - {"*"}] for table in (ARM, HOST)]
    assert host_scale() == median(arm / host for arm, host in zip(*brought, strict=True))
    items = {item.name: item for item in network_code(frozenset({"CONV_2D", "PAD"}), REFERENCE)}
    assert (items["CONV_2D"].basis, items["PAD"].basis) == (Basis.CALIBRATED, Basis.MEASURED)
    assert items["CONV_2D"].size_bytes < sum(size for _, size, ops in HOST if "CONV_2D" in ops)


def test_a_kernel_that_no_image_told_is_named_and_not_guessed():
    items = {item.name: item for item in network_code(frozenset({"CONV_2D", "MY_OWN"}), OPTIMISED)}
    assert items["MY_OWN"].size_bytes is None
    graph = mcusim.load("mcunet-vww0")
    node = graph.nodes[0]
    own = replace(node, signature=replace(node.signature, op="CUSTOM:MyOwn"))
    stored = RUNTIMES["tflm"].flash(replace(graph, nodes=(own, *graph.nodes[1:])))
    assert "the code of MY_OWN is not known and comes on top" in stored.warning
    assert stored.code_bytes == RUNTIMES["tflm"].flash(graph).code_bytes


def test_functions_of_the_library_have_sizes_of_their_own():
    ledger = flash_ledger(mcusim.load("mcunet-in3"), RUNTIMES["tflm-cmsis-nn"])
    sizes = {kernel.name: kernel.size_bytes for kernel in ledger.kernels}
    assert (
        sizes["arm_convolve_s8"]
        == function_bytes("arm_convolve_s8")
        == next(s for f, s, _ in ARM if f == "arm_convolve_s8")
    )
    assert sizes["arm_pad_s8"] is None  # newer than the image
    assert function_bytes("arm_exp_on_negative_values_mve_32x4") is None  # of other cores
    assert function_bytes("reference CONV_2D") is None


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-vww0", "mbv2-w0.35-r144", "person-det"])
def test_tinyengines_kernels_and_the_rest_are_its_calibrated_sum(name):
    """62.6 to 65.5 KiB on the eight published MCUNet images, whichever kernels they call."""
    ledger = flash_ledger(mcusim.load(name), RUNTIMES["tinyengine"])
    sizes = {function: size for function, size, _ in rows("tinyengine.csv")}
    *kernels, application = ledger.code
    assert {k.name: k.size_bytes for k in kernels} == {k.name: sizes[k.name] for k in ledger.kernels if k.name in sizes}
    assert len(kernels) > 5
    assert (application.name, application.basis) == ("application", Basis.CALIBRATED)
    assert application.size_bytes > 30 * KIB
    assert ledger.code_bytes == sum(item.size_bytes for item in ledger.code)
    assert 62.6 * KIB <= ledger.code_bytes <= 65.5 * KIB


def test_the_plan_tells_the_items():
    flash = document_of("plan", "mcunet-vww1", "--runtime", "tflm-cmsis-nn")["flash"]
    assert sum(item["size_bytes"] for item in flash["code"]) == flash["code_bytes"]
    assert {item["basis"] for item in flash["code"]} == {"measured", "calibrated"}
    conv = next(item for item in flash["code"] if item["name"] == "CONV_2D")
    assert conv["functions"]["arm_convolve_s8"] < conv["size_bytes"]
    code, out, _ = run("plan", "mcunet-vww1", "--runtime", "tflm", "--buffers", "none")
    assert code == 0
    assert "interpreter" in out
    assert "scaled from an image for x86-64" in out


# ---------------------------------------------------------------------------------------------------------------------
# Machine code


def halves(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


@pytest.mark.parametrize(
    ("code", "address", "target"),
    [
        (halves(0xF00B, 0xFDBC), 0x1EAE0, 0x2A65C),  # bl, as objdump reads it
        (halves(0xF7F0, 0xFB48), 0x39FC8, 0x2A65C),
        (halves(0xE002), 0x5799C, 0x579A4),  # b.n
        (halves(0xD023), 0x1EB04, 0x1EB4E),  # beq.n
    ],
)
def test_branches_lead_where_binutils_says(code, address, target):
    assert list(references(code, address)) == [target]


def branch(offset: int, link: bool) -> bytes:
    """bl or b.w, encoded as the manual tells (A7.7.18, A7.7.12). offset: from the instruction's address + 4."""
    bits = (offset >> 1) & 0xFFFFFF
    sign, i1, i2, imm10, imm11 = bits >> 23, bits >> 22 & 1, bits >> 21 & 1, bits >> 11 & 0x3FF, bits & 0x7FF
    j1, j2 = i1 ^ sign ^ 1, i2 ^ sign ^ 1
    return halves(0xF000 | sign << 10 | imm10, (0xD000 if link else 0x9000) | j1 << 13 | j2 << 11 | imm11)


@given(st.integers(-(1 << 23), (1 << 23) - 1), st.booleans(), st.integers(0, 1 << 28))
def test_every_wide_branch_is_read(halfwords, link, place):
    assert list(references(branch(2 * halfwords, link), 2 * place)) == [2 * place + 4 + 2 * halfwords]


@given(st.integers(-(1 << 19), (1 << 19) - 1), st.integers(0, 15), st.integers(1 << 20, 1 << 28))
def test_every_conditional_wide_branch_is_read(halfwords, condition, place):
    """As the manual tells (A7.7.12, encoding T3); what would be conditions 14 and 15 are system instructions."""
    bits = halfwords & 0xFFFFF
    sign, j2, j1, imm6, imm11 = bits >> 19, bits >> 18 & 1, bits >> 17 & 1, bits >> 11 & 0x3F, bits & 0x7FF
    code = halves(0xF000 | sign << 10 | condition << 6 | imm6, 0x8000 | j1 << 13 | j2 << 11 | imm11)
    targets = [2 * place + 4 + 2 * halfwords] if condition < 14 else []
    assert list(references(code, 2 * place)) == targets


@given(st.integers(-128, 127), st.integers(0, 15), st.integers(1 << 8, 1 << 28))
def test_every_conditional_branch_of_one_halfword_is_read(halfwords, condition, place):
    """Encoding T1 (A7.7.12): conditions 14 and 15 are UDF and SVC."""
    targets = [2 * place + 4 + 2 * halfwords] if condition < 14 else []
    assert list(references(halves(0xD000 | condition << 8 | halfwords & 0xFF), 2 * place)) == targets


@given(st.integers(0, (1 << 32) - 1))
def test_an_address_in_two_halves_is_read(value):
    def half(base: int, part: int) -> bytes:
        return halves(base | part >> 12 | (part >> 11 & 1) << 10, (part >> 8 & 7) << 12 | 3 << 8 | part & 0xFF)

    assert list(references(half(0xF240, value & 0xFFFF) + half(0xF2C0, value >> 16), 0)) == [value]
    assert list(words(b"\0\0" + value.to_bytes(4, "little"), 2)) == [value]


@given(st.binary(max_size=60))
def test_any_bytes_are_read(code):
    assert all(isinstance(target, int) for target in references(code, 0x8000))


# ---------------------------------------------------------------------------------------------------------------------
# With an image

CONV, POOL = "_ZN6tflite16Register_CONV_2DEv", "_ZN6tflite5micro24Register_AVERAGE_POOL_2DEv"
INVOKE = "_ZN6tflite16MicroInterpreter6InvokeEv"


def test_operators_are_told_by_what_they_reach():
    functions = {
        0: Function("main", 10, frozenset({2, 4, 6})),
        2: Function(CONV, 20, frozenset({8, 12})),
        4: Function(POOL, 30, frozenset({12, 14})),
        6: Function(INVOKE, 40, frozenset({14})),
        8: Function("arm_convolve_s8", 50, frozenset({10})),
        10: Function("arm_nn_mat_mult", 60, frozenset({8})),  # a cycle
        12: Function("quantize", 70, frozenset()),
        14: Function("memcpy", 80, frozenset()),
    }
    both, runtime = frozenset({"CONV_2D", "AVERAGE_POOL_2D"}), frozenset({"*"})
    conv, pool = frozenset({"CONV_2D"}), frozenset({"AVERAGE_POOL_2D"})
    assert serving(functions) == {2: conv, 8: conv, 10: conv, 4: pool, 12: both, 6: runtime, 14: runtime}
    image = LinkedFirmware(
        "x.elf",
        "ELF file",
        1000,
        0,
        tuple(LinkedObject(f.name, f.size_bytes, True) for f in functions.values()),
        "ARM",
        functions,
    )
    sizes = {item.name: item.size_bytes for item in linked_items(image, frozenset({"CONV_2D", "SOFTMAX"}), 900)}
    assert sizes == {
        "CONV_2D": 20 + 50 + 60 + 70,
        "interpreter": 40 + 80,
        "other operators": 30,
        "everything else": 900 - 200 - 120 - 30,
    }


def test_names_that_register():
    assert registered(CONV) == "CONV_2D"
    assert registered("_ZN6tflite3ops5micro16Register_RESHAPEEv") == "RESHAPE"
    assert registered("_ZN6tflite9Register_main") is None
    assert registered("Register_CONV_2D") is None


def test_object_files():
    assert unit_operators("conv_common") == {"CONV_2D"}
    assert unit_operators("arm_depthwise_conv_s8_opt") == {"DEPTHWISE_CONV_2D"}
    assert unit_operators("micro_interpreter") == {"*"}
    assert unit_operators("main") == frozenset()


FIRMWARE_MAP = """
Linker script and memory map

.text           0x08000000     0x2000
 .text._ZN6tflite16Register_CONV_2DEv
                0x08000000       0x20 libtensorflow-microlite.a(conv.o)
 .text._ZN6tflite12_GLOBAL__N_1L8ConvEvalEP13TfLiteContextP10TfLiteNode
                0x08000020      0x400 libtensorflow-microlite.a(conv.o)
 .text._ZN6tflite11ConvPrepareEP13TfLiteContextP10TfLiteNode
                0x08000420      0x100 libtensorflow-microlite.a(conv_common.o)
 .text._ZN6tflite16Register_SOFTMAXEv
                0x08000520       0x20 build/kernels/softmax.cc.obj
 .text._ZN6tflite12_GLOBAL__N_111SoftmaxEvalEP13TfLiteContextP10TfLiteNode
                0x08000540      0x200 build/kernels/softmax.cc.obj
 .text._ZN6tflite16MicroInterpreter6InvokeEv
                0x08000740      0x300 libtensorflow-microlite.a(micro_interpreter.o)
 .text.main     0x08000a40       0x40 build/main.o
.debug_info     0x00000000     0x9999
"""


@pytest.fixture
def map_file(tmp_path):
    path = tmp_path / "firmware.map"
    path.write_text(FIRMWARE_MAP)
    return path


def test_a_map_file_gives_bytes_to_operators(map_file):
    sizes = {i.name: i.size_bytes for i in linked_items(read_linked_firmware(map_file), frozenset({"CONV_2D"}), 0x2000)}
    assert sizes == {
        "CONV_2D": 0x520,
        "interpreter": 0x300,
        "other operators": 0x220,
        "everything else": 0x2000 - 0x520 - 0x300 - 0x220,
    }


def test_an_operator_that_the_image_lacks_is_told(map_file):
    report = mcusim.simulate(
        "mcunet-vww0", profile="stm32h743", runtime="tflm", firmware=read_linked_firmware(map_file)
    )
    (warning,) = [w for w in report.warnings if "registers no" in w]
    assert "ADD, AVERAGE_POOL_2D, DEPTHWISE_CONV_2D" in warning
    assert "CONV_2D," not in warning.replace("DEPTHWISE_CONV_2D", "")
    code, out, _ = run("plan", "mcunet-vww0", "--runtime", "tflm", "--map", str(map_file), "--json", "-")
    assert code == 0
    names = [item["name"] for item in json.loads(out)["flash"]["code"]]
    assert names == ["CONV_2D", "interpreter", "other operators", "everything else"]


PROGRAM = """
namespace tflite {
struct Registration { void (*eval)(int); };
__attribute__((noinline)) static int helper(int n) { return n * 77 + 5; }
__attribute__((noinline, used)) static int mine(int n) { volatile int a[9]; a[n & 7] = helper(n); return a[n & 3] + n; }
volatile int sink;
__attribute__((noinline)) static void conv(int n) { sink = mine(n) + helper(n); }
__attribute__((noinline)) static void pool(int n) { sink = helper(n) / 3; }
__attribute__((noinline)) Registration Register_CONV_2D() { return {conv}; }
__attribute__((noinline)) Registration Register_AVERAGE_POOL_2D() { return {pool}; }
}
extern "C" __attribute__((used)) void _start() {
    tflite::Register_CONV_2D().eval(1);
    tflite::Register_AVERAGE_POOL_2D().eval(2);
}
"""


@pytest.mark.skipif(shutil.which("arm-none-eabi-g++") is None, reason="no arm-none-eabi-g++")
@pytest.mark.parametrize("options", [("-O2",), ("-Os",), ("-O2", "-mslow-flash-data")], ids=" ".join)
def test_an_image_for_arm_gives_bytes_to_operators(tmp_path, options):
    pytest.importorskip("elftools")
    (tmp_path / "main.cpp").write_text(PROGRAM)
    flags = ["-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-ffunction-sections", "-fno-exceptions", "-fno-ipa-sra"]
    command = ["arm-none-eabi-g++", *options, *flags, "-Wl,-Ttext=0x8000000", "-o", "a.elf", "main.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)
    image = read_linked_firmware(tmp_path / "a.elf")
    by_name = {function.name: function.size_bytes for function in image.functions.values()}

    def size(part: str) -> int:
        return next(size for name, size in by_name.items() if part in name)

    sizes = {i.name: i.size_bytes for i in linked_items(image, frozenset({"CONV_2D", "AVERAGE_POOL_2D"}), 1000)}
    assert sizes["CONV_2D"] == size("Register_CONV_2D") + size("4conv") + size("4mine")
    assert sizes["AVERAGE_POOL_2D"] == size("Register_AVERAGE") + size("4pool")
    assert sizes["shared by operators"] == size("6helper")
