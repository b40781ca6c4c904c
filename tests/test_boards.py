"""Boards: the facts of the built-in profiles, and what happens to a wrong file."""

from __future__ import annotations

import itertools
import pickle
import re
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.boards import (
    BankKind,
    Board,
    Caches,
    Core,
    Level,
    MemoryBank,
    all_boards,
    board_names,
    check_profile,
    load_board,
)
from mcusim.boards.profile_files import profile_template
from mcusim.errors import ProfileError

KIB = 1024
PROFILES = Path(__file__).resolve().parent.parent / "hardware_profiles"

# Budget of one arena in KiB, flash in KiB, clock in MHz, wait states.
# Source: device trees of Zephyr (memory), STM32Cube examples and drivers (wait states); MCUNetV2 and TinyEngine count
# 256 KiB for the F412, 320 for the F746 and 512 for the H743.
FACTS = {
    "stm32f410": (32, 128, 100, 3),
    "stm32f412": (256, 1024, 100, 3),
    "stm32f446": (128, 512, 180, 5),
    "stm32f746": (320, 1024, 216, 7),
    "stm32f767": (512, 2048, 216, 7),
    "stm32f769": (512, 2048, 216, 7),
    "stm32h743": (512, 2048, 480, 4),
    "stm32h747": (512, 2048, 400, 4),
    "stm32h7a3": (1024, 2048, 280, 6),
    "stm32l475": (96, 1024, 80, 4),
    "stm32l4r5": (640, 2048, 120, 5),
    "stm32u575": (768, 2048, 160, 4),
    "stm32u585": (768, 2048, 160, 4),
    "nrf52840": (256, 1024, 64, None),
}

GOOD = """\
name = "mine"
title = "My board"
core = "cortex-m4"
clock_hz = 100_000_000
default_model = "mcunet-vww0"

[[memory]]
name = "SRAM1"
address = 0x20000000
size_bytes = 131_072
kind = "sram"

[flash]
address = 0x08000000
size_bytes = 524_288
wait_states = 3
"""


