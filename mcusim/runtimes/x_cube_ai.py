"""X-CUBE-AI, now ST Edge AI Core: generated code around a closed library.

Neither planner nor kernels are public; which operators it imports is (`x_cube_ai_conditions.py`). RAM is counted by
the convention of the same name, flash by what ST's model zoo prints: the weights and an int32 bias a channel exactly;
the code as a constant and so much a layer.
"""

from __future__ import annotations

from mcusim.graph import Graph
from mcusim.ops import OPS, Movement
from mcusim.planners import best_fit_portfolio
from mcusim.report import Basis
from mcusim.runtimes.registry import Runtime, register
from mcusim.runtimes.stored import weights_ledger
from mcusim.runtimes.timed import GENERATED_CODE, stored_weights
from mcusim.runtimes.x_cube_ai_conditions import x_cube_ai_kernel

__all__ = ["X_CUBE_AI"]

CODE_BYTES, CODE_BYTES_A_LAYER = 42_000, 850
"""Least squares on the code of 21 networks under 10.0 in ST's model zoo, off by 4.5 % (A22). 7.3 has 32,500 and 1,200
(18 networks, 6 %); core-3.0 23,000 and 530 (9, 6 %)."""


def _code_bytes(graph: Graph) -> int:
    computing = sum(node.op in OPS and OPS[node.op].movement is not Movement.RELABELS for node in graph.nodes)
    return CODE_BYTES + CODE_BYTES_A_LAYER * computing


X_CUBE_AI = register(
    Runtime(
        name="x-cube-ai",
        version="10.0",
        title="X-CUBE-AI / ST Edge AI Core, generated C and a closed library",
        rules=GENERATED_CODE,
        planner_name="best-fit",
        preference=4,
        planner=best_fit_portfolio,
        kernel=x_cube_ai_kernel,
        flash=stored_weights("X-CUBE-AI", _code_bytes),
        flash_ledger=weights_ledger,
        memory_basis=Basis.CALIBRATED,
        persistent_basis=Basis.CALIBRATED,
        price_family="x-cube-ai",
        counted_by="x-cube-ai",
        weight_bits=(8,),
        parts="stm32",
        versions=("core-4.0", "core-3.0", "10.2", "10.0", "9.1", "9.0", "8.1", "8.0", "7.3", "7.1", "unstated"),
        current=10,
        builds=(("mlperf", "as ST submitted it to MLPerf Tiny"),),
        evidence="operators: ST's list for ST Edge AI Core 4.0; SRAM: see the convention of the same name, made for "
        "7.3; flash: weights and biases equal ST's figures, code 4.5 % off under 10.0; latency: ST's model zoo on "
        "STM32H747, F769 and U585; MLPerf Tiny on L4R5, H7A3, U575 and U385 (option mlperf: as ST submitted it, faster "
        "than the default from 8.1 on); 11 networks on STM32H743",
    )
)
