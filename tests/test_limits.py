"""Bounded work: what is refused before it is allocated, files without an end, and growth with nodes."""

from __future__ import annotations

import dataclasses
import io
import re
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from commands import process, run
from fuzzing.documents import as_toml
from numpy.lib.array_utils import byte_bounds
from tflite_maker import Maker

from mcusim import execute, load
from mcusim.cli.app import answer
from mcusim.cli.exec import read_inputs
from mcusim.designing.spaces import find_space
from mcusim.errors import InputError, McusimError, MemoryLimitError, ModelError
from mcusim.files import MOST_TOML_BYTES, content_of, exists, is_dir, is_file, parse_json, parse_toml, text_of, toml_of
from mcusim.frontends.array_files import read_arrays
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph, Node, Quantization, Tensor, signature, tensor_type
from mcusim.limits import memory_limit, refuse_beyond
from mcusim.ops.kernels.fast import moving
from mcusim.ops.kernels.fast.command import overlap
from mcusim.ops.signal_delay import SignalDelayAttributes
from mcusim.render.sheets import plain_cell, sheet
from mcusim.runtimes import RUNTIMES
from mcusim.searching import search
from mcusim.simulation.simulate import simulate

RUN = ("run", "mcunet-in0", "--profile", "stm32h743")


def test_a_limit_is_told_with_both_numbers() -> None:
    with memory_limit(1 << 20), pytest.raises(MemoryLimitError, match=r"it would take 2.0 MiB.*1.0 MiB are allowed"):
        refuse_beyond(2 << 20, "it", where="here")
    refuse_beyond(1 << 30, "it", where="here")


