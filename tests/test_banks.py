"""Memory banks: what lies where, what does not fit although the total would, and counting by other rules."""

from __future__ import annotations

import msgspec
import pytest
from commands import document_of, run
from rich.cells import cell_len

import mcusim
from mcusim.boards import BankKind, MemoryBank, load_board
from mcusim.boards.board import total_bytes
from mcusim.errors import ProfileError, RuntimeNameError, ScheduleError
from mcusim.memory.banks import _run_use, bank_uses, beyond_end, moved_bytes, spread_out
from mcusim.memory.counting import count_as, find_counting
from mcusim.memory.planning import plan_memory
from mcusim.render.banks import bank_lines, bank_table
from mcusim.render.text import UNICODE

H743, F746 = load_board("stm32h743"), load_board("stm32f746")


def with_external(board, bytes_per_second=None):
    bank = MemoryBank(
        name="SDRAM", address=0xC000_0000, size_bytes=8 << 20, kind=BankKind.EXTERNAL, bytes_per_second=bytes_per_second
    )
    return msgspec.structs.replace(board, memory=(*board.memory, bank))


def test_a_buffer_may_lie_across_banks():
    report = mcusim.simulate("mcunet-in3", profile="stm32f746")
    dtcm, sram1, sram2, itcm = report.sram.banks
    assert [bank.name for bank in report.sram.banks] == ["DTCM", "SRAM1", "SRAM2", "ITCM"]
    assert dtcm.used_bytes + sram1.used_bytes + sram2.used_bytes == report.sram.peak_bytes
    assert dtcm.used_bytes == dtcm.size_bytes
    assert "mbconv_3/expand" in dtcm.buffers
    assert "mbconv_3/expand" in sram1.buffers
    assert not itcm.in_run
    assert itcm.used_bytes == 0


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tflm", "tinyengine", "tflm-cmsis-nn"])
def test_what_the_runtime_keeps_lies_on_top(runtime):
    """Above the arena and what is held beside it, at the end of the last bank that the network needs."""
    plan = plan_memory(mcusim.load("mcunet-in3"), runtime)
    *_, kept = plan.tenants()
    assert 0 <= plan.total_bytes - max(tenant.top_bytes for tenant in plan.tenants()) < 16  # aligned
    if plan.persistent.size_bytes:
        assert (kept.name, kept.offset_bytes) == ("persistent", plan.arena_bytes + plan.held_bytes)
        report = mcusim.simulate("mcunet-in3", profile="stm32f746", runtime=runtime)
        *full, last = [bank for bank in report.sram.banks if bank.in_run and bank.used_bytes]
        assert full
        assert "persistent" in last.buffers
        assert not any("persistent" in bank.buffers for bank in full)


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-in4", "person-det", "proxyless-mobile-r224"])
@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
@pytest.mark.parametrize("board", [H743, F746], ids=lambda board: board.name)
def test_every_byte_lies_in_one_bank(name, runtime, board):
    plan = plan_memory(mcusim.load(name), runtime)
    uses = bank_uses(board, plan.tenants(), plan.total_bytes)
    assert sum(use.used_bytes + use.over_bytes for use in uses) == plan.total_bytes
    for tenant in plan.tenants():
        inside = sum(size for use in uses for other, size in use.tenants if other.index == tenant.index)
        over = max(tenant.top_bytes - max(total_bytes(board.arena_run), tenant.offset_bytes), 0)
        assert inside + over == tenant.size_bytes


def test_what_does_not_fit_although_the_total_would():
    document = document_of("plan", "mcunet-in4", "--runtime", "tflm", "--profile", "stm32h743")
    assert H743.sram_budget_bytes < document["total_bytes"] <= H743.sram_bytes
    assert not document["spread"]["fits"]
    assert document["spread"]["left"] == [{"name": "mbconv_3/expand", "bytes": 307_200}]
    report = mcusim.simulate("mcunet-in4", profile="stm32h743", runtime="tflm")
    assert report.sram.fits is False
    assert any("all banks of stm32h743 together have 1,015,808 bytes" in warning for warning in report.warnings)
    assert report.sram.banks[0].used_bytes == report.sram.peak_bytes
    _, out, _ = run("plan", "mcunet-in4", "--runtime", "tflm", "--profile", "stm32h743")
    assert "no piece has room for it" in " ".join(out.split())


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-in4", "person-det", "proxyless-mobile-r224"])
@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_a_spread_loses_nothing_and_keeps_to_the_banks(name, runtime):
    plan = plan_memory(mcusim.load(name), runtime)
    for board in (H743, F746, with_external(F746)):
        spread = spread_out(plan, board)
        placed = [pair for run_use in spread.runs for pair in run_use.buffers]
        named = sorted(name for joined, _ in (*placed, *spread.left) for name in joined.split(" > "))
        assert named == sorted(t.name for t in plan.tenants() if t.size_bytes)
        assert all(run_use.used_bytes <= run_use.size_bytes for run_use in spread.runs)


