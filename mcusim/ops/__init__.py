"""Operators, one file each. Importing this package registers them all."""

from importlib import import_module
from pkgutil import iter_modules

from mcusim.ops.registry import OPS, Movement, OpDef, Work, WorkKind, attributes_of, op_of, register

__all__ = ["OPS", "Movement", "OpDef", "Work", "WorkKind", "attributes_of", "op_of", "register"]

for _module in iter_modules(__path__):
    if not _module.ispkg:
        import_module(f"{__name__}.{_module.name}")