def test_running_is_refused_before_it_allocates() -> None:
    builder = GraphBuilder("wide")
    x = builder.input((1, 1, 1, 1))
    graph = builder.build([builder.op("RESIZE_NEAREST_NEIGHBOR", (x, builder.integers((30000, 30000))))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MemoryLimitError, match="running it would take"):
        execute(graph, [np.zeros((1, 1, 1, 1), np.int8)])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("command", ["run", "plan", "patch", "fit", "exec", "evaluate"])
def test_commands_take_a_limit(command: str) -> None:
    assert "--max-memory" in run(command, "--help").out


@pytest.mark.parametrize("size", ["2G", "1.5GiB", "4gb", "500M"])
def test_limits_are_taken_as_the_help_writes_them(size: str) -> None:
    assert run("plan", "mcunet-in0", "--max-memory", size).code == 0


def test_a_limit_that_is_no_size_is_refused() -> None:
    code, _, err = run(*RUN, "--max-memory", "much")
    assert code == 2
    assert "--max-memory: 'much' is not a size" in err


@pytest.mark.slow
@pytest.mark.parametrize("words", [RUN, ("fit", *RUN[1:]), ("patch", *RUN[1:]), ("plan", "mcunet-in0")], ids=" ".join)
@pytest.mark.parametrize("size", ["1", "1k", "1M", "64M"])
def test_a_limit_below_what_libraries_take_ends_in_an_answer_or_a_sentence(words: Sequence[str], size: str) -> None:
    """Numpy's libraries end the process in words of their own where the system stops them, so it never does."""
    ended = process(*words, "--max-memory", size)
    is_sentence = ended.stderr.startswith("mcusim: ") and ended.stderr.count("\n") == 1
    assert ended.returncode in (0, 1) or (ended.returncode == 2 and is_sentence), ended.stderr
    assert "OpenBLAS" not in ended.stderr


def test_limits_end_with_the_command() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    assert run(*RUN, "--max-memory", "900M").code == 0
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_small_archives_do_not_unpack_to_much(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        content = io.BytesIO()
        np.save(content, np.zeros(8 << 20, np.int8))
        archive.writestr("a.npy", content.getvalue())
    with memory_limit(1 << 20), pytest.raises(MemoryLimitError, match=r"reading it would take 8\.0 MiB"):
        read_arrays(str(path), "--input")
    assert read_arrays(str(path), "--input")["a"].size == 8 << 20


def test_encrypted_archives_are_named(tmp_path: Path) -> None:
    path = tmp_path / "locked.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY")
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        read_arrays(str(path), "--input")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/zero")
def test_files_without_an_end_are_left() -> None:
    with memory_limit(1 << 20), pytest.raises(OSError, match=r"more than 1\.0 MiB"):
        content_of("/dev/zero")


def test_a_file_takes_what_it_holds_and_no_more(tmp_path: Path) -> None:
    """`read(most)` allocates all of it beforehand: with the limit that the system enforces, small files failed."""
    path = tmp_path / "small"
    path.write_bytes(b"abc")
    tracemalloc.start()
    try:
        assert content_of(path, 2 << 30) == b"abc"
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 5])
def test_files_and_pipes_are_read_whole(size_bytes: int, tmp_path: Path) -> None:
    content, path = bytes(range(251)) * (size_bytes // 251 + 1), tmp_path / "file"
    content = content[:size_bytes]
    path.write_bytes(content)
    assert content_of(path) == content
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        assert content_of(f"/dev/fd/{cat.stdout.fileno()}") == content
    if size_bytes:
        with pytest.raises(OSError, match="more than"):
            content_of(path, size_bytes - 1)


@pytest.mark.parametrize(
    ("limit", "size", "words"),
    [
        (1, 5, "5 bytes of memory, and 1 byte are"),
        (2 << 30, (2 << 30) + 1, "2,147,483,649 bytes of memory, and 2,147,483,648 bytes are"),
        (1 << 20, 3 << 30, "3.0 GiB of memory, and 1.0 MiB are"),
    ],
)
def test_both_sizes_can_be_told_apart(limit: int, size: int, words: str) -> None:
    with memory_limit(limit), pytest.raises(MemoryLimitError) as caught:
        refuse_beyond(size, "it", where="here")
    assert words in str(caught.value)


MARKED = {"utf-8-sig": "a mark", "utf-16": "UTF-16, as PowerShell redirects"}


@pytest.mark.parametrize("encoding", MARKED)
def test_text_may_carry_a_mark(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"a": 1}\nb', encoding=encoding)
    assert text_of(path) == '{"a": 1}\nb'
    path.write_text('{"a": 1}', encoding=encoding)
    assert parse_json(content_of(path), dict) == {"a": 1}
    path.write_text("a = 1", encoding=encoding)
    assert toml_of(path) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a":' * 10**5, "nested too deeply"),
        (b"\xff{}", "no UTF-8 text"),
        (b"\xff\xfe{", "no UTF-8 text"),
        (b"{} {}", "trailing"),
        (b"[]", "Expected `object`"),
    ],
)
def test_json_that_is_none_is_a_value_error(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_json(content, dict)
    assert "recursion" not in str(caught.value)


PACKAGE = Path(content_of.__code__.co_filename).parent
OWN_READERS = {
    "files.py",
    *("boards/profile_files.py", "frontends/tflite.py", "frontends/array_files.py"),  # with limits of their own
    *(
        "ops/kernels/jit.py",
        "frontends/onnx/quantising.py",
        "published/__init__.py",
        "designing/witnesses/rows.py",
    ),  # of ours
    *("firmware/kits.py", "firmware/kernel_files.py"),
    "cli/folders.py",  # one line of it
}


def test_files_of_users_are_read_in_one_place() -> None:
    """Whatever a user names may be a device, or larger than memory; TOML may be slow to parse."""
    whole = re.compile(r"""\.read_(bytes|text)\(|tomllib\.loads?\(|open\("rb"\)|open\(encoding""")
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if whole.search(line) and "resources" not in line and " files(" not in line
    }
    assert readers == OWN_READERS


