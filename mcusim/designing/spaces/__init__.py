"""Search spaces by name: those of published work, a user's TOML file, a user's Python function.

    mcunet, mcunet:vww, mcunetv2, mcunetv2:vww, mcunetv2:voc, micronets-vww, micronets-kws      come with mcusim
    my_space.toml, my_space.toml:vww                                                            a file (`declared`)
    my_module:my_function                                                                       a function of `Choices`

A sweep draws networks from a space, a plot compares its parts, a search looks for its best network: all three by
`Space.made`.
"""

from __future__ import annotations

from pathlib import Path

from mcusim.designing.spaces.choosing import Choices, drawn, replayed
from mcusim.designing.spaces.declared import declared_names, known_space, read_space
from mcusim.designing.spaces.detectors import detector_space
from mcusim.designing.spaces.functions import user_function
from mcusim.designing.spaces.mcunetv2 import Task
from mcusim.designing.spaces.space import Made, Space
from mcusim.errors import InputError, did_you_mean

__all__ = ["Choices", "Made", "Space", "drawn", "find_space", "replayed", "space_names"]

_FILE = ".toml"


def space_names() -> tuple[str, ...]:
    """The spaces that come with mcusim."""
    return declared_names()


def find_space(name: str, folder: str = ".") -> Space:
    """The space called `name`. folder: where a user's file or module may lie. Raises InputError."""
    family, _, part = name.partition(":")
    if family == "mcunetv2" and part == Task.VOC:
        return detector_space()
    if family in declared_names():
        return known_space(family, part)
    path, _, task = (name, "", "") if name.endswith(_FILE) else name.rpartition(":")
    if path.endswith(_FILE):
        return read_space(Path(folder, path), task)
    if not part:
        near = did_you_mean(name, declared_names(), listed_by="docs/search.md")
        fix = near if near.startswith("did") else f"use {', '.join(declared_names())}, a .toml file, or module:function"
        raise InputError("there is no such space", where=f"space '{name}'", fix=fix)
    return Space(name=name, make=user_function(name, folder, "space"), title=name)
