#!/usr/bin/env python3
"""Search the witness of every published row again and write it to the zoo; a minute or two.

With names of rows: only those. With --check: change nothing, exit 1 if a file is not what the search finds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mcusim.designing.witnesses import search_net
from mcusim.designing.witnesses.files import network_file
from mcusim.designing.witnesses.rows import rows

ROOT = Path(__file__).resolve().parents[1]


def witness_file(row: str) -> str:
    """The text of a row's witness, searched with seed 0 as `mcusim search-net --row ROW` does."""
    answer = search_net(row=row)
    if not answer.meets:
        sys.exit(f"{row}: nothing found meets it; the nearest: {answer.judged}")
    return network_file(answer, f"mcusim search-net --row {row} --seed 0")


def main() -> int:
    """Write the files, or compare them."""
    checks = "--check" in sys.argv[1:]
    wanted = [word for word in sys.argv[1:] if word != "--check"] or list(rows())
    stale = []
    for row in wanted:
        path = ROOT / "mcusim" / "zoo" / "networks" / f"{rows()[row].notes.witness}.toml"
        text = witness_file(row)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not checks:
                path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'not current' if checks else 'written'}: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale and checks else 0


if __name__ == "__main__":
    sys.exit(main())