TOO_LARGE = {
    "compare @ @": 257 << 20,
    "run smallcifar --profile stm32f412 --calibration @": 257 << 20,
    "calibrate @ -o own.json": 257 << 20,
    "check @": 2 << 20,
    "sweep @ --explain": 2 << 20,
    "search @ --profile stm32f412": 2 << 20,
    "run @ --profile stm32f412": 2 << 20,
    "evaluate mcunet-vww0 --data . --preprocess @": 2 << 20,
}


@pytest.mark.slow
@pytest.mark.parametrize("command", TOO_LARGE)
def test_a_document_is_not_read_without_end(command: str, tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(TOO_LARGE[command])  # takes no room
    code, _, error = run(*(str(path) if word == "@" else word for word in command.split()))
    assert (code, "MiB" in error) == (2, True), error


KEYS = {
    "dotted": "a" + ".a" * 60 + " = 1",
    "quoted": '"a"' + ' . "a"' * 60 + " = 1",
    "of a table": "[x" + ".'a b'" * 60 + "]",
    "inside": "x = {a" + ".a" * 60 + " = 1}",
}


@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS)
def test_keys_of_many_parts_are_refused(text: str) -> None:
    """Python's parser takes time that grows with the square of their number."""
    with pytest.raises(ValueError, match="more than 50 parts"):
        parse_toml(text)


def test_keys_are_looked_at_once() -> None:
    """No text makes the look for them slow: each is longer than any that would end otherwise."""
    for text in ("a" * MOST_TOML_BYTES, "a." * (MOST_TOML_BYTES // 2) + "!", '"' * MOST_TOML_BYTES, " a" * 10**5):
        with pytest.raises(ValueError, match=r"."):
            parse_toml(text)
    assert parse_toml("a" + ".a" * 20 + " = 1")
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml("x = " + "[" * 10**5)


DESCRIBED = {
    "an input": ([2**31, 8, 3], 8),
    "channels": ([8, 8, 3], 10**40),
    "beyond any float": ([8, 8, 3], 10**400),
}


@pytest.mark.parametrize(("shape", "channels"), DESCRIBED.values(), ids=DESCRIBED)
def test_a_dimension_beyond_32_bits_is_refused(shape: list[int], channels: int) -> None:
    layers = [{"op": "conv_2d", "kernel": 1, "out_channels": channels}]
    with pytest.raises(ModelError, match=r"2\*\*31 - 1 at most"):
        load({"input": shape, "layers": layers})


def test_drawing_weights_is_refused_before_it_allocates() -> None:
    layers = [{"op": "conv_2d", "kernel": 3, "out_channels": 2**30}]
    with pytest.raises(MemoryLimitError, match="drawing its weights"):
        with_seeded_weights(load({"input": [8, 8, 3], "layers": layers}))


@pytest.mark.parametrize("blocks", [7_000_000, [1, 10**30]])
def test_a_space_of_more_blocks_than_a_network_has_is_refused(blocks: object, tmp_path: Path) -> None:
    part = {"op": "conv_2d", "kernel": [1, 3], "out_channels": 8, "blocks": blocks}
    path = tmp_path / "space.toml"
    path.write_text(as_toml({"network": {"input": [8, 8, 3]}, "part": [part]}), encoding="utf-8")
    with pytest.raises(InputError, match="1,000 are allowed"):
        find_space(str(path))


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "/nobody/may/look", ""])
def test_looking_at_a_path_never_raises(name: str) -> None:
    assert not exists(name) or name == ""
    assert not is_file(name)
    assert not is_dir(name) or name == ""


def test_long_and_strange_names_are_shortened() -> None:
    code, _, err = run("run", "x" * 100_000 + "\x1b[31m", "--profile", "stm32f412")
    assert code == 2
    assert len(err) < 3000
    assert "\x1b" not in err
    assert len(str(McusimError("a" * 9999, where="b" * 9999, fix="c" * 9999))) < 3000


def test_export_does_not_write_a_file_called_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", "mcunet-in0", "-")
    assert code == 2
    assert "FILE" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full")
