"""Sweeps: every answer a row, nothing lost whatever dies, and the same rows on a cluster."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import REPO, run

import mcusim
from mcusim.errors import InputError, OutputError
from mcusim.sweeping.rows import columns
from mcusim.sweeping.running import forecast, run_sweep
from mcusim.sweeping.spec import read_spec
from mcusim.version import __version__

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow", reason="needs mcusim[sweep]")

SPEC = """
networks = ["mcunet-vww0", "smallcifar"]
boards = ["stm32f412", "stm32h743"]
runtimes = ["tinyengine", "tflm"]
schedules = ["layer", "patch:2x2@3"]
"""
ONE = "boards = ['stm32f412']\nnetworks = ['smallcifar']\n"
DRAWN = """
boards = ["stm32f412"]
space = "mcunetv2:vww"
sample = {count}
seed = 3
"""


def spec(folder: Path, text: str = SPEC) -> str:
    path = folder / "sweep.toml"
    path.write_text(text)
    return str(path)


def rows_of(folder: Path) -> Any:
    return pd.read_parquet(folder / "answers")


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "answers").iterdir()}


@pytest.mark.slow
def test_a_row_is_the_document_flattened(tmp_path: Path) -> None:
    """Against pandas' own flattening of what `simulate` answers."""
    tally = run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", processes=1)
    assert (tally.answered, tally.resumed) == (16, 0)
    rows = rows_of(tmp_path / "out")
    assert list(rows["number"]) == list(range(16))
    for _, row in rows[rows["error"].isna()].iterrows():
        report = mcusim.simulate(
            row["network"], profile=row["board"], runtime=row["asked.runtime"], schedule=row["asked.schedule"]
        )
        flat = pd.json_normalize(report.to_dict()).iloc[0]
        shared = [name for name in flat.index if name in rows.columns and not isinstance(flat[name], list)]
        assert len(shared) > 40
        for name in shared:
            is_float = isinstance(flat[name], float)  # sums that several threads share end in other last digits
            wanted = pytest.approx(flat[name], rel=1e-9, nan_ok=True) if is_float else flat[name]
            assert row[name] == wanted or (pd.isna(row[name]) and pd.isna(flat[name])), name


@pytest.mark.slow
def test_a_network_that_fails_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"not a network")
    path = spec(tmp_path, 'networks = ["broken.tflite", "smallcifar"]\nboards = ["stm32f412"]\n')
    tally = run_sweep(read_spec(path), tmp_path / "out", processes=1)
    assert (tally.answered, tally.failed) == (2, 1)
    rows = rows_of(tmp_path / "out")
    assert rows["network"].tolist() == ["broken.tflite", "smallcifar"]
    assert "is not a .tflite file" in rows["error"][0]
    assert rows["verdict"][1] == "fits"


@pytest.mark.slow
def test_the_file_says_what_it_answers(tmp_path: Path) -> None:
    import pyarrow.parquet

    run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", processes=1)
    file = next((tmp_path / "out" / "answers").iterdir())
    about = pyarrow.parquet.read_schema(file).metadata
    assert about[b"mcusim_version"].decode() == mcusim.__version__
    assert json.loads(about[b"spec"])["boards"] == ["stm32f412", "stm32h743"]
    assert [column.name for column in columns()] == pyarrow.parquet.read_schema(file).names


