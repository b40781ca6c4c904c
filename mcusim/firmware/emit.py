"""A placed Program as C: the text of every file of the folder that `mcusim codegen` writes.

    Program, Memory, prepared integers -> sources -> {"kws.h": ..., "kws.c": ..., "kernels/gemm.h": ..., ...}

Stages become functions; a cut stage is a loop nest over the tables of its rows and columns. The kernels are files of
`kernels/` as they stand there, their prefix `mcu_` replaced by the network's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import ModelError
from mcusim.firmware.calls import write_call
from mcusim.firmware.choice import STACK_BOUND_BYTES, choose
from mcusim.firmware.kernel_files import environment, kernel_files
from mcusim.firmware.steps import Memory, SpanTables, StepText, row_bytes
from mcusim.firmware.tables import Mode
from mcusim.firmware.text import array, comment
from mcusim.graph import ABSENT, DType, Flow, Graph, Signature
from mcusim.lowering.staging import resized
from mcusim.program import Home, Program, Stage, Step, ViewKind

__all__ = ["STACK_BOUND_BYTES", "Goal", "Network", "Sources", "memory_of", "render", "sources"]


class Goal(StrEnum):
    """What the code is made for."""

    SPEED = "speed"
    """Inner loops unrolled, and one matrix product for each way of requantising."""
    SIZE = "size"
    """One matrix product for all layers."""


@dataclass(frozen=True, slots=True)
class Network:
    """What is emitted.

    prepared: integers of each step of the body, in the order of time.   offsets: of buffers, in bytes.
    placed_bytes: what they take.   first_values: bytes of each variable at the start.
    """

    name: str
    program: Program
    prepared: Sequence[object]
    offsets: tuple[int, ...]
    placed_bytes: int
    first_values: tuple[bytes, ...] = ()

    @property
    def graph(self) -> Graph:
        return self.program.graph


class Sources(NamedTuple):
    """The network's own files by path, and what they store.

    stored_bytes: of the layers' constant arrays: the model's part of the flash.
    """

    files: dict[str, str]
    arena_bytes: int
    stored_bytes: int


def memory_of(network: Network) -> Memory:
    """Where buffers were placed, pointers to external inputs among them."""
    program = network.program
    variables = {t: network.offsets[variable.buffer] for variable in program.variables for t in variable.tensors}
    pointers = {view.tensor: network.offsets[view.pointer] for view in program.views if view.pointer != ABSENT}
    remembered: dict[int, tuple[int, ...]] = {}
    for variable in [variable for variable in program.variables if variable.node != ABSENT]:
        kept = remembered.get(variable.node, ())
        remembered[variable.node] = (*kept, network.offsets[variable.buffer])
    return Memory(network.offsets, variables, pointers, remembered, network.placed_bytes)


# ---------------------------------------------------------------------------------------------------------------------
# Steps


def _texts(network: Network, memory: Memory, tables: SpanTables) -> Iterator[tuple[Stage, list[StepText]]]:
    index = 0
    for stage in network.program.stages:
        # Stages of a subgraph that initialises run on the host, at code generation; those never entered need no text.
        if not _is_run(network.program, stage):
            index += len(stage.steps)
            continue
        written = {view: step for step in stage.steps for view in step.writes}
        texts = []
        for step in stage.steps:
            if _is_moment(step):
                index += 1
                continue
            choice = choose(_piece(stage, step))
            if choice is None:
                raise _without_kernel(network.program)
            text = StepText(
                network.program,
                memory,
                tables,
                stage,
                step,
                index,
                f"{network.name}_{index}",
                f"{network.name.upper()}_BYTES",
                choice,
                network.prepared[index],
                written,
                f"{network.name}_external",
            )
            # A step that nobody reads and that keeps nothing has no effect: it is named, and not called.
            if all(view == ABSENT for view in step.writes) and step.signature.op not in _WRITES_NOTHING:
                text.lines.clear()
            else:
                write_call(text)
            texts.append(text)
            index += 1
        yield stage, texts


def _is_run(program: Program, stage: Stage) -> bool:
    """Whether an inference may run it: not what runs before the first one, or never."""
    return stage.part == 0 or program.flow_of(stage) in (Flow.CHOOSES, Flow.LOOPS)


def _is_moment(step: Step) -> bool:
    """Whether nothing runs, and something only lives."""
    return step.node == ABSENT and step.reads == (ABSENT,)


_WRITES_NOTHING = ("ASSIGN_VARIABLE", "CUSTOM:CIRCULAR_BUFFER", "IF", "WHILE")


def _piece(stage: Stage, step: Step) -> Signature:
    """What the planner sized the step's working memory by: its largest piece."""
    if not stage.is_cut or not step.signature.outputs:
        return step.signature
    rows, cols = (max([span.length for span in axis]) for axis in (step.rows, step.cols))
    return resized(step.signature, rows, cols)


