"""Since when TFLM has what it has, as far as its public history tells: firmware often carries an older release.

Each line is a pull request that brought an operator, or a type of one. Its month is that of its last public word: TFLM
has no numbered releases, and is named by date. What has no line was there before 2021, or nobody looked it up.
Source: pull requests of tensorflow/tflite-micro, and of tensorflow/tensorflow where it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from mcusim.graph import Graph
from mcusim.runtimes.conditions import Numbers, numbers_of, takes
from mcusim.runtimes.registry import Need

__all__ = ["needs"]


class _Brought(NamedTuple):
    """What a pull request brought to an operator.

    types: the form that is newer than the operator; "" for the operator itself.   per_channel: only weights of several
    scales.
    """

    since: str
    pull: str
    types: str = ""
    per_channel: bool = False


_INT16 = "int16 ... > ..."
_INT4 = "int8 int4 ... > int8"

_BROUGHT: Mapping[str, tuple[_Brought, ...]] = MappingProxyType(
    {
        "FULLY_CONNECTED": (
            _Brought("2024-09", "#2673", "int8|int16 int8 ... > ...", per_channel=True),
            _Brought("2022-11", "#1547", _INT4),
            _Brought("2021-06", "#207", _INT16),
        ),
        "CONV_2D": (_Brought("2022-10", "#1472", _INT4), _Brought("2021-06", "#207", _INT16)),
        "DEPTHWISE_CONV_2D": (_Brought("2022-11", "#1547", _INT4), _Brought("2021-06", "#207", _INT16)),
        "AVERAGE_POOL_2D": (_Brought("2022-11", "#1591", _INT16),),
        "MAX_POOL_2D": (_Brought("2022-11", "#1591", _INT16),),
        "ADD": (_Brought("2021-06", "#220", _INT16),),
        "MUL": (_Brought("2022-11", "#1535", _INT16),),
        "SQUARED_DIFFERENCE": (_Brought("2023-03", "#1754", _INT16),),
        "TRANSPOSE": (_Brought("2025-01", "#3028", _INT16),),
        "UNPACK": (_Brought("2025-01", "#3028", _INT16),),
        "GREATER": (_Brought("2025-01", "#3028", _INT16),),
        "DIV": (_Brought("2022-07", "#1274"),),
        "SUM": (_Brought("2022-07", "#1274"),),
        "BROADCAST_TO": (_Brought("2022-03", "#964"),),
        "BROADCAST_ARGS": (_Brought("2022-03", "#967"),),
        "EMBEDDING_LOOKUP": (_Brought("2023-05", "#1872"),),
        "REDUCE_MIN": (_Brought("2025-05", "#3113"),),
        "REVERSE_V2": (_Brought("2025-06", "#3123"),),
        "REDUCE_ALL": (_Brought("2025-12", "#3269"),),
        "CUSTOM:TFLM_DECODE": (_Brought("2025-10", "#3132"),),
        "CUMSUM": (_Brought("2021-03", "tensorflow#47790"),),
        "ELU": (_Brought("2021-02", "tensorflow#47284"),),
        "ADD_N": (_Brought("2021-01", "tensorflow#46206"),),
    }
)


def needs(graph: Graph) -> Iterator[Need]:
    """The release that each node needs, where history tells. Of several changes, the newest."""
    for index, numbers in numbers_of(graph):
        brought = [each for each in _BROUGHT.get(numbers.signature.op, ()) if _is_used(each, numbers)]
        if brought:
            newest = max(brought)
            yield Need(index, newest.since, _reason(newest, numbers))


def _is_used(brought: _Brought, numbers: Numbers) -> bool:
    if brought.types and not takes(brought.types, numbers.signature):
        return False
    weights = numbers.operand(1)
    is_per_channel = weights is not None and weights.quantization is not None and weights.quantization.is_per_channel
    return is_per_channel or not brought.per_channel


def _reason(brought: _Brought, numbers: Numbers) -> str:
    op = numbers.signature.op.removeprefix("CUSTOM:")
    if brought.per_channel:
        what = f"{op} with a scale a channel"
    elif brought.types:
        types = " with ".join(dict.fromkeys(str(each.dtype) for each in numbers.signature.inputs[:2] if each))
        what = f"{op} of {types}"
    else:
        what = op
    return f"{what} came with pull request {brought.pull}"
