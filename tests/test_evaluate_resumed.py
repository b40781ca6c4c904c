"""`mcusim evaluate` interrupted: what was computed is kept, shown, and not computed again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import (
    ask,
    coloured_set,
    noisy,
    random_classifier,
    random_images,
    save_image,
    save_model,
)

import mcusim
from mcusim.evaluating import running

BGR = ("--preprocess", "channels=bgr")
pytestmark = pytest.mark.usefixtures("elsewhere", "kept_in_test_folder")


@pytest.fixture
def many(tmp_path: Path) -> tuple[Path, Path]:
    """The same with 90 images: a run that is stopped early never gets through them."""
    return coloured_set(tmp_path, each=30)


def test_threads_change_nothing(tmp_path: Path) -> None:
    graph = random_classifier(5)
    random_images(tmp_path / "d", 5, 20)
    one, many = (mcusim.evaluate(graph, tmp_path / "d", threads=threads) for threads in (1, 3))
    assert one == many


class Stop:
    """Stops a run as Ctrl-C does, once enough is done; remembers what it was told."""

    def __init__(self, after: int) -> None:
        self.after, self.reported = after, list[tuple[int, int]]()

    def __call__(self, done: int, total: int, share: float | None) -> None:
        self.reported.append((done, total))
        if done >= self.after:
            raise KeyboardInterrupt


def test_what_was_computed_is_not_computed_again(
    many: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = many
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        mcusim.evaluate(model, data, resume=state, progress=Stop(5), threads=1)
    kept = state.read_bytes()
    done = kept.count(b"\n") - 1
    assert 5 <= done < 90
    state.write_bytes(kept + b'["a_red/0')  # killed while it wrote
    computed = 0
    real = running.execute

    def counted(graph: Any, given: Any, **options: Any) -> Any:
        nonlocal computed
        computed += len(given)
        return real(graph, given, **options)

    monkeypatch.setattr(running, "execute", counted)
    again = Stop(999)
    evaluation = mcusim.evaluate(model, data, resume=state, progress=again)
    assert again.reported[0] == (done, 90)
    assert computed == 90 - done
    assert evaluation == mcusim.evaluate(model, data)
    assert state.read_bytes().startswith(kept)
    assert mcusim.evaluate(model, data, resume=state, limit=3).count == 3


def test_a_state_of_something_else_is_refused(tmp_path: Path) -> None:
    model, data = coloured_set(tmp_path)
    args = ("evaluate", model, "--data", data, "--resume", "s.jsonl")
    assert ask(*args)[0] == 0
    before = Path("s.jsonl").read_bytes()
    other = save_model(random_classifier(3), tmp_path, "other.tflite")
    asked = [
        (("evaluate", other, "--data", data, "--resume", "s.jsonl"), "another network"),
        ((*args, *BGR), "other preprocessing"),
        ((*args, "--numerics", "single-rounding"), "other preprocessing"),
    ]
    for question, difference in asked:
        code, out, err = ask(*question)
        assert (code, out) == (2, "")
        assert f"it was computed with {difference}" in err
    save_image(data / "a_red" / "new.png", noisy((200, 40, 30), (8, 8), np.random.default_rng()))
    assert "it was computed with another data set" in ask(*args)[2]
    assert Path("s.jsonl").read_bytes() == before
    Path("notes.txt").write_text("a shopping list\n")
    assert "it is no state of an evaluation" in ask(*args[:-1], "notes.txt")[2]
    assert Path("notes.txt").read_text() == "a shopping list\n"
    assert "is what this command reads" in ask(*args[:-1], model)[2]


def test_what_could_not_be_written_is_not_said_to_be_kept(tmp_path: Path) -> None:
    model, data = coloured_set(tmp_path)
    Path("file").write_bytes(b"")
    code, out, err = ask("evaluate", model, "--data", data, "--resume", "file/s.jsonl")
    assert (code, out) == (2, "")
    assert "cannot write file/s.jsonl" in err
    assert "kept" not in err


def test_ctrl_c_keeps_and_shows_what_was_computed(many: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = many
    from mcusim.cli import evaluate as command

    monkeypatch.setattr(command, "_progress", lambda: contextlib.nullcontext(Stop(6)))
    code, out, err = ask("evaluate", model, "--data", data, "--threads", "1", "--json", "-")
    document = json.loads(out)
    assert code == 130
    assert not document["data"]["is_complete"]
    assert document["data"]["measured"] >= 6
    path = Path(err.split("--resume ")[1].split()[0])
    assert path.is_file()
    monkeypatch.setattr(command, "_progress", contextlib.nullcontext)
    code, out, err = ask("evaluate", model, "--data", data, "--resume", path, "--json", "-")
    assert (code, json.loads(out)["data"]["measured"], err) == (0, 90, "")


def test_a_damaged_image_keeps_what_was_computed(tmp_path: Path) -> None:
    model, data = coloured_set(tmp_path)
    bad = data / "c_blue" / "001.png"
    bad.write_bytes(bad.read_bytes()[:40])
    args = ("evaluate", model, "--data", data, "--threads", "1")
    code, out, err = ask(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{bad}: it is no image" in err
    assert "leave such files out with --skip-unreadable" in err
    kept = Path(err.split("--resume ")[1].split(")")[0])
    code, out, err = ask(*args, "--skip-unreadable", "--resume", kept, "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert (document["data"]["measured"], document["data"]["unreadable"], document["value"]) == (11, [str(bad)], 1.0)
    assert "1 of the files could not be read and do not count" in document["warnings"]