def _own_steps(program: Program) -> list[Step]:
    """Those that an inference may run."""
    stages = [stage for stage in program.stages if _is_run(program, stage)]
    return [step for stage in stages for step in stage.steps if not _is_moment(step)]


def _without_kernel(program: Program) -> ModelError:
    """One error for all steps that have no kernel."""
    missing: dict[str, list[str]] = {}
    for step in _own_steps(program):
        if choose(step.signature) is None:
            kinds = sorted({kind.dtype.value for kind in (*step.signature.inputs[:1], *step.signature.outputs) if kind})
            name = program.graph.nodes[step.node].name[:60]
            missing.setdefault(f"{step.signature.op} of {', '.join(kinds)}", []).append(name)
    listed = "; ".join(
        f"{what} ({names[0]!r}{f' and {len(names) - 1} more' * (len(names) > 1)})" for what, names in missing.items()
    )
    return ModelError(
        f"it has operators without a kernel in C: {listed}",
        where=f"network '{program.graph.name}'",
        fix="quantise them to int8, or cut the network before them (`mcusim ops MODEL --runtime mcusim` lists them)",
    )


# ---------------------------------------------------------------------------------------------------------------------
# Text


def _trace(text: StepText) -> list[str]:
    """Calls that show a step's outputs to the user's `NAME_step`."""
    lines = []
    shown = []
    for position, kind in enumerate(text.step.signature.outputs):
        if text.step.writes[position] == ABSENT or kind.dtype is DType.RESOURCE:
            continue
        shown.append((position, kind))
    name = text.layer.rsplit("_", 1)[0]
    place = f"{text.index}, {'i' if text.stage.row_pieces > 1 else 0}, {'j' if text.stage.col_pieces > 1 else 0}"
    if not shown:
        return [f"{name}_step({place}, 0, 0);"]
    lines.append("unsigned traced = 0;")
    for position, kind in shown:
        if text.is_cut:
            pixel = kind.channels * (kind.dtype.bits // 8)
            row, rows, col, cols = text.region()
            lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
            lines.append(f"    traced = {name}_pack(traced, mcu_out_at(&out, y, {col}, {pixel}), {cols} * {pixel});")
            lines.append("}")
        else:
            lines.append(f"traced = {name}_pack(traced, {text.whole_output(position)}, {kind.size_bytes});")
    lines.append(f"{name}_step({place}, {name}_traced, traced);")
    return lines


def _traced_bytes(stage: Stage, step: Step) -> int:
    """The most bytes that a step shows at once."""
    total = 0
    for kind in step.signature.outputs:
        if kind.dtype is DType.RESOURCE:
            continue
        if not stage.is_cut:
            total += kind.size_bytes
        else:
            rows, cols = (max([span.length for span in axis]) for axis in (step.rows, step.cols))
            total += rows * row_bytes(kind) // (kind.cols or 1) * cols
    return total


class _Function(NamedTuple):
    """A stage as text.   part: the subgraph that it belongs to."""

    name: str
    title: str
    lines: list[str]
    part: int


def _stage_function(network: Network, number: int, stage: Stage, texts: Sequence[StepText]) -> _Function:
    lines: list[str] = []
    indent = ""
    for variable, pieces in (("i", stage.row_pieces), ("j", stage.col_pieces)):
        if pieces > 1:
            lines.append(f"{indent}for (int32_t {variable} = 0; {variable} < {pieces}; {variable}++) {{")
            indent += "    "
    for text in texts:
        lines += [indent + line for line in _step_lines(network, text)]
    lines += ["    " * depth + "}" for depth in reversed(range(len(indent) // 4))]
    kind = f"{stage.kind} {stage.row_pieces}x{stage.col_pieces}" if stage.is_cut else "layer by layer"
    return _Function(f"{network.name}_stage_{number}", kind, lines, stage.part)


def _step_lines(network: Network, text: StepText) -> list[str]:
    title = _title(network.graph, text)
    # A piece may have nothing to do in some iterations (a map smaller than its grid): the call is then skipped.
    conditions = []
    for spans, by_rows in ((text.step.rows, True), (text.step.cols, False)):
        if any(span.length == 0 for span in spans):
            conditions.append(f"{text.span(spans, by_rows, 'count')} > 0")
    trace = _trace(text)
    upper = network.name.upper()
    mark = [f"#elif defined({upper}_MARK)", f"{network.name}_mark({text.index});"]
    shown = [f"#ifdef {upper}_TRACE", *trace, *mark, "#endif"] if text.stage.part == 0 else []
    inner = [*text.lines, *shown]
    head = f"if ({' && '.join(conditions)}) {{" if conditions else "{"
    return [f"/* {title} */", head, *(line if line.startswith("#") else "    " + line for line in inner), "}"]


def _title(graph: Graph, text: StepText) -> str:
    """`3: CONV_2D, layer 5 (features.conv1): 48x48x8 -> 48x48x16`, fit for a comment."""
    signature = text.step.signature
    shapes = [
        "x".join(map(str, kind.shape)) if kind is not None else ""
        for kind in (
            signature.inputs[0] if signature.inputs else None,
            signature.outputs[0] if signature.outputs else None,
        )
    ]
    node = text.step.node
    name = f"layer {node} ({comment(graph.nodes[node].name)})" if node != ABSENT else "input patch"
    return f"{text.index}: {signature.op}, {name}: {shapes[0]} to {shapes[1]}"


def render(template: str, **values: object) -> str:
    """A template of `templates/`, filled in."""
    return environment().get_template(template).render(**values)


_OWN = "mcusim_own"
"""The network's name while its text is made: its own may begin as the kernels' prefix does."""


def _prefixed(text: str, name: str) -> str:
    prefixes = {"mcu_": f"{name}_", "MCU_": f"{name.upper()}_", _OWN: name, _OWN.upper(): name.upper()}
    return re.sub(r"\b(?:" + "|".join(prefixes) + ")", lambda match: prefixes[match[0]], text)


# ---------------------------------------------------------------------------------------------------------------------


def sources(network: Network, goal: Goal = Goal.SPEED) -> Sources:
    """NAME.h, NAME.c and the kernels. Raises ModelError for a step without a kernel in C."""
    if any(choose(step.signature) is None for step in _own_steps(network.program)):
        raise _without_kernel(network.program)
    # The text is made under a name of our own and renamed at the end: a user's name may begin like the kernels' prefix.
    asked, network = network.name, replace(network, name=_OWN)
    name, memory = network.name, memory_of(network)
    tables = SpanTables(name)
    stages = list(_texts(network, memory, tables))
    functions = [_stage_function(network, number, *pair) for number, pair in enumerate(stages)]
    texts = [text for _, group in stages for text in group]
    arrays: dict[str, NDArray[Any]] = {}
    for text in texts:
        arrays.update(text.arrays)
        arrays.update(text.others)
    starts = _first_values(network, arrays)
    output_homes = [_output_home(network, memory, home, arrays) for home in network.program.outputs]
    modes = frozenset(mode for text in texts if text.choice.name == "conv_2d" for mode in text.modes)
    by_file: dict[str, set[str]] = {"base.h": set()}
    # A kernel file is generated for the union of what the layers ask of it.
    for text in texts:
        for file in text.includes:
            by_file.setdefault(file, set()).update(text.modes)
    kernels = kernel_files(by_file)
    stored = {name: values.nbytes for text in texts for name, values in text.arrays.items()}
    other_bytes = sum(values.nbytes for name, values in arrays.items() if name not in stored) + tables.size_bytes
    graph = network.graph
    traced = max((_traced_bytes(text.stage, text.step) for text in texts), default=0)
    parts = {function.part: network.program.parts[function.part].name for function in functions if function.part}
    values = {
        "name": name,
        "upper": name.upper(),
        "title": comment(graph.name),
        "arena_bytes": memory.size_bytes,
        "stored_bytes": sum(stored.values()),
        "other_bytes": other_bytes,
        "inputs": [_port(graph, home) for home in network.program.inputs],
        "outputs": [_port(graph, home) for home in network.program.outputs],
        "input_homes": [_input_home(network, memory, home) for home in network.program.inputs],
        "external": [
            (index, memory.pointers[home.held])
            for index, home in enumerate(network.program.inputs)
            if home.held in memory.pointers
        ],
        "output_homes": output_homes,
        "arrays": [array(full, values) for full, values in arrays.items()],
        "array_names": list(stored),
        "other_names": [name for name in arrays if name not in stored] + list(tables.names.values()),
        "tables": tables.text(),
        "declarations": [declaration for text in texts for declaration in text.declarations],
        "functions": functions,
        "parts": {number: comment(title) for number, title in parts.items()},
        "starts": starts,
        "traced_bytes": max(traced, 1),
        "kernels": list(kernels),
        "stack_bytes": STACK_BOUND_BYTES,
        "is_small": goal is Goal.SIZE,
        "modes": hex(sum(1 << i for i, mode in enumerate(Mode) if mode in modes)),
    }
    out = {f"{asked}.h": render("model.h.j2", **values), f"{asked}.c": render("model.c.j2", **values)}
    out |= {f"kernels/{file}": text for file, text in kernels.items()}
    return Sources(
        {path: _prefixed(text, asked) for path, text in out.items()}, memory.size_bytes, sum(stored.values())
    )


def _port(graph: Graph, home: Home) -> tuple[int, int, str]:
    """Tensor, bytes and name of an input or output as the C takes or gives it."""
    return home.held, graph.tensors[home.held].size_bytes, comment(graph.tensors[home.tensor].name)


def _first_values(network: Network, arrays: dict[str, NDArray[Any]]) -> list[str]:
    """How each state gets its first value."""
    lines = []
    for number, (variable, first) in enumerate(zip(network.program.variables, network.first_values, strict=True)):
        to = f"{network.name.upper()}_BYTES + {network.offsets[variable.buffer]}"
        # Bytes that are all alike are filled; only others need an array in flash.
        values = set(first)
        if len(values) <= 1:
            lines.append(f"memset({to}, {values.pop() if values else 0}, {len(first)});")
        else:
            full = f"{network.name}_state_{number}"
            arrays[full] = np.frombuffer(first, np.uint8)
            lines.append(f"memcpy({to}, {full}, {len(first)});")
    return lines


def _place(network: Network, memory: Memory, view: int) -> str:
    """Address of a view that holds a tensor whole."""
    where = network.program.views[view]
    if where.kind is ViewKind.OUTSIDE:
        return f"{network.name}_external({memory.pointers[where.tensor]})"
    return f"{network.name.upper()}_BYTES + {memory.offsets[where.buffer] + where.offset_bytes}"


def _input_home(network: Network, memory: Memory, home: Home) -> str:
    return "0" if home.view == ABSENT or home.held in memory.pointers else _place(network, memory, home.view)


def _output_home(network: Network, memory: Memory, home: Home, arrays: dict[str, NDArray[Any]]) -> str:
    if home.view != ABSENT:
        return _place(network, memory, home.view)
    constant = network.graph.tensors[home.held].constant
    if constant is None:
        raise ModelError(
            f"output '{network.graph.tensors[home.held].name[:60]}' is kept nowhere",
            where=f"network '{network.graph.name}'",
            fix="let an operator compute it",
        )
    full = f"{network.name}_output_{home.held}"
    arrays[full] = constant
    return full
