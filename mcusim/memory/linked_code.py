"""The code of a linked firmware, item by item: what each operator of a network brought in, and what nothing needs.

An ELF file for Arm tells exactly, by what reaches what (`linkage`). A map file tells by object files: conv.o and
conv_common.o are CONV_2D's, arm_convolve_s8.o too. Where neither tells - other processors, link-time optimisation,
no symbols - there is one item.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from mcusim.memory.linkage import RUNTIME, registered, serving
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.report import Basis
from mcusim.runtimes import CodeItem

__all__ = ["linked_items", "linked_operators", "unit_operators"]

_Served = list[tuple[str, int, frozenset[str]]]

_UNITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "activations": ("RELU", "RELU6"),
        "arg_min_max": ("ARG_MAX", "ARG_MIN"),
        "arm_avgpool": ("AVERAGE_POOL_2D",),
        "arm_convolve": ("CONV_2D",),
        "arm_depthwise_conv": ("DEPTHWISE_CONV_2D",),
        "arm_elementwise_add": ("ADD",),
        "arm_elementwise_mul": ("MUL",),
        "arm_fully_connected": ("FULLY_CONNECTED",),
        "arm_lstm": ("UNIDIRECTIONAL_SEQUENCE_LSTM",),
        "arm_max_pool": ("MAX_POOL_2D",),
        "arm_maximum": ("MAXIMUM",),
        "arm_minimum": ("MINIMUM",),
        "arm_pad": ("PAD", "PADV2"),
        "arm_softmax": ("SOFTMAX",),
        "arm_svdf": ("SVDF",),
        "arm_transpose_conv": ("TRANSPOSE_CONV",),
        "comparisons": ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"),
        "conv": ("CONV_2D",),
        "depthwise_conv": ("DEPTHWISE_CONV_2D",),
        "elementwise": ("ABS", "COS", "LOG", "LOGICAL_NOT", "RSQRT", "SIN", "SQRT", "SQUARE"),
        "l2norm": ("L2_NORMALIZATION",),
        "logical": ("LOGICAL_AND", "LOGICAL_OR"),
        "lstm_eval": ("UNIDIRECTIONAL_SEQUENCE_LSTM",),
        "maximum_minimum": ("MAXIMUM", "MINIMUM"),
        "pad": ("PAD", "PADV2"),
        "pooling": ("AVERAGE_POOL_2D", "MAX_POOL_2D"),
        "reduce": ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"),
        "reverse": ("REVERSE_V2",),
        "select": ("SELECT_V2",),
    }
)
"""Object files whose names are not those of their operator, without `_common` and what follows a library's name."""

_INTERPRETER = ("micro_", "greedy_memory_planner", "single_arena", "persistent_arena", "flatbuffer_", "memory_helpers")


def unit_operators(unit: str) -> frozenset[str]:
    """Operators that an object file of TFLM or CMSIS-NN serves; {RUNTIME} for the interpreter's own."""
    if unit.startswith(_INTERPRETER):
        return frozenset({RUNTIME})
    base = unit.removesuffix("_common")
    if base in _UNITS:
        return frozenset(_UNITS[base])
    if base.startswith("arm_"):
        return frozenset(op for name, ops in _UNITS.items() if base.startswith(name) for op in ops)
    return frozenset()


def linked_operators(firmware: LinkedFirmware) -> frozenset[str]:
    """Operators whose `Register_...` function is in the firmware; empty where it does not tell."""
    return frozenset(operator for piece in firmware.pieces if (operator := registered(piece.name)) is not None)


def linked_items(firmware: LinkedFirmware, needed: frozenset[str], code_bytes: int) -> tuple[CodeItem, ...]:
    """Items that add up to `code_bytes`, what the firmware stores beside the model."""
    linked = linked_operators(firmware)
    served = _by_reach(firmware) if firmware.functions else _by_unit(firmware, linked | needed)
    items = [_item(name, served, needed) for name in sorted(linked & needed)]
    items.sort(key=lambda item: -(item.size_bytes or 0))
    if linked:
        parts = {
            "shared by operators": ("helpers that more than one of them needs", _shared(served, needed)),
            "interpreter": ("planner, allocator, reader of the file", _only(served, frozenset({RUNTIME}))),
            "other operators": (_named(linked - needed), _foreign(served, needed)),
        }
        items += [CodeItem(name, size, Basis.MEASURED, why) for name, (why, size) in parts.items() if size]
    rest = code_bytes - sum(item.size_bytes or 0 for item in items)
    why = "application, drivers, libraries, constants" if items else "kernels, runtime and application together"
    return (*items, CodeItem("everything else" if items else "code", rest, Basis.MEASURED, why))


def _by_reach(firmware: LinkedFirmware) -> _Served:
    functions = firmware.functions
    return [(functions[at].name, functions[at].size_bytes, ops) for at, ops in serving(functions).items()]


def _by_unit(firmware: LinkedFirmware, known: Iterable[str]) -> _Served:
    """By object files. An operator's own name, in small letters, is the rule."""
    own = {operator.lower(): frozenset({operator}) for operator in known}
    served: _Served = []
    for piece in firmware.pieces:
        if piece.is_code and piece.unit:
            operators = unit_operators(piece.unit) or own.get(piece.unit.removesuffix("_common"), frozenset())
            if operators:
                served.append((piece.name, piece.size_bytes, operators))
    return served


def _item(operator: str, served: _Served, needed: frozenset[str]) -> CodeItem:
    """What only this operator of the network needs."""
    functions: dict[str, int] = defaultdict(int)
    total = 0
    for name, size, operators in served:
        if operators & needed == {operator}:
            total += size
            if name.startswith("arm_"):
                functions[name] += size
    largest = sorted(functions, key=lambda name: -functions[name])[:2]
    listed = ", ".join(f"{name} {functions[name]:,}" for name in largest)
    return CodeItem(operator, total, Basis.MEASURED, f"as linked{': ' if listed else ''}{listed}", dict(functions))


def _shared(served: _Served, needed: frozenset[str]) -> int:
    return sum(size for _, size, operators in served if len(operators & needed) > 1)


def _only(served: _Served, operators: frozenset[str]) -> int:
    return sum(size for _, size, served_by in served if served_by == operators)


def _foreign(served: _Served, needed: frozenset[str]) -> int:
    return sum(size for _, size, operators in served if not operators & needed and RUNTIME not in operators)


def _named(operators: frozenset[str]) -> str:
    shown = sorted(operators)[:6]
    more = f" and {len(operators) - len(shown)} more" if len(operators) > len(shown) else ""
    return f"linked, and not needed by this network: {', '.join(shown)}{more}"
