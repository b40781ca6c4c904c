"""The `mcusim` command. Each command lives in a module of its own, which is loaded when the command is asked for."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` if None) and return its exit code: 0, 1 or 2."""
    from mcusim.cli.app import answer

    return answer(args)
