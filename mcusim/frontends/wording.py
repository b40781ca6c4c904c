"""What a key may hold, in words: for the errors of descriptions."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["words_for"]


def words_for(hint: Any) -> str:
    """`a whole number of 1 or more`, for an annotation that msgspec understands; "" for one that has no plain words."""
    return _words(msgspec.inspect.type_info(hint))


def _words(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(filter(None, dict.fromkeys(_words(one) for one in types)))
        case msgspec.inspect.Metadata(type=inner):
            return _words(inner)
        case msgspec.inspect.EnumType(cls=cls):
            return f"one of {', '.join(str(member.value) for member in cls)}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.StrType():
            return "a text"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return ("a whole number" if isinstance(kind, msgspec.inspect.IntType) else "a number") + _limits(kind)
        case msgspec.inspect.TupleType(item_types=types):
            return f"a list of {len(types)}, each {' or '.join(dict.fromkeys(_words(one) for one in types))}"
        case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item):
            return f"a list with each entry {_words(item)}"
        case msgspec.inspect.DictType(value_type=value):
            value_words = _words(value)
            return f"a dict with for each name {value_words}" if value_words else "a dict"
        case _:
            return ""


def _limits(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    least = "" if kind.ge is None else f" of {kind.ge:g} or more"
    return least if kind.gt is None else f" above {kind.gt:g}"
