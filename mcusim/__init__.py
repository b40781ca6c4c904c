"""Does this int8 network fit that microcontroller, how fast is it there, and which layer is to blame?

    >>> import mcusim
    >>> report = mcusim.simulate("mcunet-in2", profile="stm32f412")
    >>> report.fits
    True
    >>> report.sram.peak_bytes <= report.sram.budget_bytes
    True
    >>> largest = max(report.layers, key=lambda layer: layer.sram_bytes)

A network is the name of a published one (`mcusim models` lists them), a `.tflite`, `.onnx` or `.pt2` file, a dict,
`mcusim.from_torch(exported_program)`, or built in memory:

    >>> b = mcusim.GraphBuilder("tiny")
    >>> x = b.conv_2d(b.input((1, 32, 32, 3)), 16, kernel=3, stride=2, padding=1)
    >>> graph = b.build([b.depthwise_conv_2d(x, kernel=3)])
    >>> mcusim.simulate(graph, profile="nrf52840", runtime="tflm").sram.arena_bytes > 0
    True

A board is a name (`mcusim profiles`) or the path of your own TOML file. `runtime` says whose memory rules and kernels
count: `tinyengine`, `tflm`, ... (`mcusim runtimes`). Every figure of a Report names its basis: exact, derived,
calibrated or provisional. What nobody can know is None, and `report.warnings` says why.

`mcusim.plan` lays out the arena, `mcusim.patch` (or `search`) finds schedules, `mcusim.fit` remedies, `mcusim.bits`
widths, and `mcusim.diff` compares two runs. Each answer has `to_frame()`.

`mcusim.evaluate(model, data)` measures its accuracy on labelled data, and `mcusim.execute` runs it on arrays: both to
the bit as TensorFlow Lite Micro would.

Sizes are bytes, clocks hertz. Whatever a user can get wrong raises a `McusimError` that says where, what and how to
fix it. The same answers on the command line: `mcusim run --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.version import __version__

if TYPE_CHECKING:
    from mcusim.advising.remedies import Diagnosis
    from mcusim.advising.remedies import remedies as fit
    from mcusim.boards import load_board
    from mcusim.boards.board import Board
    from mcusim.designing.optimising import compare_subspaces, find_network
    from mcusim.designing.witnesses import search_net
    from mcusim.errors import McusimError
    from mcusim.evaluating import Evaluation, evaluate
    from mcusim.execution import execute, session
    from mcusim.execution.comparison import Comparison
    from mcusim.execution.differences import diff
    from mcusim.frontends.builder import GraphBuilder
    from mcusim.frontends.pt2 import from_torch
    from mcusim.graph import Graph
    from mcusim.memory.planning import MemoryPlan
    from mcusim.precision import BitFit
    from mcusim.precision import fit_bits as bits
    from mcusim.report import Basis, Report, Verdict
    from mcusim.searching import Front, search
    from mcusim.searching import search as patch
    from mcusim.simulation.planning import plan
    from mcusim.simulation.simulate import simulate
    from mcusim.simulation.tracing import trace
    from mcusim.zoo.loading import load

__all__ = [
    "Basis",
    "BitFit",
    "Board",
    "Comparison",
    "Diagnosis",
    "Evaluation",
    "Front",
    "Graph",
    "GraphBuilder",
    "McusimError",
    "MemoryPlan",
    "Report",
    "Verdict",
    "__version__",
    "bits",
    "compare_subspaces",
    "diff",
    "evaluate",
    "execute",
    "find_network",
    "fit",
    "from_torch",
    "load",
    "load_board",
    "patch",
    "plan",
    "search",
    "search_net",
    "session",
    "simulate",
    "trace",
]

# `import mcusim` loads nothing; a name is fetched from its home when it is first used.
_HOMES = {
    "Basis": "mcusim.report",
    "BitFit": "mcusim.precision",
    "Board": "mcusim.boards.board",
    "Comparison": "mcusim.execution.comparison",
    "Diagnosis": "mcusim.advising.remedies",
    "Evaluation": "mcusim.evaluating",
    "Front": "mcusim.searching",
    "Graph": "mcusim.graph",
    "GraphBuilder": "mcusim.frontends.builder",
    "McusimError": "mcusim.errors",
    "MemoryPlan": "mcusim.memory.planning",
    "Report": "mcusim.report",
    "Verdict": "mcusim.report",
    "bits": "mcusim.precision:fit_bits",
    "compare_subspaces": "mcusim.designing.optimising",
    "diff": "mcusim.execution.differences",
    "evaluate": "mcusim.evaluating",
    "execute": "mcusim.execution",
    "find_network": "mcusim.designing.optimising",
    "fit": "mcusim.advising.remedies:remedies",
    "from_torch": "mcusim.frontends.pt2",
    "load": "mcusim.zoo.loading",
    "load_board": "mcusim.boards",
    "patch": "mcusim.searching:search",
    "plan": "mcusim.simulation.planning",
    "search": "mcusim.searching",
    "search_net": "mcusim.designing.witnesses",
    "session": "mcusim.execution",
    "simulate": "mcusim.simulation.simulate",
    "trace": "mcusim.simulation.tracing",
}
"""A name -> its module, and behind a colon the name that it has there."""


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcusim' has no attribute {name!r}; it offers {', '.join(sorted(_HOMES))}")
    from importlib import import_module
    from inspect import isfunction

    from mcusim.boundary.calling import boundary

    module, _, there = home.partition(":")
    value = getattr(import_module(module), there or name)
    if isfunction(value):
        value = boundary(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