def test_a_full_device_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "mcusim", "--help"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["check b.toml", "export mcunet-in0 x.tflite", "run mcunet-in0 --json r.json"])
def test_a_folder_that_is_gone_is_a_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    words = command.split()
    assert answer([*words, "--profile", "stm32h743"] if words[0] == "run" else words) == 2
    assert "is gone, or may not be entered; change to another" in capfd.readouterr().err


@pytest.mark.slow
def test_settings_of_matplotlib_that_are_wrong_are_a_sentence(tmp_path: Path) -> None:
    done = process("plot", "timeline", "mcunet-in0", "-o", str(tmp_path / "x.svg"), MPLBACKEND="nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mcusim: matplotlib: it cannot be loaded")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


LINES = {
    "picks that are none": '{"picks": 3, "excess": 0, "score": null}',
    "picks of lists": '{"picks": {"a": [1]}, "excess": 0, "score": null}',
    "a score that is text": '{"picks": {}, "excess": 0, "score": "x"}',
    "nothing": "{}",
    "brackets": "[" * 100_000,
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_that_is_no_journals_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    command = ("search", "micronets-kws", "--profile", "stm32f412", "--evaluations", "1", "--optimiser", "random")
    assert run(*command, "--journal", str(path)).code in (0, 1)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    before = path.read_bytes()
    code, _, error = run(*command, "--journal", str(path))
    assert (code, "it is no journal of a search" in error) == (2, True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["=1+1", "+x", "-cmd", "@sum", "\tx"])
def test_cells_are_no_formulas(text: str) -> None:
    assert plain_cell(text) == "'" + text
    assert sheet(("a",), [[text]]).splitlines()[1].lstrip('"').startswith("'")


@pytest.mark.parametrize("cell", [-1.5, -3, "-1.5", "+7", None, "name", "1e-3"])
def test_numbers_stay_numbers(cell: object) -> None:
    assert plain_cell(cell) == cell


def _branches(count: int) -> Graph:
    builder = GraphBuilder("branches")
    total = source = builder.op("RELU", (builder.input((1, 2, 2, 4)),))
    for branch in [builder.op("RELU", (source,)) for _ in range(count)]:
        total = builder.op("ADD", (total, branch))
    return builder.build([total])


def test_many_branches_are_searched() -> None:
    """A search has a space that it states, and a front in it, however many nodes there are."""
    front = search(_branches(150), profile="stm32h743", max_stages=1, max_grid=2)
    assert front.points


def test_a_network_that_cannot_be_named_is_refused() -> None:
    with pytest.raises(ModelError):
        execute("/proc/self/mem/x.tflite", [])


DRAWN = [dtype for dtype in DType if "int" in dtype or dtype in ("bool", "float32", "float64")]


@pytest.mark.parametrize("dtype", DType)
def test_inputs_of_any_type_are_drawn_or_refused(dtype: DType) -> None:
    builder = GraphBuilder("of any type")
    graph = builder.build([builder.reshape(builder.input((1, 4), dtype=dtype), (4,))])
    if dtype not in DRAWN:
        with pytest.raises(McusimError, match=dtype):
            execute(graph, read_inputs(graph, ["random"], 0))
        return
    drawn = read_inputs(graph, ["random"], 0)
    assert np.array_equal(execute(graph, drawn)[0], next(iter(drawn))[0])


def test_large_inputs_are_not_drawn() -> None:
    builder = GraphBuilder("large")
    graph = builder.build([builder.reshape(builder.input((1, 1 << 30)), (1 << 30,))])
    with pytest.raises(MemoryLimitError, match=r"drawing its inputs would take 8\.0 GiB"):
        read_inputs(graph, ["random"], 0)


def test_many_inputs_of_one_operator_are_bound_without_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    builder, many = GraphBuilder("joined"), 300
    source = builder.input((1, 2, 2, 4))
    branches = [builder.op("RELU", (source,)) for _ in range(many)]
    graph = builder.build([builder.concatenation(branches, 3)])
    asked: list[object] = []

    def asking(function: Callable[..., object]) -> Callable[..., object]:
        def answer(*arrays: object) -> object:
            asked.append(arrays)
            return function(*arrays)

        return answer

    monkeypatch.setattr(moving, "overlap", asking(overlap))
    monkeypatch.setattr(moving, "byte_bounds", asking(byte_bounds))
    given = np.arange(16, dtype=np.int8).reshape(1, 2, 2, 4)
    [answer] = execute(with_seeded_weights(graph), [given])
    assert answer.shape == (1, 2, 2, 4 * many)
    assert many <= len(asked) <= 4 * many


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("x" * 300, "File name too long.*shorter name"), ("none/there.csv", "No such file.*folder exists")],
)
def test_what_is_not_written_says_what_helps(name: str, pattern: str, tmp_path: Path) -> None:
    for command in (("plan", "smallcifar", "--csv"), ("export", "smallcifar", "--seed", "0")):
        code, _, error = run(*command, str(tmp_path / name))
        assert code == 2
        assert re.search(pattern, error)
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_asks_for_room() -> None:
    code, _, error = run("plan", "smallcifar", "--csv", "/dev/full")
    assert (code, "make room" in error) == (2, True)


