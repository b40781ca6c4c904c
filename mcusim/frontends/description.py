"""A network as plain data: what `mcusim.load(dict)` takes and what the zoo's TOML files hold.

    graph_from_dict({
        "name": "tiny",
        "input": [96, 96, 3],
        "layers": [
            {"op": "conv_2d", "kernel": 3, "stride": 2, "out_channels": 16, "activation": "relu6"},
            {"op": "mbconv", "kernel": 5, "expand": 4, "out_channels": 16, "shortcut": True},
            {"op": "average_pool_2d"},
            {"op": "reshape", "shape": [1, -1]},
            {"op": "fully_connected", "out_channels": 10},
        ],
    })

Keys of the network: `name`; `input`, a shape, or `inputs`, shapes by name; `layers`; `outputs`, names of layers (the
last layer without it); `dtype` (int8 without it); `padding`, a `BorderStyle`. Three numbers are rows, columns and
channels of one sample; any other shape is taken as it stands. A layer reads the layer before it unless it has `input`,
or `inputs` for several, with names of layers or of network inputs. `LAYERS` has every kind of layer and its keys.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from mcusim.errors import ModelError, did_you_mean
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.layers import LAYERS, BorderStyle, Layer, Options, Place
from mcusim.frontends.wording import words_for
from mcusim.graph import DType, Graph
from mcusim.source import Source

__all__ = ["graph_from_dict"]

T = TypeVar("T", bound=msgspec.Struct)

LISTED_BY = "docs/zoo.md"
"""Where a user finds the keys and the layers."""

_SHOWN = reprlib.Repr()
"""Shows a wrong value, however long, in a sentence."""
_SHOWN.maxstring = 60

_COMMON_KEYS = ("op", "name", "input", "inputs")


class _Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of a description; layers are checked one by one."""

    layers: list[dict[str, Any]]
    name: str = "network"
    input: list[int] | None = None
    inputs: dict[str, list[int]] | None = None
    outputs: list[str] | None = None
    dtype: DType = DType.INT8
    padding: BorderStyle = BorderStyle.SAME


def graph_from_dict(description: Mapping[str, Any], *, source: Source | None = None) -> Graph:
    """The Graph of a network described by plain data, as `docs/zoo.md` tells.

    source: where the description comes from.
    Raises ModelError, naming the layer by its number (from 1) and kind, for unknown keys and kinds, wrong values and
    shapes that do not go together.
    """
    where = "network"
    if not isinstance(description, Mapping):
        raise ModelError(f"is a {type(description).__name__}", where=where, fix="describe it by a dict")
    if isinstance(description.get("name"), str):
        where = f"network '{description['name']}'"
    network = _read(description, _Network, where)
    builder = GraphBuilder(network.name, network.dtype)
    known = _add_inputs(builder, network, where)
    if not network.layers:
        raise ModelError("has no layers", where=where, fix="list at least one under `layers`")
    previous = next(iter(known.values()))
    for number, layer in enumerate(network.layers, 1):
        previous = _add_layer(builder, layer, number, previous, known, network.padding)
    outputs = [previous] if network.outputs is None else [_look_up(name, known, where) for name in network.outputs]
    return builder.build(outputs, source)


def _add_inputs(builder: GraphBuilder, network: _Network, where: str) -> dict[str, int]:
    """Add the network's inputs; the names that layers may use so far."""
    if (network.input is None) == (network.inputs is None):
        what = "has no input" if network.input is None else "has both `input` and `inputs`"
        raise ModelError(what, where=where, fix="give `input` a shape, such as [96, 96, 3], or `inputs` shapes by name")
    shapes = {"input": network.input} if network.input is not None else network.inputs or {}
    if not shapes:
        raise ModelError("has no input", where=where, fix="name at least one under `inputs`")
    return {
        name: builder.input((1, *shape) if len(shape) == 3 else tuple(shape), name=name)
        for name, shape in shapes.items()
    }


