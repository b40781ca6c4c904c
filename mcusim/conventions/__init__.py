"""Counting conventions, one file each, called as the convention is. Importing this package registers them all.

A published figure may be a sum, or a plan that a tool made and nobody should follow. Each convention says what it
counts and what stands behind it.
"""

from importlib import import_module
from pkgutil import iter_modules

from mcusim.conventions.registry import CONVENTIONS, Convention, Ledger, count, find_convention

__all__ = ["CONVENTIONS", "Convention", "Ledger", "count", "find_convention"]

for _module in iter_modules(__path__):
    if not _module.ispkg:
        import_module(f"{__name__}.{_module.name}")
