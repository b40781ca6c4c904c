"""Runtimes, one file each. Importing this package registers them all."""

from importlib import import_module
from pkgutil import iter_modules

from mcusim.runtimes.registry import RUNTIMES, CodeItem, Flash, Kernel, LedgerItem, Persistent, Runtime, find_runtime

__all__ = ["RUNTIMES", "CodeItem", "Flash", "Kernel", "LedgerItem", "Persistent", "Runtime", "find_runtime"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