def test_two_banks_where_one_is_too_small():
    """Each of two tensors fits a bank, both together fit none."""
    board = msgspec.structs.replace(
        F746,
        memory=tuple(
            MemoryBank(name=name, address=address, size_bytes=24_000, kind=BankKind.SRAM)
            for name, address in (("A", 0x2000_0000), ("B", 0x3000_0000))
        ),
    )
    b = mcusim.GraphBuilder("two")
    plan = plan_memory(b.build([b.conv_2d(b.input((1, 64, 64, 4)), 4, kernel=1)]), "tinyengine")
    assert plan.arena_bytes == 2 * 16_384 > board.sram_budget_bytes
    spread = spread_out(plan, board)
    assert spread.fits
    assert [len(run_use.buffers) > 0 for run_use in spread.runs] == [True, True]


def test_external_memory_has_a_cost():
    plan = plan_memory(mcusim.load("mcunet-in3"), "tflm")
    slow, unknown = with_external(F746, 10_000_000), with_external(F746)
    spread = spread_out(plan, slow)
    assert spread.fits
    external = spread.runs[-1]
    assert external.is_external
    assert 0 < external.moved_bytes <= sum(moved_bytes(plan.program).values())
    assert external.seconds == pytest.approx(external.moved_bytes / 10_000_000)
    assert spread_out(plan, unknown).runs[-1].seconds is None


def test_moved_bytes_of_one_layer():
    b = mcusim.GraphBuilder("one")
    graph = b.build([b.conv_2d(b.input((1, 8, 8, 4)), 8, kernel=1)])
    assert sum(moved_bytes(plan_memory(graph, "tflm").program).values()) == 8 * 8 * (4 + 8)


# ---------------------------------------------------------------------------------------------------------------------
# --bank


def test_the_arena_in_one_bank():
    board = H743.with_banks(("dtcm",))
    assert board.sram_budget_bytes == 128 * 1024
    assert H743.with_banks(("SRAM1", "sram2")).sram_budget_bytes == 256 * 1024
    assert H743.with_banks(("SRAM1", "SRAM4")).sram_budget_bytes == 128 * 1024
    with pytest.raises(ProfileError, match="it has no bank 'dram'"):
        H743.with_banks(("dram",))
    code, out, _ = run("run", "mcunet-in3", "--profile", "stm32h743", "--bank", "dtcm,sram1", "--layers", "none")
    assert code == 0
    assert "DOES NOT FIT" in out


def test_the_table_of_a_report_knows_what_is_reserved():
    """The end of the arena's run: what reaches into it does not fit, and the bank says so."""
    board = msgspec.structs.replace(F746, reserved_bytes=20_000)
    report = mcusim.simulate("mcunet-vww1", profile=board, runtime="tinyengine")
    run = [bank for bank in report.sram.banks if bank.in_run]
    assert sum(bank.reserved_bytes for bank in run) == 20_000
    assert run[-1].reserved_bytes == min(20_000, run[-1].size_bytes)
    assert "KiB reserved" in "\n".join(line.plain for line in bank_table(report.sram.banks, 120, UNICODE))


def test_what_is_reserved_stays_where_it_was():
    board = msgspec.structs.replace(H743, reserved_bytes=100_000)
    assert board.sram_budget_bytes == 524_288 - 100_000
    assert board.with_banks(("AXI",)).sram_budget_bytes == 524_288 - 100_000
    assert board.with_banks(("SRAM1",)).sram_budget_bytes == 131_072
    with pytest.raises(ProfileError, match="has no more"):
        msgspec.structs.replace(F746, reserved_bytes=20_000).with_banks(("SRAM2",))


def test_an_arena_in_external_memory_is_told():
    board = with_external(F746, 80_000_000).with_banks(("SDRAM",))
    report = mcusim.simulate("mcunet-in4", profile=board, runtime="tflm")
    assert report.sram.fits
    (warning,) = [warning for warning in report.warnings if "external memory" in warning]
    assert "ms more" in warning
    board = with_external(F746).with_banks(("SDRAM",))
    report = mcusim.simulate("mcunet-in4", profile=board, runtime="tflm")
    assert any("is not known" in warning for warning in report.warnings if "external" in warning)


# ---------------------------------------------------------------------------------------------------------------------
# --convention


