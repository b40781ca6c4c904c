"""Shared by the operators around variables, which are handles, and one-time initialisation.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from mcusim.graph import Signature
from mcusim.ops.registry import Work, WorkKind

__all__ = ["no_work"]


def no_work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """`work` of an operator that touches no elements."""
    return Work(WorkKind.CONTROL, calls=calls)
