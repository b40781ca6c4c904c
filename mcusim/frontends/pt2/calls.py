"""One call of a PyTorch operator, as an exported program writes it, and the steps that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.pt2.archive import DTYPES
from mcusim.frontends.qdq import Step, Value
from mcusim.frontends.qdq.network import Array, Attribute
from mcusim.graph import Shape

__all__ = ["AtenCall", "Program"]

_PLAIN = ("as_int", "as_float", "as_bool", "as_ints", "as_floats", "as_bools", "as_string", "as_scalar_type")


@dataclass(slots=True)
class Program:
    """What grows while a program is read.   values: of all tensors.   constants: elements by value's name."""

    values: Mapping[str, Value]
    constants: dict[str, Array]
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AtenCall:
    """An operator's name without namespace and overload, its arguments by name, and its outputs."""

    name: str
    op: str
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...]
    program: Program

    def refuse(self, what: str, fix: str) -> ModelError:
        return ModelError(what, where=f"node '{self.name[:80]}' ({self.op})", fix=fix)

    # Arguments

    def has(self, name: str) -> bool:
        argument = self.arguments.get(name)
        return argument is not None and "as_none" not in argument

    def plain(self, name: str, default: Any = None) -> Any:
        """A number, list of numbers or text; `default` where it is left out."""
        argument = self.arguments.get(name)
        if argument is None or "as_none" in argument:
            return default
        value = next((argument[key] for key in _PLAIN if key in argument), None)
        if value is None:
            raise self.refuse(f"its {name} is computed at run time", "export it with fixed shapes")
        return value

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        value = self.plain(name, default)
        if isinstance(value, int):
            return (value,)
        try:
            return tuple(int(each) for each in value)
        except (TypeError, ValueError):
            raise self.refuse(f"its {name} are no integers", "export it with fixed shapes") from None

    def pair(self, name: str, default: int, rank: int = 2) -> tuple[int, ...]:
        """One number for each spatial axis."""
        sizes = self.integers(name, (default,)) or (default,)
        return sizes * rank if len(sizes) == 1 else sizes

    def tensor(self, name: str) -> str:
        """The name of a tensor argument; "" where it is left out. A number becomes a constant."""
        argument = self.arguments.get(name) or {}
        for key in ("as_tensor", "as_optional_tensor"):
            inner = argument.get(key)
            if isinstance(inner, dict):
                return str(inner.get("name") or inner.get("as_tensor", {}).get("name", ""))
        number = argument.get("as_float", argument.get("as_int"))
        return "" if number is None else self.constant(name, np.array(number, np.float32))

    def tensors(self, name: str) -> tuple[str, ...]:
        return tuple(str(each["name"]) for each in (self.arguments.get(name) or {}).get("as_tensors", ()))

    def dtype(self, name: str) -> str:
        """numpy's name of an element type."""
        kind = DTYPES.get(self.plain(name, 0))
        if kind is None:
            raise self.refuse("it has an element type that TFLite has not", "quantise to int8")
        return kind

    # Results

    @property
    def output(self) -> str:
        return self.outputs[0]

    def shape(self, value: str) -> Shape:
        described = self.program.values.get(value)
        constant = self.program.constants.get(value)
        if constant is not None:
            return constant.shape
        if described is None:
            raise self.refuse(f"the shape of '{value[:60]}' is not known", "export it with fixed shapes")
        return described.shape

    def constant(self, part: str, elements: Array) -> str:
        name = f"{self.output}/{part}"
        self.program.constants[name] = elements
        return name

    def integers_constant(self, part: str, values: tuple[int, ...]) -> str:
        return self.constant(part, np.array(values, np.int64))

    def step(self, op: str, *inputs: str, outputs: tuple[str, ...] | None = None, **attributes: Attribute) -> None:
        """Add a step that gives this call's outputs, or others."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        self.program.steps.append(Step(self.name, op, tuple(given), outputs or self.outputs, attributes))