def write(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", FACTS)
def test_facts(name: str) -> None:
    budget_kib, flash_kib, clock_mhz, wait_states = FACTS[name]
    board = load_board(name)
    assert board.sram_budget_bytes == budget_kib * KIB
    assert board.flash_bytes == flash_kib * KIB
    assert board.clock_hz == clock_mhz * 1_000_000
    assert board.flash.wait_states == wait_states


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_builtin_profile_is_sound_and_sourced(path: Path) -> None:
    board = load_board(path.stem)
    assert board.name == path.stem
    assert board == load_board(path)
    findings = check_profile(path)
    assert all(finding.level is Level.ADVICE for finding in findings)
    assert not [finding for finding in findings if "no source" in finding.what]
    for table in (board.caches, board.power, board.price):
        assert table is None or table.source or table == Caches()


def test_names_and_aliases_are_unique() -> None:
    names = [name for board in all_boards() for name in (board.name, *board.aliases)]
    assert len(names) == len(set(names))
    assert [board.name for board in all_boards()] == list(board_names())


def test_run_of_the_f746_joins_dtcm_and_sram() -> None:
    board = load_board("stm32f746")
    assert [bank.name for bank in board.arena_run] == ["DTCM", "SRAM1", "SRAM2"]
    assert "ITCM" in {bank.name for bank in board.memory}


def test_run_of_the_h743_is_its_axi_sram() -> None:
    board = load_board("stm32h743")
    assert [bank.name for bank in board.arena_run] == ["AXI"]
    assert board.sram_bytes == (128 + 512 + 128 + 128 + 32 + 64) * KIB


def test_l475_sram2_lies_elsewhere() -> None:
    board = load_board("stm32l475")
    assert (board.sram_budget_bytes, board.sram_bytes) == (96 * KIB, 128 * KIB)


@pytest.mark.parametrize("name", ["STM32F412", "  stm32f412 ", "nucleo-f412zg", "NUCLEO-F412ZG", "stm32f412zg"])
def test_names_in_any_case_and_aliases(name: str) -> None:
    assert load_board(name) is load_board("stm32f412")


def test_board_is_a_value() -> None:
    board = load_board("stm32h743")
    assert pickle.loads(pickle.dumps(board)) == board
    assert hash(board) == hash(load_board("stm32h743"))
    with pytest.raises(AttributeError, match="immutable"):
        board.clock_hz = 1  # type: ignore[misc]


def test_with_clock_forgets_what_holds_at_the_old_clock_only() -> None:
    board = load_board("stm32l4r5")
    slower = board.with_clock(80_000_000)
    assert (slower.clock_hz, slower.flash.wait_states, slower.power) == (80_000_000, None, None)
    assert slower.sram_budget_bytes == board.sram_budget_bytes
    assert board.with_clock(120_000_000) is board
    with pytest.raises(ProfileError, match=r"board 'stm32l4r5': a clock of 80 Hz is out of range"):
        board.with_clock(80)


def test_external_memory_and_reserved_bytes(tmp_path: Path) -> None:
    text = GOOD.replace("[[memory]]", "reserved_bytes = 1_000\n[[memory]]", 1)
    text += '[[memory]]\nname = "SDRAM"\naddress = 0x20020000\nsize_bytes = 8_388_608\nkind = "external"\n'
    board = load_board(write(tmp_path, text))
    assert [bank.name for bank in board.arena_run] == ["SRAM1"]
    assert board.sram_budget_bytes == 131_072 - 1_000
    assert board.sram_bytes == 131_072


def test_arena_false_breaks_the_run(tmp_path: Path) -> None:
    text = GOOD + '[[memory]]\nname = "B"\naddress = 0x20020000\nsize_bytes = 4_096\nkind = "sram"\n'
    assert load_board(write(tmp_path, text)).sram_budget_bytes == 131_072 + 4_096
    assert load_board(write(tmp_path, text + "arena = false\n")).sram_budget_bytes == 131_072


@pytest.mark.parametrize("encode", [lambda text: text, lambda text: "\ufeff" + text, lambda t: t.replace("\n", "\r\n")])
def test_good_file_loads_however_it_was_saved(tmp_path: Path, encode: Callable[[str], str]) -> None:
    board = load_board(write(tmp_path, encode(GOOD)))
    assert board.core is Core.CORTEX_M4
    assert board.power is None


# (text to replace, its replacement, what the message says)
WRONG_VALUES = [
    # units
    ("clock_hz = 100_000_000", "clock_mhz = 100", "unknown key 'clock_mhz'\n  fix: write clock_hz = 100_000_000"),
    ("clock_hz = 100_000_000", "clock_MHz = 84.5", "fix: write clock_hz = 84_500_000"),
    ("clock_hz = 100_000_000", "clock_hz = 100", "clock_hz is 100\n  fix: write clock_hz = 100_000_000 for 100 MHz"),
    ("clock_hz = 100_000_000", "clock_hz = 1e8", "fix: write clock_hz = 100_000_000"),
    ("clock_hz = 100_000_000", 'clock_hz = "100 MHz"', "fix: write clock_hz = 100_000_000"),
    (
        "size_bytes = 131_072",
        "size_kb = 128",
        "SRAM1: unknown key 'size_kb'\n  fix: write size_bytes = 131_072",
    ),
    ("size_bytes = 131_072", "size_bytes = 128", "size_bytes is 128\n  fix: write size_bytes = 131_072 for 128 KiB"),
    ("size_bytes = 131_072", 'size_bytes = "128k"', "fix: write size_bytes = 131_072"),
    # keys
    ("wait_states", "waitstates", "[flash]: unknown key 'waitstates'\n  fix: did you mean wait_states?"),
    ("title =", "wait_states = 3\ntitle =", "unknown key 'wait_states'\n  fix: write wait_states below [flash]"),
    ("title =", "flash_kb = 512\ntitle =", "unknown key 'flash_kb'\n  fix: write size_bytes below [flash]"),
    ("title =", "sram_kb = 128\ntitle =", "unknown key 'sram_kb'\n  fix: it is called [[memory]] here"),
    ("title =", "Title =", "unknown key 'Title'\n  fix: write it in lower case: title"),
    ("title =", "zzzz = 1\ntitle =", "the keys here are name, title"),
    ('core = "cortex-m4"\n', "", "the key core is missing"),
    ("[flash]", "[power]", "the table [flash] is missing"),
    # types
    ('"cortex-m4"', '"cortex-m44"', "core is 'cortex-m44'\n  fix: did you mean 'cortex-m4'? use one of cortex-m0,"),
    ('"cortex-m4"', "4", "core is 4\n  fix: did you mean 'cortex-m4'? use one of"),
    ('"sram"', '"stram"', "[[memory]] SRAM1: kind is 'stram'\n  fix: did you mean 'sram'?"),
    ("clock_hz = 100_000_000", "clock_hz = true", "clock_hz is true\n  fix: write a whole number"),
    ("clock_hz = 100_000_000", "clock_hz = 2026-01-01", "clock_hz is datetime.date"),
    ('title = "My board"', "title = 3", "title is 3\n  fix: write a text in quotes"),
    ("[[memory]]", "[memory]", "memory is not a list of tables"),
    ("[flash]", "[[flash]]", "not a table\n  fix: write [flash]"),
    # values
    ("wait_states = 3", "wait_states = -1", "[flash]: wait_states is -1\n  fix: use 0 to 15"),
    ("wait_states = 3", "wait_states = 99", "[flash]: wait_states is 99"),
    ("wait_states = 3", "read_width_bits = 100", "read_width_bits is 100\n  fix: use 16, 32"),
    ("wait_states = 3", "accelerator_icache_bytes = 8", "write accelerator = true"),
    ("clock_hz = 100_000_000", "clock_hz = 5_000_000_000", "clock_hz is 5_000_000_000\n  fix: use 1_000_000 to"),
    ("clock_hz = 100_000_000", "clock_hz = 0x" + "f" * 5000, "clock_hz is a number of thousands of digits"),
    ("clock_hz = 100_000_000", "clock_hz = " + "9" * 5000, "nested too deep or a number too long"),
    ("size_bytes = 131_072", "size_bytes = 0", "size_bytes is 0"),
    ("size_bytes = 131_072", "size_bytes = -4_096", "size_bytes is -4_096"),
    ("size_bytes = 131_072", "size_bytes = 8_589_934_592", "past the end of 32-bit addresses"),
    ("0x20000000", "0x100000000", "[[memory]] SRAM1: address is 4_294_967_296"),
    ("0x20000000", "-1", "address is -1\n  fix: use 0x00000000 to 0xFFFFFFFF"),
    ("0x20000000", "0x08000000", "SRAM1 and the flash overlap"),
    ('"sram"', '"external"', "no memory bank can hold the arena"),
    ('"sram"', '"itcm"\narena = true', "arena is true for itcm memory"),
    ('"SRAM1"', '""', "name is empty"),
    ('"mine"', '"My Board"', "name is 'My Board'\n  fix: use lower-case"),
    ('"My board"', '"  "', "title is empty"),
    ('"My board"', '"My\\nboard"', "title is 'My\\nboard'\n  fix: write one line without control characters"),
    ('"SRAM1"', '"SRAM\\u001b1"', "\n  fix: write one line without control characters"),
    ('"mcunet-vww0"', '""', "default_model is ''"),
    ("title =", "reserved_bytes = 131_072\ntitle =", "reserved_bytes is 131_072\n  fix: use 0 to 131_071"),
    ("title =", "reserved_bytes = -1\ntitle =", "reserved_bytes is -1"),
    ("title =", 'aliases = ["A B"]\ntitle =', "aliases is 'A B'"),
    # syntax
    ("title =", "title ==", "line 2: not valid TOML"),
    ("title =", 'name = "again"\ntitle =', "line 2: not valid TOML: cannot overwrite"),
    ("kind =", "x = [\n#", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG_VALUES)
def test_wrong_profile(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ProfileError, match=re.escape(message)) as caught:
        load_board(str(path))
    assert caught.value.where.startswith(str(path))
    assert check_profile(path)[0].level is Level.ERROR


WRONG_TABLES = [
    ("[power]\nactive_low_mw = 50.0\nactive_high_mw = 40.0", "active_low_mw is 50.0, more than active_high_mw, 40.0"),
    ("[power]\nactive_low_mw = nan\nactive_high_mw = 40.0", "[power]: active_low_mw is nan"),
    ("[power]\nactive_low_mw = 1\nactive_high_mw = inf", "[power]: active_high_mw is inf"),
    ("[power]\nactive_low_mw = 1", "[power]: the key active_high_mw is missing"),
    ("[power]\nactive_low_w = 0.04\nactive_high_mw = 50", "write active_low_mw = 40"),
    ("[price]\nusd = -1.0", "[price]: usd is -1.0"),
    ("[caches]\nicache_kb = 16", "write icache_bytes = 16_384"),
    ("[caches]\ndcache_bytes = -1", "[caches]: dcache_bytes is -1"),
    ("[cache]\nicache_bytes = 1", "unknown key 'cache'\n  fix: did you mean caches?"),
    ('[[memory]]\nname = "sram1"\naddress = 0\nsize_bytes = 4096\nkind = "sram"', "two banks have this name"),
    ('[[memory]]\nname = "B"\naddress = 0x2001FFFF\nsize_bytes = 4096\nkind = "sram"', "SRAM1 and B overlap"),
    ('[[memory]]\nname = "B"', "[[memory]] B: the key address is missing"),
]


@pytest.mark.parametrize(("table", "message"), WRONG_TABLES)
def test_wrong_table(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ProfileError, match=re.escape(message)):
        load_board(write(tmp_path, f"{GOOD}\n{table}\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"# nothing\n", "the file is empty"),
        (GOOD.encode("utf-16"), "line 1: the text is not UTF-8"),
        (b'name = "mine"\ntitle = "\xff"\n', "line 2: the text is not UTF-8"),
        (b"\x18\x00\x00\x00TFL3" + bytes(100), "not valid TOML"),
        (b"x = " + b"[" * 9_000, "not"),
        (b"x = " + b"[" * 50_000, "line 1: the line has more than 10000 characters"),
        (b"name" + b".a" * 4_000 + b" = 1", "nested too deep"),
        (b"#\n" * 100_000, "the file is longer than"),
    ],
)
def test_not_a_profile(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_board(write(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stm32f413", r"there is no board called 'stm32f413'\n  fix: did you mean 'stm32f41"),
        ("qqq", "`mcusim profiles` lists the known names"),
        ("", "there is no board called ''"),
        ("no/such/file.toml", r"^no/such/file.toml: there is no such file"),
        ("missing.toml", r"^missing.toml: there is no such file"),
        ("a/\0.toml", "cannot be read|no such file"),
        ("x" * 5000 + ".toml", "cannot be read|no such file"),
    ],
)
def test_no_such_board(name: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_board(name)


def test_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="this is a folder"):
        load_board(tmp_path)


def test_pipe_instead_of_file_does_not_hang() -> None:
    with pytest.raises(ProfileError, match="not a regular file"):
        load_board("/dev/zero")


def test_every_problem_is_listed_by_check(tmp_path: Path) -> None:
    text = GOOD.replace("clock_hz = 100_000_000", "clock_mhz = 100").replace("wait_states", "waitstates")
    findings = check_profile(write(tmp_path, text))
    assert [finding.what for finding in findings] == ["unknown key 'clock_mhz'", "unknown key 'waitstates'"]


def test_faults_of_every_kind_are_listed_together(tmp_path: Path) -> None:
    text = GOOD.replace('"My board"', "3").replace('"cortex-m4"', '"m4"').replace("100_000_000", '"100 MHz"')
    text = text.replace("131_072", "-131_072").replace('"sram"', '"stram"').replace("= 3\n", "= 99\n")
    text = text.replace("title", "reserved_bytes = 999_999_999\ntitle", 1)
    text += '[power]\nactive_low_mw = "x"\nactive_high_mw = -3.0\n'
    findings = check_profile(write(tmp_path, text))
    assert sorted(finding.what.split(" is ")[0] for finding in findings) == [
        "active_high_mw",
        "active_low_mw",
        "clock_hz",
        "core",
        "kind",
        "size_bytes",
        "title",
        "wait_states",
    ]


def test_no_fault_is_a_consequence_of_another(tmp_path: Path) -> None:
    text = GOOD.replace("131_072", "-131_072").replace("title =", "reserved_bytes = 4_096\ntitle =")
    assert [finding.what for finding in check_profile(write(tmp_path, text))] == ["size_bytes is -131_072"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [('"m4"', "cortex-m4"), ('"Cortex M7"', "cortex-m7"), ('"cm0+"', "cortex-m0"), ("33", "cortex-m33")],
)
def test_a_core_is_guessed(tmp_path: Path, written: str, meant: str) -> None:
    finding = check_profile(write(tmp_path, GOOD.replace('"cortex-m4"', written)))[0]
    assert finding.fix.startswith(f"did you mean '{meant}")


def test_a_default_model_may_lie_beside_the_profile(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("mcunet-vww0", "nets/mine.tflite"))
    assert load_board(path).default_model == str(tmp_path / "nets" / "mine.tflite")
    assert load_board(write(tmp_path, GOOD)).default_model == "mcunet-vww0"


def test_a_profile_in_the_folder_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD)
    with pytest.raises(ProfileError, match=r"no board called 'mine'\n  fix: for the file here, write \./mine\.toml"):
        load_board("mine")


def test_check_advises(tmp_path: Path) -> None:
    text = GOOD.replace("wait_states = 3\n", "").replace("cortex-m4", "cortex-m7")
    advice = "\n".join(finding.what for finding in check_profile(write(tmp_path, text, "other.toml")))
    for words in (
        "no power: energy will be null",
        "no wait_states",
        "no cache sizes",
        "no source",
        "is called 'other'",
    ):
        assert words in advice


@pytest.mark.parametrize("name", ["my-board", "b", "stm32f412", "2.0_x"])
def test_template_loads(tmp_path: Path, name: str) -> None:
    board = load_board(write(tmp_path, profile_template(name), f"{name}.toml"))
    assert board.name == name
    assert board.sram_budget_bytes == 128 * KIB


def test_template_loads_with_every_comment_removed(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (?!arena)(?=[a-z_]+ = |\[)", "", profile_template("mine"))
    board = load_board(write(tmp_path, text))
    assert board.power is not None
    assert board.power.active_high_mw == 50.0
    assert board.caches.icache_bytes == 16_384
    assert board.sram_budget_bytes == 128 * KIB - 16_384


@pytest.mark.parametrize("name", ["", "My Board", "../x", "a/b", "é", "-x", "a" * 65])
def test_template_refuses_a_bad_name(name: str) -> None:
    with pytest.raises(ProfileError, match="is not a board name"):
        profile_template(name)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_profile_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = (PROFILES / "stm32h743.toml").read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 12))
        inserted = data.draw(st.text(st.sampled_from(string.printable + "é\0[]={}\"'"), max_size=8))
        text = text[:at] + inserted + text[at + length :]
    path = write(tmp_path_factory.getbasetemp(), text, "mutated.toml")
    try:
        board = load_board(path)
    except ProfileError:
        return
    assert_sound(board)


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 2)), min_size=1, max_size=8))
def test_arena_run_is_the_largest_contiguous_one(banks: list[tuple[int, int]]) -> None:
    address, size = 0x20000000, 0
    memory: list[MemoryBank] = []
    sizes: list[int] = []
    for index, (kib, gap) in enumerate(banks):
        if gap:
            address += gap * KIB
            sizes, size = [*sizes, size], 0
        memory.append(bank(f"B{index}", address, kib * KIB))
        address, size = address + kib * KIB, size + kib * KIB
    board = load_board("stm32f412")
    board = Board(
        name="x",
        title="x",
        core=board.core,
        clock_hz=board.clock_hz,
        default_model="x",
        memory=tuple(reversed(memory)),
        flash=board.flash,
    )
    assert board.sram_budget_bytes == max(*sizes, size, 0)
    assert_sound(board)


def bank(name: str, address: int, size_bytes: int) -> MemoryBank:
    return MemoryBank(name=name, address=address, size_bytes=size_bytes, kind=BankKind.SRAM)


def assert_sound(board: Board) -> None:
    run = board.arena_run
    assert all(left.end == right.address for left, right in itertools.pairwise(run))
    assert 0 < board.sram_budget_bytes <= board.sram_bytes
    assert board.flash_bytes > 0
