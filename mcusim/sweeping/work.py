"""Who answers: the seam between a sweep and the processes that do its work.

Batch  --->  Workers.submit      processes here (`pool`), or a Dask cluster (`cluster`)
Done   <---  Workers.done        rows, or that the worker died over it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mcusim.sweeping.rows import Row
from mcusim.sweeping.spec import SweptQuestion

__all__ = ["Batch", "Done", "Workers"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions for one worker. part: of the answers, by its first and its last number plus one.   deaths: so far."""

    part: tuple[int, int]
    questions: tuple[SweptQuestion, ...]
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """rows: in the order of the questions; None where the worker died, and `why` says of what."""

    batch: Batch
    rows: list[Row] | None
    why: str = ""


class Workers(Protocol):
    """`count` batches are worked on at once; one more waits for each, so that nobody idles."""

    @property
    def count(self) -> int: ...

    def submit(self, batch: Batch) -> None: ...

    def done(self) -> Done:
        """The next batch that is done; waits for it."""

    def close(self) -> None: ...
