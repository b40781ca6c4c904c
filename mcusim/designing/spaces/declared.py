"""A search space as a TOML file: the network's parts in order, a list wherever there is something to choose.

    title = "mine"

    [tasks]                                     # the first is meant where none is named
    imagenet = { dataset = "ImageNet", classes = 1000 }

    [choices]                                   # of the whole network, by name
    resolution = [96, 128]
    width = [0.5, 1.0]

    [network]
    input = ["resolution", "resolution", 3]     # a name stands for what was chosen
    padding = "explicit"
    channels = { multiple = 8, round = "nearest" }

    [[part]]
    name = "stage 1"
    op = "mbconv"                               # a layer of a description (docs/zoo.md), and its keys
    blocks = [2, 3, 4]                          # so many of them, one after the other
    kernel = [3, 5, 7]                          # chosen for each block
    out_channels = 24
    width = "width"                             # times this, rounded; a list is chosen once for the part
    stride = 2                                  # of the first block

`hidden` and `hidden_width` are the channels inside a block where they are chosen by themselves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mcusim.designing.spaces.choosing import Choices
from mcusim.designing.spaces.space import GRIDS, Space
from mcusim.errors import InputError, did_you_mean, key_fix
from mcusim.files import MOST_TOML_BYTES, NOT_PARSED, parse_toml, reason_of, text_of
from mcusim.frontends.layers import LAYERS, BorderStyle

__all__ = ["declared_names", "known_space", "read_space"]

_OF_PART = ("op", "name", "blocks", "width", "hidden_width", "padded_shortcut")
_CHOSEN = ("kernel", "expand", "out_channels", "hidden", "hidden_width", "activation", "multiplier", "squeeze")
"""Keys whose lists are options for each block."""
_ONCE = ("blocks", "width")
"""Keys whose lists are options for the part."""
_SUFFIX = ".toml"
_LISTED_BY = "docs/search.md"
_MOST_BLOCKS = 1000
_UNCOUNTED = 10**300
"""No float holds more, and nobody reads it."""


class Rounding(StrEnum):
    """How channels times a width become a multiple.

    NEAREST: never below 90 % of the product (`make_divisible` of the MobileNet line).   DOWN: cut down.
    """

    NEAREST = "nearest"
    DOWN = "down"


class _Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dataset: str
    classes: int
    task: str = "classification"


class _Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    multiple: int = 8
    round: Rounding = Rounding.NEAREST


class _Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input: list[int | str]
    padding: BorderStyle = BorderStyle.SAME
    channels: _Channels = _Channels()


class _Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    grids: list[int]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: _Network
    part: list[dict[str, Any]]
    title: str = ""
    source: str = ""
    note: str = ""
    tasks: dict[str, _Task] = {}
    choices: dict[str, list[int | float | str]] = {}
    schedule: _Schedule | None = None


class _Part(NamedTuple):
    """name: for its choices.   blocks, width: options.   layer: the keys of its layers; lists are options."""

    name: str
    blocks: tuple[int, ...]
    width: tuple[float, ...] | str | None
    hidden_width: tuple[float, ...] | str | None
    padded_shortcut: bool
    layer: dict[str, Any]


@cache
def declared_names() -> tuple[str, ...]:
    """The spaces that come with mcusim, sorted."""
    names = (file.name for file in files("mcusim.designing.spaces").joinpath("published").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


@cache
def known_space(family: str, task: str) -> Space:
    """A space that comes with mcusim. task: "" for its first. Raises InputError for an unknown task."""
    text = files("mcusim.designing.spaces").joinpath("published", f"{family}{_SUFFIX}").read_text(encoding="utf-8")
    return _space(text, family, task, f"space '{family}'")


def read_space(path: Path, task: str = "") -> Space:
    """The space of a user's file. Raises InputError where it cannot be read, or is wrong."""
    try:
        text = text_of(path, MOST_TOML_BYTES)
    except (OSError, ValueError) as error:
        why = reason_of(error)
        raise InputError(f"cannot be read: {why}", where=str(path), fix="name a TOML file") from None
    return _space(text, path.stem, task, str(path))


def _space(text: str, name: str, task: str, where: str) -> Space:
    try:
        file = msgspec.convert(parse_toml(text), _File)
    except msgspec.ValidationError as error:
        raise InputError(str(error), where=where, fix=key_fix(str(error), _keys(), listed_by=_LISTED_BY)) from None
    except NOT_PARSED as error:
        raise InputError(" ".join(str(error).split()), where=where, fix="mend the line; it is TOML") from None
    known = _task_of(file, task, where)
    declared = _Declared(file, known.classes if known is not None else None, where)
    return Space(
        name=f"{name}:{task}" if task else name,
        make=declared.network,
        size=declared.size(),
        names={name: tuple(options) for name, options in file.choices.items()},
        grids=GRIDS if file.schedule is None else _grids(file.schedule.grids, where),
        title=file.title or name,
        task=known.task if known is not None else "classification",
        dataset=known.dataset if known is not None else "",
        source=file.source,
        note=file.note,
    )


