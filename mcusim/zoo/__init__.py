"""Published networks by name: what is known of each, and its Graph.

Each is one TOML file in `networks/`, named as the network: where it comes from, what its sources print, and the network
itself in the form that `frontends.description` reads. `docs/zoo.md` is the page for users.

Files named `witness-...` are *witnesses*: networks that meet the figures of a published row whose own network was never
released. They are found by name like the others and listed apart; their accuracy is not known.

`loading` takes whatever names a network, a file too; `export` writes any network as a file.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from mcusim.errors import ModelError, did_you_mean
from mcusim.files import NOT_PARSED, parse_toml, reason_of, toml_of
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import ABSENT, DType, Graph, Node, Shape
from mcusim.ops import OPS
from mcusim.source import Published, Source
from mcusim.zoo.declarations import Detection, Preprocessing, Witness

__all__ = [
    "Detection",
    "Figures",
    "Preprocessing",
    "Task",
    "Witness",
    "ZooEntry",
    "aliases",
    "build",
    "describe",
    "file_bytes",
    "names",
    "network_description",
    "published_params",
    "read_file",
    "resolve",
    "witness_names",
    "witness_of",
]


class Task(StrEnum):
    """What a network answers."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"macs": "macs_M", "params": "params_M"}):
    """Figures as one source prints them, digit by digit; "" where it prints none.

    macs, params: in millions.   top1_*, top5_*: percent; quantized is int8, or int4 for the int4 networks.
    differs: fields that the network as it is known here does not meet when its count is rounded to the printed digits.
    """

    source: str
    macs: str = ""
    params: str = ""
    top1_float: str = ""
    top1_quantized: str = ""
    top5_float: str = ""
    top5_quantized: str = ""
    differs: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TOML file of `networks/`."""

    task: Task
    dataset: str
    source: str
    network: dict[str, Any]
    aliases: tuple[str, ...] = ()
    note: str = ""
    published: tuple[Figures, ...] = ()
    detection: Detection | None = None
    preprocessing: Preprocessing | None = None
    witness_of: str = ""
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """What is known of a network of the zoo.

    input_shape: NHWC.   published: by source, the most precise first.   source: where the architecture comes from.
    note: what a user must know before trusting it (inferred, assumed, another padding), or "".
    preprocessing: what its source does to an image; None where it does not say.
    witness: how it was found, where it stands for a network that was never released; None for published ones.
    """

    name: str
    aliases: tuple[str, ...]
    task: Task
    dataset: str
    input_shape: Shape
    dtype: DType
    source: str
    note: str
    published: tuple[Figures, ...]
    detection: Detection | None
    preprocessing: Preprocessing | None
    witness: Witness | None

    @property
    def resolution(self) -> tuple[int, int]:
        """Rows and columns of the input."""
        return self.input_shape[1], self.input_shape[2]

    @property
    def macs_text(self) -> str:
        """Millions of multiply-accumulates as printed by the most precise source; "" if none prints them."""
        return next((figures.macs for figures in self.published if figures.macs), "")

    @property
    def params_text(self) -> str:
        """Millions of parameters as printed by the most precise source; "" if none prints them."""
        return next((figures.params for figures in self.published if figures.params), "")

    @property
    def differs(self) -> tuple[str, ...]:
        """Published figures ("macs", "params") that the network as it is known here does not meet."""
        return tuple(dict.fromkeys(field for figures in self.published for field in figures.differs))


WITNESS_PREFIX = "witness-"
"""Of the names of all witnesses, and of no other network."""


@cache
def names() -> tuple[str, ...]:
    """Every published network's own name, sorted."""
    return tuple(name for name in _all_names() if not name.startswith(WITNESS_PREFIX))


@cache
def witness_names() -> tuple[str, ...]:
    """Every witness's name, sorted."""
    return tuple(name for name in _all_names() if name.startswith(WITNESS_PREFIX))


def witness_of(row: str) -> str | None:
    """The witness of a published row, such as `table4:mcunet-m4`; None if it has none."""
    return next((name for name in witness_names() if _file(name).witness_of == row), None)


@cache
def _all_names() -> tuple[str, ...]:
    own_names = (file.name.removesuffix(".toml") for file in files(__name__).joinpath("networks").iterdir())
    return tuple(sorted(own_names, key=str.lower))


@cache
def aliases() -> Mapping[str, str]:
    """Other name -> own name."""
    return MappingProxyType({alias: name for name in _all_names() for alias in _file(name).aliases})


def resolve(name: str) -> str:
    """The own name of a network that is called `name`: case, `-` and `_` make no difference.

    Raises ModelError if there is none.
    """
    key = _key(name)
    own_name = _own_names().get(key) or _alias_names().get(key)
    if own_name is None:
        known = (*_all_names(), *aliases())
        raise ModelError(
            "no published network has this name", where=name, fix=did_you_mean(name, known, listed_by="mcusim models")
        )
    return own_name


