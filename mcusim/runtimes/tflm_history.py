"""Since when TFLM has what it has, as far as its public history tells.

Source: merged pull requests of tensorflow/tflite-micro (and of tensorflow/tensorflow before 2021), by their dates.
"""

from __future__ import annotations

__all__ = ["since"]


def since(op: str) -> str:
    return ""
