"""`mcusim ops`: the operators that mcusim knows, and which kernel serves each layer of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer
from rich.text import Text

from mcusim.cli.documents import RuntimeName, Versioned
from mcusim.cli.options import JSON, RUNTIME
from mcusim.cli.shell import STDOUT, document, glyphs, refuse_overwriting, show, terminal_width, write_output
from mcusim.execution.preparation import cannot_execute
from mcusim.frontends.checks import float_reason
from mcusim.frontends.formats import QUANTISE
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.program import Program
from mcusim.question.arguments import chosen_runtime
from mcusim.render.naming import distinct_names
from mcusim.render.operators import Served, operator_list, served_list
from mcusim.runtimes import Kernel, Runtime, find_runtime
from mcusim.runtimes.refusals import beside_steps, cannot_start, idle_nodes, left_out
from mcusim.schedule import LAYER
from mcusim.zoo.loading import load

__all__ = ["OpsDocument", "ServedDocument", "SeveralServedDocument", "ops"]


class OperatorDocument(TypedDict):
    """An operator. movement: how its output depends on its input's place."""

    name: str
    movement: str
    summary: str


class OpsDocument(Versioned):
    """What `mcusim ops` lists."""

    ops: list[OperatorDocument]


class ServedDocument(Versioned):
    """What `mcusim ops MODEL` answers.

    supported: whether the runtime has a kernel for every layer, and can set the network up.
    executable: whether mcusim can execute them all.
    """

    model: str
    runtime: RuntimeName
    supported: bool
    executable: bool
    layers: Sequence[Served]
    warnings: Sequence[str]


class SeveralServedDocument(Versioned):
    """What `mcusim ops A B` answers: a document each, in their order."""

    networks: list[ServedDocument]


def ops(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="A .tflite or .onnx file, or the name of a published network; several, one after the other.",
            show_default=False,
        ),
    ] = None,
    runtime: Annotated[str | None, RUNTIME] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The operators that mcusim knows; with MODEL: which kernel serves each layer and which property of its
    shape sends it there, what would be faster, everything that the runtime lacks, and what mcusim cannot execute yet.

    \b
    Examples:
      mcusim ops
      mcusim ops mcunet-vww0 --runtime tflm-cmsis-nn
      mcusim ops mcunet-vww0 mcunet-vww1 --json -
    """

    if not models:
        known = sorted(OPS.values(), key=lambda op: op.name)
        if json is not None:
            listed = [OperatorDocument(name=op.name, movement=str(op.movement), summary=op.summary) for op in known]
            write_output(document(OpsDocument(schema_version=1, ops=listed)), json, "--json")
        if json != STDOUT:
            show(operator_list(known, terminal_width(), glyphs()))
        return

    wished = None if runtime is None else find_runtime(runtime)
    refuse_overwriting(models, json=json)
    graphs = [load(model) for model in models]
    names = distinct_names([(graph.name, graph.source.description) for graph in graphs])
    documents: list[ServedDocument] = []
    lines: list[Text] = []
    for graph, name in zip(graphs, names, strict=True):
        kernels, _ = chosen_runtime(wished, graph, None)
        program = lower(graph, LAYER, kernels.rules)
        blockers = cannot_start(program, kernels)
        served, warnings = _served(program, kernels), [*blockers, *_warnings(program, kernels)]
        documents.append(_plain(name, kernels, served, warnings, not blockers))
        lines += [Text()] if lines else []
        lines += served_list(name, kernels.name, served, terminal_width(), glyphs(), warnings)
    if json is not None:
        several: SeveralServedDocument = {"schema_version": 1, "networks": documents}
        write_output(document(several if len(models) > 1 else documents[0]), json, "--json")
    if json != STDOUT:
        show(lines)


def _warnings(program: Program, runtime: Runtime) -> list[str]:
    """What is not known of the network although its operators have names that the runtime knows; what is left out."""
    graph = program.graph
    caveats = dict.fromkeys(runtime.kernel(node.signature).caveat for node in graph.nodes)
    reason = float_reason(graph)
    warning = f"{graph.name} {reason}: `mcusim run` tells its memory and flash, and no time; {QUANTISE}"
    floats = [warning] if reason else []
    return [*floats, *left_out(program, runtime), *(f"{runtime.name}: {caveat}." for caveat in caveats if caveat)]


_IDLE = "set up, and no inference comes to it"
_LEFT_OUT = "left out, as no inference of the first signature comes to it"


def _served(program: Program, runtime: Runtime) -> list[Served]:
    """One entry a node, in order, subgraphs too. What is folded, relabelled or left to the caller needs no kernel."""
    whole = program.graph
    idle = idle_nodes(program, runtime)
    silent = dict.fromkeys(program.idle_nodes, _IDLE if idle else _LEFT_OUT)
    silent |= dict.fromkeys(program.free, "the same bytes under another shape") | dict.fromkeys(idle, _IDLE)
    silent |= dict.fromkeys(program.caller, "left to the caller")
    kernels = {}
    for stage in program.stages:
        for step in stage.steps:
            kernels[step.node] = Kernel("", why=_IDLE) if step.node in idle else runtime.kernel(step.signature)
            silent |= dict.fromkeys(step.absorbed, f"folded into {step.signature.op}")
    refused = {refusal.node: refusal.why for refusal in beside_steps(program, runtime)}
    gaps = cannot_execute(whole)
    needed = {need.node: need for need in runtime.needs(whole)}
    served = []
    for index, node in enumerate(whole.nodes):
        shape = node.signature.outputs[0].shape if node.signature.outputs else ()
        kernel = kernels.get(index, Kernel("", why=silent.get(index, "")))
        if index in refused:
            kernel = Kernel("", False, refused[index])
        need = needed.get(index) if kernel.supported else None
        verdict = (kernel.name, kernel.supported, kernel.why, kernel.hint, gaps.get(index, ""))
        release = (need.since, need.why) if need else ("", "")
        served.append(Served(index, node.name, node.op, shape, *verdict, *release))
    return served


def _plain(name: str, runtime: Runtime, served: list[Served], warnings: list[str], can_start: bool) -> ServedDocument:
    return {
        "schema_version": 1,
        "model": name,
        "runtime": {"name": runtime.name, "version": runtime.version},
        "supported": can_start and all(layer.supported for layer in served),
        "executable": not any(layer.gap for layer in served),
        "layers": served,
        "warnings": warnings,
    }
