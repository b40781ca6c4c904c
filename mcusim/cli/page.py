"""`mcusim run --html`: the page about one answer."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcusim.graph import Graph
    from mcusim.hardware import Board
    from mcusim.memory.images import Image
    from mcusim.report import Report
    from mcusim.runtimes import Runtime

__all__ = ["asked_command", "page"]


def page(
    report: Report,
    graph: Graph,
    board: Board,
    runtime: Runtime,
    image: Image | None,
    files: Mapping[str, str | None],
    command: str,
) -> str:
    """The page as text. files: what a file that was read is for -> its path, or a word or None where there was none."""
    from mcusim.dossier import dossier
    from mcusim.render.html import html_page

    named = {"network": report.model.source if graph.source.file_bytes is not None else None, **files}
    read = [(role, path) for role, path in named.items() if path is not None and os.path.isfile(path)]  # no pipes
    return html_page(dossier(report, graph, board, runtime, image=image, files=read, command=command))


def asked_command(model: str | None, options: Mapping[str, str | None]) -> str:
    """The command that asks the same question again, without what it writes. options: None where one was left out."""
    words = ["mcusim", "run", *([] if model is None else [model])]
    for option, value in options.items():
        words += [] if value is None else [option, value]
    return shlex.join(words)