def _task_of(file: _File, task: str, where: str) -> _Task | None:
    if not task:
        return next(iter(file.tasks.values()), None)
    if task not in file.tasks:
        fix = f"use {', '.join(file.tasks)}" if file.tasks else "leave the task out"
        raise InputError(f"it has no task '{task}'", where=where, fix=fix)
    return file.tasks[task]


def _grids(grids: Sequence[int], where: str) -> tuple[int, ...]:
    if not grids or min(grids) < 1:
        raise InputError(f"schedule: grids is {list(grids)}", where=where, fix="list whole numbers, 1 or more")
    return tuple(sorted(set(grids)))


def _keys() -> dict[str, tuple[str, ...]]:
    """Of each kind of table, by how its path begins."""
    kinds = {"$": _File, "$.network": _Network, "$.network.channels": _Channels, "$.schedule": _Schedule}
    return {start: kind.__struct_fields__ for start, kind in (kinds | {"$.tasks": _Task}).items()}


class _Declared:
    """A file, checked: `network` is the space's function."""

    def __init__(self, file: _File, classes: int | None, where: str) -> None:
        self.file, self.where = file, where
        self.constants = {} if classes is None else {"classes": classes}
        for name, options in file.choices.items():
            if not options:
                raise InputError(f"choice '{name}' has no options", where=where, fix="list at least one")
            if name in self.constants:
                raise InputError(f"'{name}' is taken", where=where, fix="give the choice another name")
        if not file.part:
            raise InputError("it has no parts, so it holds no network", where=where, fix="add a [[part]]")
        self.parts = [self._part(part, number) for number, part in enumerate(file.part, 1)]
        most_blocks = sum(max(part.blocks) for part in self.parts)
        if most_blocks > _MOST_BLOCKS:
            what = f"its parts have up to {most_blocks:,} blocks, and {_MOST_BLOCKS:,} are allowed"
            raise InputError(what, where=where, fix="list fewer under `blocks`")
        doubles = {name for name, count in Counter(part.name for part in self.parts).items() if count > 1}
        if doubles:
            what = f"two parts are called '{min(doubles)}'"
            raise InputError(what, where=where, fix="give each a name of its own")
        for side in file.network.input:
            self._check_name(side, "network: input")

    def size(self) -> int | None:
        """Ways to choose: some give the same network, as channels are rounded. None: more than anyone counts."""
        total = math.prod(len(options) for options in self.file.choices.values())
        for part in self.parts:
            options_of_block = math.prod(len(value) for key, value in part.layer.items() if _is_choice(key, value))
            options_of_block *= _options(part.hidden_width)
            total *= sum(options_of_block**blocks for blocks in part.blocks) * _options(part.width)
        return total if total < _UNCOUNTED else None

    def network(self, choices: Choices) -> dict[str, Any]:
        """The network of these choices, as a description."""
        known: dict[str, Any] = dict(self.constants)
        for name, options in self.file.choices.items():
            known[name] = _chosen(options, name, choices)
        network = self.file.network
        shape = [known[side] if isinstance(side, str) else side for side in network.input]
        layers: list[dict[str, Any]] = []
        channels = shape[-1]
        for part in self.parts:
            for layer in self._layers(part, choices, known, channels):
                layers.append(layer)
                channels = _channels_behind(layer, channels)
        return {"input": shape, "padding": str(network.padding), "layers": layers}

    def _layers(self, part: _Part, choices: Choices, known: Mapping[str, Any], in_c: int) -> Iterator[dict[str, Any]]:
        blocks = _chosen(part.blocks, f"{part.name} blocks", choices)
        width = self._width(part.width, f"{part.name} width", choices, known)
        for block in range(1, blocks + 1):
            at = f"{part.name}.{block}" if max(part.blocks) > 1 else part.name
            layer = {"op": part.layer["op"]}
            for key, value in part.layer.items():
                if _is_choice(key, value):
                    value = _chosen(value, f"{at} {key}", choices)
                layer[key] = _named(value, known)
            if "stride" in layer and block > 1:
                del layer["stride"]
            if width is not None:
                layer["out_channels"] = self._rounded(layer["out_channels"] * width)
            inside = self._width(part.hidden_width, f"{at} hidden_width", choices, known)
            if inside is not None:
                layer["hidden"] = self._rounded(layer["hidden"] * inside)
            if layer["op"] == "mbconv" and "shortcut" not in layer:
                _add_shortcut(layer, in_c, part.padded_shortcut)
            in_c = _channels_behind(layer, in_c)
            yield layer

    def _width(
        self, width: tuple[float, ...] | str | None, name: str, choices: Choices, known: Mapping[str, Any]
    ) -> float | None:
        if width is None:
            return None
        return float(known[width] if isinstance(width, str) else _chosen(width, name, choices))

    def _rounded(self, wanted: float) -> int:
        rule = self.file.network.channels
        step = rule.multiple
        if rule.round is Rounding.DOWN:
            return max(step, int(wanted + 1e-9) // step * step)
        nearest = max(step, int(wanted + step / 2) // step * step)
        return nearest + step if nearest < 0.9 * wanted else nearest

    def _part(self, part: Mapping[str, Any], number: int) -> _Part:
        """One part, its keys checked."""
        where = f"{self.where}: part {number}"
        op = part.get("op")
        if not isinstance(op, str) or op not in LAYERS:
            fix = did_you_mean(str(op), LAYERS, listed_by="docs/zoo.md")
            raise InputError(f"op is {op!r:.60}, no kind of layer", where=where, fix=fix)
        keys = LAYERS[op].options.__struct_fields__
        for key, value in part.items():
            if key not in keys and key not in _OF_PART:
                fix = did_you_mean(key, (*keys, *_OF_PART), listed_by=_LISTED_BY)
                if not fix.startswith("did"):
                    fix = f"its keys are {', '.join((*_OF_PART, *keys))}"
                raise InputError(f"{op} has no key '{key}'", where=where, fix=fix)
            if key in (*_CHOSEN, *_ONCE) and isinstance(value, list) and not value:
                raise InputError(f"'{key}' has no options", where=where, fix="list at least one")
            if key not in _OF_PART or key.endswith("width"):
                for one in value if isinstance(value, list) else [value]:
                    if not key.endswith(("activation", "padding")):
                        self._check_name(one, f"part {number}: {key}")
        for width, of in (("width", "out_channels"), ("hidden_width", "hidden")):
            if width in part and of not in part:
                raise InputError(f"'{width}' has no '{of}' to go with", where=where, fix=f"add {of}")
        name = str(part.get("name", f"part {number}"))
        layer = {key: value for key, value in part.items() if key not in _OF_PART or key == "op"}
        if "name" in part and not any(_is_choice(key, value) for key, value in part.items()) and "blocks" not in part:
            layer["name"] = name
        return _Part(
            name,
            self._blocks(part.get("blocks", 1), where),
            _width_options(part.get("width"), where),
            _width_options(part.get("hidden_width"), where),
            bool(part.get("padded_shortcut", False)),
            layer,
        )

    def _blocks(self, blocks: Any, where: str) -> tuple[int, ...]:
        options = tuple(blocks) if isinstance(blocks, list) else (blocks,)
        if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in options):
            raise InputError(f"blocks is {blocks!r:.60}", where=where, fix="use whole numbers, as in [2, 3, 4]")
        return options

    def _check_name(self, value: Any, place: str) -> None:
        """A string stands for a choice of the whole network, or for what the task gives."""
        names = (*self.file.choices, *self.constants)
        if isinstance(value, str) and value not in names:
            fix = did_you_mean(value, names, listed_by="[choices]") if names else "add it to [choices]"
            raise InputError(f"{place}: '{value}' is no choice", where=self.where, fix=fix)


def _channels_behind(layer: Mapping[str, Any], in_c: int) -> int:
    """A padded shortcut leaves as many channels as the wider of its two sides."""
    out_c = int(layer.get("out_channels", in_c))
    return max(in_c, out_c) if layer.get("padded_shortcut") else out_c


def _add_shortcut(layer: dict[str, Any], in_c: int, padded: bool) -> None:
    """Wherever the shapes allow it, as in the released networks; a block that does not expand has none."""
    expands = layer.get("hidden", 0) or layer.get("expand", 1) != 1
    if layer.get("stride", 1) != 1 or not expands:
        return
    if in_c == layer["out_channels"]:
        layer["shortcut"] = True
    elif padded:
        layer["padded_shortcut"] = True


def _width_options(width: Any, where: str) -> tuple[float, ...] | str | None:
    if width is None or isinstance(width, str):
        return width
    options = tuple(width) if isinstance(width, list) else (width,)
    if any(isinstance(one, bool) or not isinstance(one, int | float) or not 0 < one < math.inf for one in options):
        raise InputError(f"width is {width!r:.60}", where=where, fix="use numbers above 0, as in [0.5, 1.0]")
    return options


def _is_choice(key: str, value: Any) -> bool:
    return key in _CHOSEN and isinstance(value, list)


def _options(width: tuple[float, ...] | str | None) -> int:
    return len(width) if isinstance(width, tuple) else 1


def _chosen(options: Sequence[Any], name: str, choices: Choices) -> Any:
    """One option alone is nothing to choose, but it can be held."""
    return choices.choice(options, name) if len(options) > 1 or choices.holds(name) else options[0]


def _named(value: Any, known: Mapping[str, Any]) -> Any:
    """Names of choices as what was chosen."""
    if isinstance(value, list):
        return [_named(one, known) for one in value]
    return known.get(value, value) if isinstance(value, str) else value
