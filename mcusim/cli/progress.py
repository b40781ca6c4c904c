"""A progress bar for what takes longer than a moment: on standard error, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

__all__ = ["progress_bar"]

PATIENCE_SECONDS = 0.7
"""What is done sooner shows no bar."""


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """Something to tell (what, done, all) as the work goes on; `all` is 0 where nobody knows. None off a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    def __init__(self) -> None:
        self.began, self.what = time.monotonic(), ""
        self.shown: Progress | None = None

    def show(self, what: str, done: int, most: int) -> None:
        if self.shown is None:
            if time.monotonic() - self.began < PATIENCE_SECONDS:
                return
            self.shown = _opened()
        bar, total = self.shown, most or None
        if what != self.what:
            self.what = what
            for task in bar.task_ids:
                bar.remove_task(task)
            bar.add_task(what, total=total)
        bar.update(bar.task_ids[0], completed=done, total=total)

    def close(self) -> None:
        if self.shown is not None:
            self.shown.stop()


def _opened() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, emoji=False)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"), TimeElapsedColumn()
    bar = Progress(*columns, console=console, transient=True)
    bar.start()
    return bar
