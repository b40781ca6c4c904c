"""A found network as a TOML file in the form of the zoo's own: `mcusim.load` and `mcusim run` read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mcusim.designing.spaces.mcunetv2 import Task
from mcusim.designing.witnesses import FoundNetwork
from mcusim.designing.witnesses.counting import CONVENTION

__all__ = ["ACCURACY_UNKNOWN", "network_file", "network_text"]

ACCURACY_UNKNOWN = "witness, accuracy unknown"
SPACE_SOURCE = "MCUNetV2, arXiv 2110.15352, Appendix B"

_KINDS = {
    Task.IMAGENET: ("classification", "ImageNet"),
    Task.VWW: ("classification", "Visual Wake Words"),
    Task.VOC: ("detection", "Pascal VOC"),
}


def network_file(network: FoundNetwork, command: str) -> str:
    """The text of the file.   command: that makes it again."""
    task, dataset = _KINDS[network.task]
    what = f"a witness of {network.row}" if network.row else "a network for stated figures"
    note = f"{ACCURACY_UNKNOWN.upper()}: {what}, not a network that anybody published or trained."
    head = {
        "task": task,
        "dataset": dataset,
        "source": f"{ACCURACY_UNKNOWN}; found by mcusim search-net in the space of {SPACE_SOURCE}",
        "note": f"{note} Flash: {network.misses_flash}." if network.misses_flash else note,
    }
    if network.row:
        head["witness_of"] = network.row
    figures = network.figures
    table = {
        "statement": ACCURACY_UNKNOWN,
        "schedule": str(network.schedule),
        "profile": network.board.name,
        "convention": CONVENTION,
        "seed": network.seed,
        "command": command,
        "macs": figures.macs,
        "recomputed_macs": figures.recomputed_macs,
        "sram_bytes": figures.sram_bytes,
        "flash_bytes": figures.flash_bytes,
        "params": figures.params,
    }
    return network_text(head, table, network.network)


def network_text(head: Mapping[str, Any], witness: Mapping[str, Any], network: Mapping[str, Any]) -> str:
    """A network in the form of the zoo's files.   head: keys of the file.   witness: how it was found."""
    lines = [*_pairs(head), "", "[witness]", *_pairs(witness), "", "[network]"]
    lines += _pairs({key: value for key, value in network.items() if key != "layers"})
    layers = [f"  {_inline(layer)}," for layer in network["layers"]]
    return "\n".join([*lines, "layers = [", *layers, "]"]) + "\n"


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{key} = {_value(value)}"


def _inline(table: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(_pairs(table)) + " }"


def _value(value: Any) -> str:
    """A value as TOML writes it. JSON's strings, whole numbers and truth values are TOML's too."""
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
