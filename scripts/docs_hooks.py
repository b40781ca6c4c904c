"""What MkDocs cannot see by itself: pictures of results/, which pages name as ../results/NAME."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures of results/ to the site."""
    for picture in sorted((ROOT / "results").glob("*.svg")):
        files.append(File.generated(config, f"results/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name them where they then are."""
    return markdown.replace("](../results/", "](results/")