@pytest.mark.parametrize(
    ("name", "total", "basis"),
    [
        ("io", 247_808, "derived"),
        ("live", 247_808, "derived"),
        ("act", 340_736, "derived"),
        ("mcunetv2", 247_808, "derived"),
        ("table4", 247_808 + 30_976 + 17_672, "calibrated"),
        ("zoo-2020", 247_808 + 30_976 + 17_672 + 864 + 2_765, "calibrated"),
    ],
)
def test_a_convention_counts_instead_of_the_runtime(name, total, basis):
    report = mcusim.simulate("mcunet-in3", profile="stm32f746", convention=name)
    assert report.sram.peak_bytes == total
    assert report.sram.arena_bytes + report.sram.scratch_bytes + report.sram.persistent_bytes == total
    assert (report.convention.name, report.convention.basis, report.sram.basis) == (name, basis, basis)
    assert sum(part.bytes for part in report.convention.parts) == total
    assert report.convention.what
    assert report.sram.fits is (total <= 327_680)
    assert report.runtime.name == "tinyengine"
    assert any(f"counted as {name}" in warning and "266,344" in warning for warning in report.warnings)


def test_another_runtime_counts():
    own = mcusim.simulate("mcunet-in3", profile="stm32h743", runtime="tflm")
    report = mcusim.simulate("mcunet-in3", profile="stm32h743", runtime="tinyengine", convention="tflm")
    assert report.sram == own.sram
    assert report.convention.name == "tflm"
    assert report.latency == mcusim.simulate("mcunet-in3", profile="stm32h743").latency
    assert mcusim.simulate("mcunet-in3", profile="stm32h743", convention="tinyengine").warnings == (
        mcusim.simulate("mcunet-in3", profile="stm32h743").warnings
    )


def test_conventions_by_name():
    with pytest.raises(RuntimeNameError, match="did you mean 'table4'"):
        find_counting("tabel4")
    with pytest.raises(ScheduleError, match="layer by layer"):
        mcusim.simulate("mcunet-in3", profile="stm32f746", convention="act", schedule="patch:2x2@5")
    code, out, err = run("run", "mcunet-in3", "--profile", "stm32f746", "--convention", "zoo2020")
    assert (code, out) == (2, "")
    assert "did you mean 'zoo-2020'" in err


@pytest.mark.slow
def test_the_report_shows_the_ledger():
    _, out, _ = run("run", "mcunet-in3", "--profile", "stm32f746", "--convention", "table4", "--layers", "none")
    assert "SRAM as table4 counts it: io + largest shortcut + im2col" in out
    assert "the largest block input with a shortcut" in out
    assert "DTCM" in out


def test_parts_of_a_sum_fall_into_three():
    counted = count_as(find_counting("zoo-2020"), mcusim.load("mcunet-in3"))
    assert counted.arena_bytes == 247_808 + 30_976
    assert counted.scratch_bytes == 17_672 + 864
    assert counted.persistent_bytes == 2_765


# ---------------------------------------------------------------------------------------------------------------------
# What the tables say


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-in4", "person-det"])
@pytest.mark.parametrize("board", [H743, F746], ids=lambda board: board.name)
def test_buffers_beyond_the_end_are_named(name, board):
    plan = plan_memory(mcusim.load(name), "tflm")
    beyond = {tenant.index: size for tenant, size in beyond_end(board, plan.tenants())}
    for tenant in plan.tenants():
        over = range(max(tenant.offset_bytes, board.sram_budget_bytes), tenant.top_bytes)
        assert beyond.get(tenant.index, 0) == len(over)
    assert bool(beyond) is (plan.total_bytes > board.sram_budget_bytes)
    document = document_of("plan", name, "--runtime", "tflm", "--profile", board.name)
    assert sum(part["bytes"] for part in document["banks"][-1]["beyond"]) == sum(beyond.values())


def test_a_buffer_beyond_the_end_is_told_with_its_steps():
    code, out, _ = run("plan", "mcunet-in4", "--runtime", "tflm", "--profile", "stm32h743", "--buffers", "none")
    assert code == 0
    text = " ".join(out.split())
    assert "! Beyond the end of that piece: mbconv_3/expand (134.7 of 300.0 KiB, steps 7-8), persistent (all of" in text


@pytest.mark.parametrize("width", [30, 44, 60, 80, 120, 200])
def test_names_of_buffers_are_kept_in_any_width(width):
    plan = plan_memory(mcusim.load("mcunet-in3"), "tinyengine")
    lines = bank_lines(plan, F746, bank_uses(F746, plan.tenants(), plan.total_bytes), width, UNICODE)
    assert all(cell_len(line.plain) <= width for line in lines)
    assert "".join(line.plain for line in lines).replace(" ", "").count("mbconv_3/expand") == 2


def test_banks_that_hold_nothing_are_not_used() -> None:
    use = _run_use(H743.arena_run, [])
    assert (use.used_bytes, use.moved_bytes) == (0, 0)
