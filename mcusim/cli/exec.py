"""`mcusim exec`: a network run on arrays, bit-exactly."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from mcusim.arithmetic.quant import dtype_range
from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, MAX_MEMORY, option
from mcusim.cli.shell import (
    STDOUT,
    document,
    pass_on_notices,
    refuse_overwriting,
    refuse_same_target,
    write_bytes,
    write_output,
)
from mcusim.errors import InputError
from mcusim.execution import execute
from mcusim.execution.preparation import numerics_of
from mcusim.frontends.array_files import read_arrays
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType, Graph, Tensor
from mcusim.limits import refuse_beyond
from mcusim.precision import chosen_bits
from mcusim.zoo.loading import load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["RANDOM", "ExecDocument", "exec_", "load_network", "read_arrays", "read_inputs"]


class OutputDocument(TypedDict):
    """An output. values: all of them, row by row; what is no number (NaN, infinity) as text."""

    name: str
    dtype: str
    shape: list[int]
    scale: float | None
    zero_point: int | None
    values: list[float | int | bool | str]


class ExecDocument(Versioned):
    """What `mcusim exec` answers."""

    model: str
    runtime: str
    schedule: str
    numerics: str
    outputs: list[OutputDocument]


RANDOM = "random"
NOT_DRAWN = frozenset({DType.BFLOAT16})
"""Numbers that numpy lacks."""
SHOWN = 12
KEY_LENGTH = 100


def exec_(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or the name of a published network.")
    ],
    inputs: Annotated[
        list[str],
        option(
            "--input",
            metavar="FILE",
            help="An .npy file for each input, in order, or one .npz with all, by name or in order; "
            "random draws them. A leading dimension of N instead of 1: N calls.",
        ),
    ],
    output: Annotated[str | None, option(metavar="FILE", help="Where the outputs go: .npy, or .npz by name.")] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="The runtime whose memory plan is used.")] = "tflm",
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    numerics: Annotated[
        str,
        typer.Option(metavar="MODE", help="The arithmetic: as tflm (the device), litert (Python) or tinyengine-float."),
    ] = "tflm",
    trace: Annotated[str | None, option(metavar="FILE", help="Every tensor of the one call, as .npz.")] = None,
    seed: Annotated[
        int | None, option(min=0, metavar="N", help="Draws weights where there are none, and inputs.")
    ] = None,
    bits: Annotated[
        str | None,
        option(
            metavar="BITS", help="Fewer bits per tensor: wNaM, such as w4a8, or the document of `mcusim bits --json`."
        ),
    ] = None,
    json: Annotated[str | None, JSON] = None,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """Run a network on arrays: every byte is what TensorFlow Lite Micro would answer, in the arena that is planned.

    Python's interpreter (LiteRT) rounds otherwise and differs by a few steps: --numerics litert answers as it does.

    \b
    Examples:
      mcusim exec mcunet-vww0 --input random --seed 1 --output answer.npy
      mcusim exec mcunet-vww0 --input random --seed 1 --trace layers.npz
      mcusim exec mcunet-vww0 --input random --seed 1 --bits w4a4
    """
    for name, target, kinds in (("--output", output, (".npy", ".npz")), ("--trace", trace, (".npz",))):
        if target is not None and Path(target).suffix.lower() not in kinds:
            raise InputError(f"'{target}' is no {' or '.join(kinds)}", where=name, fix=f"name a {kinds[0]} file")
    refuse_same_target(output=output, trace=trace, json=json)
    refuse_overwriting((model, bits, *inputs), output=output, trace=trace, json=json)
    graph = load_network(model, seed, bits)
    if output is not None and len(graph.outputs) > 1 and Path(output).suffix.lower() == ".npy":
        what = f"the network has {len(graph.outputs)} outputs, and an .npy holds one"
        raise InputError(what, where="--output", fix=f"name {Path(output).with_suffix('.npz')}")
    given = read_inputs(graph, inputs, seed or 0)
    pass_on_notices()

    if trace is None:
        answers = execute(graph, given, runtime=runtime, schedule=schedule, numerics=numerics)
    else:
        traced = execute(graph, given, runtime=runtime, schedule=schedule, numerics=numerics, trace=True)
        answers = traced.outputs
        keys = {f"{i}:{graph.tensors[i].name[:KEY_LENGTH]}": array for i, array in traced.tensors.items()}
        write_bytes(_npz(keys), trace, "--trace")
    if output is not None:
        write_bytes(_encoded(graph, answers, output), output, "--output")
    tensors = [graph.tensors[index] for index in graph.outputs]
    if json is not None:
        question = {
            "model": graph.name,
            "runtime": runtime,
            "schedule": schedule,
            "numerics": str(numerics_of(numerics)),
        }
        outputs = [_output_document(tensor, answer) for tensor, answer in zip(tensors, answers, strict=True)]
        write_output(document({"schema_version": 1, **question, "outputs": outputs}), json, "--json")
        if json == STDOUT:
            return
    lines = [_output_line(tensor, answer) for tensor, answer in zip(tensors, answers, strict=True)]
    write_output("".join(f"{line}\n" for line in lines), STDOUT, "--output")


def load_network(model: str, seed: int | None, bits: str | None = None) -> Graph:
    """The network that `model` names, with drawn weights if a seed is given and it has none.   bits: see `--bits`."""

    graph = load(model)
    if bits is not None:
        graph = chosen_bits(graph, bits)
    has_weights = all(t.constant is not None for t in graph.tensors if t.is_constant)
    return graph if seed is None or has_weights else with_seeded_weights(graph, seed)


# ---------------------------------------------------------------------------------------------------------------------
# Arrays in


def read_inputs(graph: Graph, paths: Sequence[str], seed: int) -> Sequence[Any] | Mapping[str, Any]:
    """The arrays that `--input` names. Raises InputError."""
    if list(paths) == [RANDOM]:
        return _drawn(graph, seed)
    files = [read_arrays(path, f"--input {path}") for path in paths]
    if len(files) == 1 and isinstance(files[0], dict):
        named = files[0]
        wanted = {graph.tensors[index].name for index in graph.inputs}
        return named if set(named) & wanted else list(named.values())
    for path, arrays in zip(paths, files, strict=True):
        if isinstance(arrays, dict):
            fix = "give one .npz with all inputs, or an .npy for each"
            raise InputError("an .npz came beside other files", where=f"--input {path}", fix=fix)
    return files


def _drawn(graph: Graph, seed: int) -> list[NDArray[Any]]:
    """Uniform integers; for real numbers, uniform in what the first QUANTIZE that reads them can tell apart."""
    import numpy as np

    kinds = [graph.tensors[index].type for index in graph.inputs]
    for kind in kinds:
        if not (kind.dtype.is_float or kind.dtype.is_integer or kind.dtype is DType.BOOL) or kind.dtype in NOT_DRAWN:
            what, fix = f"nothing is drawn for an input of {kind.dtype}", "export the model with inputs of numbers"
            raise InputError(what, where=f"network '{graph.name}'", fix=fix)
    refuse_beyond(sum(8 * kind.elements for kind in kinds), "drawing its inputs", where=f"network '{graph.name}'")
    rng = np.random.default_rng(seed)
    drawn: list[NDArray[Any]] = []
    for index, kind in zip(graph.inputs, kinds, strict=True):
        if kind.dtype.is_float:
            readers = [graph.nodes[i].outputs[0] for i in graph.consumers.get(index, ()) if graph.nodes[i].outputs]
            scale = next((q.scales[0] for q in (graph.tensors[i].quantization for i in readers) if q), 1 / 128)
            drawn.append((rng.uniform(-128, 127, kind.shape) * scale).astype(kind.dtype.value))
            continue
        lowest, highest = (0, 1) if kind.dtype is DType.BOOL else dtype_range(kind.dtype)
        drawn.append(rng.integers(lowest, highest, kind.shape, kind.dtype.unpacked.value, endpoint=True))
    return drawn


# ---------------------------------------------------------------------------------------------------------------------
# Arrays out


def _encoded(graph: Graph, answers: Sequence[NDArray[Any]], target: str) -> bytes:
    import numpy as np

    if Path(target).suffix.lower() == ".npz":
        names = [graph.tensors[index].name[:KEY_LENGTH] for index in graph.outputs]
        if len(set(names)) < len(names):
            names = [f"{i}:{name}" for i, name in enumerate(names)]
        return _npz(dict(zip(names, answers, strict=True)))
    stream = io.BytesIO()
    np.save(stream, answers[0], allow_pickle=False)
    return stream.getvalue()


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # numpy.savez takes no array called `file` or `allow_pickle`
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return stream.getvalue()


def _output_document(tensor: Tensor, answer: NDArray[Any]) -> OutputDocument:
    quantization = tensor.quantization
    return {
        "name": tensor.name,
        "dtype": str(answer.dtype),
        "shape": list(answer.shape),
        "scale": None if quantization is None else quantization.scales[0],
        "zero_point": None if quantization is None else quantization.zero_points[0],
        "values": [_plain(value) for value in answer.ravel().tolist()],
    }


def _plain(value: Any) -> float | int | bool | str:
    is_json = isinstance(value, int | bool) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)


def _output_line(tensor: Tensor, answer: np.ndarray[Any, Any]) -> str:
    shape = "x".join(map(str, answer.shape)) or "scalar"
    values = " ".join(f"{value:.6g}" for value in answer.ravel()[:SHOWN].tolist())
    more = " ..." if answer.size > SHOWN else ""
    return f"{tensor.name[:60]}: {answer.dtype} {shape}: {values}{more}"
