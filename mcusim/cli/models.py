"""`mcusim models`: the networks that mcusim knows by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim import zoo
from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, glyphs, show, terminal_width, write_output
from mcusim.graph import DType
from mcusim.ops.totals import count_macs, count_parameters
from mcusim.render.catalog import Network, network_details, network_list, witness_list

__all__ = ["ModelsDocument", "models"]


class ModelDocument(TypedDict):
    """A published network, or a witness. macs, params: counted.   differs: printed figures that it does not meet."""

    name: str
    aliases: Sequence[str]
    task: zoo.Task
    dataset: str
    input_shape: Sequence[int]
    dtype: DType
    nodes: int
    macs: int
    params: int
    params_as_published: float | None
    published: Sequence[zoo.Figures]
    differs: Sequence[str]
    witness: zoo.Witness | None
    source: str
    note: str


class ModelsDocument(Versioned):
    """What `mcusim models` lists."""

    models: list[ModelDocument]


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One network, in detail.", show_default=False)
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The published networks that mcusim knows by name: figures as published and as counted; witnesses in a list apart.

    A witness meets the figures of a published row whose own network was never released. Its accuracy is unknown.

    \b
    Examples:
      mcusim models
      mcusim models mcunet-10fps
      mcusim models --json
    """

    own_names = [zoo.resolve(name)] if name is not None else [*zoo.names(), *zoo.witness_names()]
    chosen = [_network(own) for own in own_names]
    if json is not None:
        write_output(
            document(ModelsDocument(schema_version=1, models=[_plain(network) for network in chosen])), json, "--json"
        )
    if json == STDOUT:
        return
    if name is not None:
        show(network_details(chosen[0], terminal_width(), glyphs()))
    else:
        published = [network for network in chosen if network.entry.witness is None]
        witnesses = [network for network in chosen if network.entry.witness is not None]
        lines = network_list(published, terminal_width(), glyphs())
        show([*lines, *witness_list(witnesses, terminal_width(), glyphs())])


def _network(name: str) -> Network:

    graph = zoo.build(name)
    _, params = count_parameters(graph)
    return Network(zoo.describe(name), count_macs(graph), params, zoo.published_params(graph), len(graph.nodes))


def _plain(network: Network) -> ModelDocument:
    entry = network.entry
    return {
        "name": entry.name,
        "aliases": entry.aliases,
        "task": entry.task,
        "dataset": entry.dataset,
        "input_shape": entry.input_shape,
        "dtype": entry.dtype,
        "nodes": network.nodes,
        "macs": network.macs,
        "params": network.params,
        "params_as_published": network.params_as_published,
        "published": entry.published,
        "differs": entry.differs,
        "witness": entry.witness,
        "source": entry.source,
        "note": entry.note,
    }