KILLS = 50


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    """Killed 50 times, on and on in one folder and then in the next; the files are those of an undisturbed run."""
    path = spec(tmp_path, DRAWN.format(count=2500))
    run_sweep(read_spec(path), tmp_path / "whole", processes=2)
    wanted = digests(tmp_path / "whole")
    assert len(wanted) == 10
    moment, kills, folder = random.Random(7), 0, 0
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    while kills < KILLS:
        target = tmp_path / f"killed-{folder}"
        command = [sys.executable, "-m", "mcusim", "sweep", path, "-o", str(target), "--processes", "1"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(moment.uniform(0.2, 2.5))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            folder += 1
        if (target / "answers").exists():
            there = digests(target)
            assert there.items() <= wanted.items()
    for number in range(folder + 1):
        target = tmp_path / f"killed-{number}"
        run_sweep(read_spec(path), target, processes=2)
        assert digests(target) == wanted


DEADLY = """
import os, signal

def space(random):
    number = int(random.random() * 10)
    if number == 3:
        if {always} or not os.path.exists({marker!r}):
            open({marker!r}, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    return {{"input": [8, 8, 3], "layers": [{{"op": "conv_2d", "kernel": 3, "out_channels": 4 + number}}]}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("always", [True, False])
def test_a_worker_that_dies(tmp_path: Path, always: bool) -> None:
    """Once: its work is done by another. Always: the network that kills becomes a row, and the others are answered."""
    (tmp_path / f"deadly{always}.py").write_text(DEADLY.format(marker=str(tmp_path / "died"), always=always))
    text = f'boards = ["stm32f412"]\nspace = "deadly{always}:space"\nsample = 30\n'
    run_sweep(read_spec(spec(tmp_path, text)), tmp_path / "out", processes=2)
    rows = rows_of(tmp_path / "out")
    assert list(rows["number"]) == list(range(30))
    failed = rows[rows["error"].notna()]
    assert bool(len(failed)) is always
    assert all("ended 2 workers (signal 9 (SIGKILL))" in error for error in failed["error"])
    assert len(failed) < 15


def test_two_sweeps_into_one_folder(tmp_path: Path) -> None:
    from mcusim.sweeping.store import opened

    asked = read_spec(spec(tmp_path))
    with opened(tmp_path / "out", asked), pytest.raises(InputError, match="another sweep writes into it"):
        run_sweep(asked, tmp_path / "out", processes=1)


@pytest.mark.slow
def test_another_spec_is_refused(tmp_path: Path) -> None:
    run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", processes=1)
    other = read_spec(spec(tmp_path, SPEC.replace("stm32h743", "nrf52840")))
    with pytest.raises(InputError, match="to another spec"):
        run_sweep(other, tmp_path / "out", processes=1)


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    asked = read_spec(spec(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr("mcusim.sweeping.store.os.fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            run_sweep(asked, tmp_path / "out", processes=1)
    assert not list((tmp_path / "out" / "answers").iterdir())
    assert not list((tmp_path / "out").glob(".*"))
    assert run_sweep(asked, tmp_path / "out", processes=1).answered == 16


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("networks = ['smallcifar']", "Object missing required field `boards`"),
        ("boards = ['stm32f412']\nnetwork = ['smallcifar']", "did you mean 'networks'"),
        ("boards = ['stm32f412']", "it names no network"),
        ("boards = []\nnetworks = ['smallcifar']", "boards is empty"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifer']", "did you mean 'smallcifar'"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nbudgets = [{ flsh = '1M' }]", "did you mean 'flash'"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nbudgets = [{ ms = -3 }]", "ms is -3"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nbudgets = [{ ms = nan }]", "ms is nan"),
        ("boards = ['stm32f412']\nspace = 'mcunet'\nsample = 100000000000", "are more than 10,000,000"),
        ("boards = ['stm32f999']\nnetworks = ['smallcifar']", "stm32f999"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nruntimes = ['tflmm']", "no such runtime"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nschedules = ['patch']", "schedule"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nclocks_hz = ['fast']", "'fast' is no clock"),
        ("boards = ['stm32f412']\nnetworks = ['smallcifar']\nbudgets = ['much']", "is no budget"),
        ("boards = ['stm32f412']\nspace = 'mcunetv2:vww'", "go together"),
        ("boards = ['stm32f412']\nspace = 'mcunetv2:cats'\nsample = 2", "it has no task 'cats'"),
        ("boards = ['stm32f412']\nspace = 'nowhere:space'\nsample = 2", "its module does not load"),
        ("boards = [", "mend the line"),
        *[(f"{ONE}{side} = []", f"{side} is empty") for side in ("runtimes", "schedules", "clocks_hz", "budgets")],
        (f"{ONE}budgets = ['64k', {{}}]", "one is empty, and limits nothing"),
    ],
)
def test_wrong_specs(tmp_path: Path, text: str, sentence: str) -> None:
    answer = run("sweep", spec(tmp_path, text), "-o", str(tmp_path / "out"))
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_named_twice_is_asked_once(tmp_path: Path) -> None:
    assert run("export", "smallcifar", str(tmp_path / "a.tflite")).code == 0
    text = """
    networks = ["smallcifar", "a.tflite", "*.tflite", "./a.tflite", "smallcifar"]
    boards = ["stm32f412", "stm32f412"]
    runtimes = ["tflm", "tflm"]
    schedules = ["layer", "layer"]
    clocks_hz = ["100MHz", 100_000_000]
    budgets = ["64k", { sram = "64k" }, { sram = 65536 }]
    space = ["mcunet", "mcunet"]
    sample = 3
    """
    asked = read_spec(spec(tmp_path, text))
    assert [network.label for network in asked.networks[:2]] == ["smallcifar", "a.tflite"]
    assert (len(asked.networks), len(asked), asked.each) == (5, 5, 1)


def test_a_sample_is_counted_without_being_drawn(tmp_path: Path) -> None:
    """Ten million networks of each question, in no more memory than ten."""
    text = ONE + "space = ['mcunetv2:vww', 'mcunet']\nsample = {count}\nseed = 3\n"
    few, many = (read_spec(spec(tmp_path, text.format(count=count))) for count in (10, 5_000_000))
    assert (len(few), len(many)) == (21, 10_000_001)
    assert len(pickle.dumps(many.networks)) < len(pickle.dumps(few.networks)) + 100
    labels = ["smallcifar", "mcunetv2:vww#3/0", "mcunetv2:vww#3/4999999", "mcunet#3/0", "mcunet#3/4999999"]
    assert [many.networks[place].label for place in (0, 1, 5_000_000, 5_000_001, -1)] == labels
    assert [network.label for network in few.networks[9:12]] == ["mcunetv2:vww#3/8", "mcunetv2:vww#3/9", "mcunet#3/0"]
    assert len(list(few.networks)) == 21
    with pytest.raises(IndexError):
        few.networks[21]


@pytest.mark.slow
def test_one_is_one(tmp_path: Path) -> None:
    said = run("sweep", spec(tmp_path, ONE), "--explain", "--processes", "1").out
    assert said.startswith("1 answer about 1 network: ")
    assert "1 answer in" in run("sweep", spec(tmp_path, ONE), "-o", str(tmp_path / "out"), "--processes", "1").out


def test_a_space_of_other_content_is_another_sweep(tmp_path: Path) -> None:
    text = "boards = ['stm32f412']\nspace = 'mine.toml'\nsample = 2\n"
    shipped = next((REPO / "mcusim" / "designing" / "spaces").rglob("*.toml")).read_text(encoding="utf-8")
    digests_of_spec = []
    for content in (shipped, shipped + "\n# another\n"):
        (tmp_path / "mine.toml").write_text(content, encoding="utf-8")
        digests_of_spec.append(read_spec(spec(tmp_path, text)).digest)
    assert digests_of_spec[0] != digests_of_spec[1]


@pytest.mark.slow
def test_a_worker_whose_sweep_is_gone_ends_in_silence(tmp_path: Path) -> None:
    """Killed between a question and its answer, which then is for nobody."""
    orphan = f"""
import multiprocessing, os
from mcusim.sweeping.pool import _serve
from mcusim.sweeping.spec import read_spec
ours, theirs = multiprocessing.Pipe()
ours.send([read_spec({spec(tmp_path, ONE)!r}).question(0)])
ours.close()
_serve(theirs, os.getppid())
"""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", orphan], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_space_that_raises(tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("def space(random):\n    return 1 / 0\n")
    text = 'boards = ["stm32f412"]\nspace = "raising:space"\nsample = 2\n'
    run_sweep(read_spec(spec(tmp_path, text)), tmp_path / "out", processes=1)
    assert all("it raised ZeroDivisionError: division by zero" in error for error in rows_of(tmp_path / "out")["error"])


def test_what_a_sweep_will_be(tmp_path: Path) -> None:
    expected = forecast(read_spec(spec(tmp_path)), processes=2)
    assert (expected.questions, expected.networks, expected.processes) == (16, 2, 2)
    assert expected.seconds > 0
    answer = run("sweep", spec(tmp_path), "--explain")
    assert answer.out.startswith("16 answers about 2 networks: about ")


@pytest.mark.slow
def test_the_same_rows_from_a_cluster(tmp_path: Path) -> None:
    """A Dask scheduler with two worker processes."""
    pytest.importorskip("distributed", reason="needs mcusim[sweep]")
    path = spec(tmp_path, DRAWN.format(count=600))
    run_sweep(read_spec(path), tmp_path / "here", processes=1)
    code = (
        "import sys, time\nfrom distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    c = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)\n"
        "    print(c.scheduler_address, flush=True)\n    sys.stdin.read()\n"
    )
    (tmp_path / "cluster.py").write_text(code)
    command = [sys.executable, str(tmp_path / "cluster.py")]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    cluster = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        done = subprocess.run(
            [sys.executable, "-m", "mcusim", "sweep", path, "-o", str(tmp_path / "there"), "--scheduler", address],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    finally:
        cluster.communicate("")
    assert digests(tmp_path / "there") == digests(tmp_path / "here")


def test_a_scheduler_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs mcusim[sweep]")
    monkeypatch.setattr("mcusim.sweeping.cluster._TIMEOUT_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(InputError, match="does not answer"):
        run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="'nonsense' does not answer"):
        run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", scheduler="nonsense")
    assert not (tmp_path / "out").exists()
    assert time.monotonic() - began < 30


def test_a_scheduler_that_does_not_answer_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a loop runs already."""
    pytest.importorskip("distributed", reason="needs mcusim[sweep]")
    monkeypatch.setattr("mcusim.sweeping.cluster._TIMEOUT_SECONDS", 0.2)

    async def cell() -> None:
        run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", scheduler="tcp://127.0.0.1:1")

    with pytest.raises(InputError, match="does not answer"):
        asyncio.run(cell())


def test_a_scheduler_that_takes_the_connection_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="needs mcusim[sweep]")
    monkeypatch.setattr("mcusim.sweeping.cluster._TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=r"does not answer \(nothing in 0.5 s\)"):
            run_sweep(read_spec(spec(tmp_path)), tmp_path / "out", scheduler=address)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_workers_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers are of this version, so the one that asks is made another."""
    pytest.importorskip("distributed", reason="needs mcusim[sweep]")
    out = tmp_path / "out"
    program = (
        "import sys\nfrom distributed import LocalCluster\n"
        "c = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol='tcp')\n"
        "print(c.scheduler_address, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    ) as cluster:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        monkeypatch.setattr("mcusim.sweeping.cluster.__version__", "9.9")
        with pytest.raises(InputError) as refusal:
            run_sweep(read_spec(spec(tmp_path)), out, scheduler=address)
        cluster.communicate("")
    assert f"has mcusim {__version__}, and 9.9 asks" in refusal.value.what
    assert refusal.value.fix == "install mcusim 9.9 for every worker"
    assert not out.exists()