@pytest.mark.slow
def test_operators_that_nobody_knows_are_advised_on() -> None:
    """The code that a network takes, too, asks what an operator may enter."""
    made = Maker()
    made.tensor((1, 4))
    made.tensor((1, 4))
    made.operator("STABLEHLO_NEGATE", [0], [1])
    made.graph.inputs, made.graph.outputs = [0], [1]
    graph = parse_tflite(made.pack(), name="unknown", where="unknown.tflite")
    for runtime in RUNTIMES:
        simulate(graph, profile="stm32h743", runtime=runtime).to_json()


@pytest.mark.parametrize("rows", [10_001, 2**31 - 1])
def test_states_of_more_rows_than_any_arena_holds_are_not_listed(rows: int) -> None:
    """Each row's state is an allocation of its own: a few hundred bytes of file asked for 2,147,483,647 of them."""
    kind = signature(
        "CUSTOM:SignalDelay",
        SignalDelayAttributes(b"", 3),
        (tensor_type((rows, 8), DType.INT16),),
        (tensor_type((rows, 8), DType.INT16),),
    )
    tensors = (Tensor("x", kind.inputs[0]), Tensor("y", kind.outputs[0]))  # type: ignore[arg-type]
    graph = Graph("delays", tensors, (Node("delay", kind, (0,), (1,)),), (0,), (1,))
    with pytest.raises(ModelError, match="10,000 are followed"):
        simulate(graph, profile="stm32h743", runtime="tflm")


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.slow
def test_scales_of_deep_networks_stay_numbers(op: str) -> None:
    """Sums of sums double their range: after 128 the scale was no float32, and the reader refused what was written."""
    builder = GraphBuilder("deep")
    x = builder.input((1, 4, 4, 8))
    for _ in range(300):
        x = builder.op(op, (x, builder.op("ADD", (x, x)) if op == "SUB" else x))
    drawn = with_seeded_weights(builder.build([builder.op("LOGISTIC", (builder.conv_2d(x, 8, 3),))]))
    copy = parse_tflite(write_tflite(drawn), name="deep", where="deep.tflite")
    given = np.arange(128, dtype=np.int8).reshape(1, 4, 4, 8)
    assert np.array_equal(execute(drawn, [given])[0], execute(copy, [given])[0])


@pytest.mark.parametrize("scale", [1e39, 0.0, 1e-60, float("nan")])
def test_what_no_reader_takes_is_not_written(scale: float) -> None:
    builder = GraphBuilder("odd")
    graph = with_seeded_weights(builder.build([builder.op("RELU", (builder.input((1, 4)),))]))
    first = dataclasses.replace(graph.tensors[0], quantization=Quantization((scale,), (0,)))
    with pytest.raises(ModelError, match="impossible scale"):
        write_tflite(dataclasses.replace(graph, tensors=(first, *graph.tensors[1:])))