def _add_layer(
    builder: GraphBuilder,
    layer: Mapping[str, Any],
    number: int,
    previous: int,
    known: dict[str, int],
    style: BorderStyle,
) -> int:
    """Add one layer, and its name to `known`; its output tensor."""
    op = layer.get("op")
    kind = LAYERS.get(op) if isinstance(op, str) else None
    if kind is None:
        _refuse_kind(op, number)
    where = f"layer {number} ({op})"
    name = _name_of(layer, where, known)
    place = Place(builder, _inputs_of(layer, where, previous, known), f"{op}_{number}" if name is None else name, style)
    try:
        output = kind.add(place, _options(layer, kind, where))
    except ModelError as error:
        if error.where == where:
            raise
        raise ModelError(error.what, where=where, fix=error.fix) from error
    if name is not None:
        known[name] = output
    return output


def _refuse_kind(op: object, number: int) -> NoReturn:
    if op is None:
        raise ModelError("has no `op`", where=f"layer {number}", fix='say what it is, such as "op": "conv_2d"')
    raise ModelError(
        f"{op!r} is not a kind of layer",
        where=f"layer {number}",
        fix=did_you_mean(str(op), LAYERS, listed_by=LISTED_BY),
    )


def _name_of(layer: Mapping[str, Any], where: str, known: Mapping[str, int]) -> str | None:
    name = layer.get("name")
    if name is None or (isinstance(name, str) and name not in known):
        return name
    what = f"the name {name!r} is taken" if isinstance(name, str) else f"`name` is {name!r}"
    raise ModelError(what, where=where, fix="give each layer a name of its own, as a string, or none")


def _inputs_of(layer: Mapping[str, Any], where: str, previous: int, known: Mapping[str, int]) -> tuple[int, ...]:
    if "inputs" in layer:
        names = layer["inputs"]
        if "input" in layer:
            raise ModelError("has both `input` and `inputs`", where=where, fix="keep one of them")
        if isinstance(names, str) or not isinstance(names, Sequence) or not names:
            raise ModelError(f"`inputs` is {names!r}", where=where, fix="give it a list of names")
        return tuple(_look_up(name, known, where) for name in names)
    if "input" in layer:
        return (_look_up(layer["input"], known, where),)
    return (previous,)


def _look_up(name: object, known: Mapping[str, int], where: str) -> int:
    tensor = known.get(name) if isinstance(name, str) else None
    if tensor is None:
        near = did_you_mean(str(name), known, listed_by=LISTED_BY)
        fix = near if near.startswith("did") else f"use one of {', '.join(map(repr, known))}, or name a layer above it"
        raise ModelError(f"there is no layer or input named {name!r} before it", where=where, fix=fix)
    return tensor


def _options(layer: Mapping[str, Any], kind: Layer, where: str) -> Options:
    return _read({key: value for key, value in layer.items() if key not in _COMMON_KEYS}, kind.options, where)


def _read(values: Mapping[str, Any], kind: type[T], where: str) -> T:
    """`values` as `kind`, or a ModelError that names the key."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError:
        pass  # perhaps only because of numbers or containers that are not Python's own
    try:
        return msgspec.convert(_plain(values), kind)
    except msgspec.ValidationError as error:
        _refuse(values, kind, where, str(error))


def _refuse(values: Mapping[str, Any], kind: type[msgspec.Struct], where: str, complaint: str) -> NoReturn:
    """Say what is wrong in the words of the description."""
    keys = kind.__struct_fields__
    common = _COMMON_KEYS if issubclass(kind, Options) else ()
    for key in values:
        if key not in keys:
            fix = did_you_mean(str(key), (*keys, *common), listed_by=LISTED_BY)
            if not fix.startswith("did"):
                fix = f"its keys are {', '.join((*common, *keys))}"
            raise ModelError(f"has an unknown key {key!r}", where=where, fix=fix)
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in values:
            raise ModelError(f"has no `{field.name}`", where=where, fix=f"add `{field.name}`")
    what, _, path = complaint.partition(" - at `$.")
    key = path.rstrip("`").partition(".")[0].partition("[")[0]
    if key in values:
        allowed = next(words_for(field.type) for field in msgspec.structs.fields(kind) if field.name == key)
        raise ModelError(f"`{key}` is {_SHOWN.repr(values[key])}", where=where, fix=f"use {allowed}")
    raise ModelError(what, where=where, fix=f"see {LISTED_BY}")


def _plain(value: Any) -> Any:
    """numpy's integers, tuples and mappings as Python's own, which is all that descriptions are made of."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, bool | int | float | str) and hasattr(value, "__index__"):
        return operator.index(value)
    return value