@cache
def describe(name: str) -> ZooEntry:
    """What is known of a network, without building it. Raises ModelError for an unknown name."""
    own = resolve(name)
    return _entry(own, _file(own))


def build(name: str) -> Graph:
    """The Graph of a network: architecture only, no weights. Raises ModelError for an unknown name."""
    own = resolve(name)
    return _graph(_entry(own, _file(own)), _file(own), f"zoo: {own}")


def read_file(path: Path) -> Graph:
    """The Graph of a TOML file in the form of the zoo's own, such as `mcusim search-net` writes.

    Raises ModelError where the file cannot be read or is wrong.
    """
    try:
        file = msgspec.convert(toml_of(path), _File)
    except OSError as error:
        raise ModelError(f"cannot be read: {reason_of(error)}", where=str(path), fix="check the path") from None
    except (*NOT_PARSED, msgspec.ValidationError) as error:
        fix = "compare it with what `mcusim search-net --max-macs --profile stm32f412 -o FILE` writes"
        raise ModelError(f"is no network file: {error}", where=str(path), fix=fix) from None
    return _graph(_entry(path.stem, file), file, str(path))


def _graph(entry: ZooEntry, file: _File, origin: str) -> Graph:
    figures = next((f for f in entry.published if f.macs or f.params), None)
    published = None
    if figures is not None:
        published = Published(
            macs=float(entry.macs_text) * 1e6 if entry.macs_text else None,
            params=float(entry.params_text) * 1e6 if entry.params_text else None,
            macs_text=entry.macs_text,
            params_text=entry.params_text,
            provenance=figures.source,
        )
    found_with = "" if entry.witness is None else entry.witness.schedule
    source = Source(description=f"{origin} ({entry.source})", published=published, schedule=found_with)
    return graph_from_dict({"name": entry.name, **file.network}, source=source)


def _entry(name: str, file: _File) -> ZooEntry:
    given = file.network.get("input")
    shape = tuple(given) if isinstance(given, list) else ()  # what is wrong is told by whoever builds the network
    return ZooEntry(
        name=name,
        aliases=file.aliases,
        task=file.task,
        dataset=file.dataset,
        input_shape=(1, *shape) if len(shape) == 3 else shape,
        dtype=DType(file.network.get("dtype", DType.INT8)),
        source=file.source,
        note=file.note,
        published=file.published,
        detection=file.detection,
        preprocessing=file.preprocessing,
        witness=None if file.witness is None else msgspec.structs.replace(file.witness, of=file.witness_of),
    )


def network_description(name: str) -> dict[str, Any]:
    """A network as plain data, in the form that `load` takes: to be changed and built again.

    Raises ModelError for an unknown name.
    """
    own = resolve(name)
    return copy.deepcopy({"name": own, **_file(own).network})


def file_bytes(name: str) -> bytes:
    """The file that describes the network of this own name, as it lies in the package."""
    return files(__name__).joinpath("networks", f"{name}.toml").read_bytes()


def published_params(graph: Graph) -> int:
    """Parameters as MCUNet's model zoo counts them: for each convolution its weights and two more for each output
    channel (batch norm), for each classifier its weights and its bias.

    A classifier is a layer whose result no other layer with weights reads. A layer without bias counts its weights.
    Source: the printed digits of all released networks (MEMORY_RULES, "The zoo's networks as files").
    """
    total = 0
    for index, node in enumerate(graph.nodes):
        parameters = _parameters(node)
        if not parameters:
            continue
        weights, biases = parameters[0], sum(parameters[1:])
        is_batch_normed = node.op in ("CONV_2D", "DEPTHWISE_CONV_2D") and not _is_last(graph, index)
        total += weights + (2 * node.signature.output.channels if is_batch_normed else biases)
    return total


def _parameters(node: Node) -> tuple[int, ...]:
    """Elements of each input that holds parameters."""
    known = OPS.get(node.op)
    if known is None:
        return ()
    signature = node.signature
    return tuple(signature.input(index).elements for index in known.parameters if signature.has(index))


def _is_last(graph: Graph, index: int) -> bool:
    """Whether no node with parameters depends on this one."""
    pending, seen = list(graph.nodes[index].outputs), set()
    while pending:
        for reader in graph.consumers.get(pending.pop(), ()):
            if _parameters(graph.nodes[reader]):
                return False
            if reader not in seen:
                seen.add(reader)
                pending += (tensor for tensor in graph.nodes[reader].outputs if tensor != ABSENT)
    return True


@cache
def _file(name: str) -> _File:
    return msgspec.convert(parse_toml(file_bytes(name).decode()), _File)


@cache
def _own_names() -> Mapping[str, str]:
    """Own name by its key. No file is read for that."""
    return {_key(name): name for name in _all_names()}


@cache
def _alias_names() -> Mapping[str, str]:
    """Own name by the key of every other name. Other names are in the files, so all of them are read."""
    return {_key(alias): name for alias, name in aliases().items()}


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")
