"""`--runtime executorch`: against the exporter and the library of the executorch wheel, to the byte.

.pte                     planned memory, both allocators        = what the wheel's own library takes (64 bits)
a network of another form  planned memory, both allocators      = those of the .pte that the wheel exports of it
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import run

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
pytest.importorskip("executorch.exir", reason="executorch is not installed", exc_type=ImportError)
pytest.importorskip(
    "executorch.backends.cortex_m.quantizer.quantizer",
    reason="executorch's cortex_m backend needs tosa-tools",
    exc_type=ImportError,
)

from executorch_lane import CORES, compiler, exported, loaded, structure_sizes  # noqa: E402
from test_torch import MODULES  # noqa: E402

import mcusim  # noqa: E402
from mcusim.frontends.pte import PteMethod, parse_pte  # noqa: E402
from mcusim.frontends.pte_graph import graph_from_pte  # noqa: E402
from mcusim.frontends.pte_loading import LOOKED_UP_BYTES, STRUCTURES  # noqa: E402
from mcusim.graph import Graph  # noqa: E402
from mcusim.lowering.lower import lower  # noqa: E402
from mcusim.memory.placement import place_for  # noqa: E402
from mcusim.runtimes import RUNTIMES  # noqa: E402
from mcusim.schedule import LAYER  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Excited(nn.Module):
    """Squeeze and excite, and a softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.f, self.g, self.h = (
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Conv2d(8, 4, 1),
            nn.Conv2d(4, 8, 1),
            nn.Linear(8, 4),
        )

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.a(x))
        scale = torch.sigmoid(self.g(torch.relu(self.f(functional.adaptive_avg_pool2d(x, 1)))))
        return torch.softmax(self.h((x * scale).mean([2, 3])), -1)


class Dilated(nn.Module):
    """Two branches that live at once, one dilated; buffers of equal size, whose order decides."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 5, 2, 2), nn.Conv2d(16, 16, 3, 1, 2, dilation=2)
        self.c, self.d = nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 16, 1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.a(x))
        return torch.relu(self.d(torch.relu(self.b(x)) + self.c(x))) + x


class Decoder(nn.Module):
    """A transposed convolution, with two buffers of working memory."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.u, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(4, 4, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        return self.b(torch.relu(self.u(torch.relu(self.a(x)))))


PLANNED: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    **{name: MODULES[name] for name in ("separable", "residual", "keywords", "sound", "dense", "swish")},
    "excited": (Excited, (1, 3, 24, 24)),
    "dilated": (Dilated, (1, 3, 24, 24)),
    "decoder": (Decoder, (1, 3, 16, 16)),
}
"""Networks whose operators all have kernels in the backend."""


@cache
def made(name: str, cpu: str, float_io: bool = False) -> tuple[Any, bytes]:
    torch.manual_seed(len(name))
    module, shape = (PLANNED | MODULES)[name]
    return exported(module(), shape, cpu, float_io=float_io)


def method_of(content: bytes) -> PteMethod:
    [method] = parse_pte(content, name="net", where="net.pte").methods
    return method


def arena_bytes(graph: Graph, core: str) -> int:
    runtime = RUNTIMES["executorch"].on(core)
    return place_for(lower(graph, LAYER, runtime.rules), runtime).arena_bytes


@pytest.mark.skipif(compiler("g++") is None, reason="no g++ on the PATH")
@pytest.mark.parametrize("name", ["residual", "pyramid", "swish", "dense"])
@pytest.mark.parametrize("float_io", [False, True], ids=["int8", "float"])
def test_a_program_takes_what_the_library_takes(name: str, float_io: bool) -> None:
    """pyramid: concatenation and upsampling by the portable kernels, with lists of tensors."""
    content = made(name, "M55", float_io)[1]
    method = method_of(content)
    judged = loaded(content, method.calls)
    assert method.buffer_bytes == judged.planned_bytes
    assert method.method_bytes(8) == judged.method_bytes
    assert method.load_bytes(8) == judged.load_bytes
    assert arena_bytes(graph_from_pte(parse_pte(content, name=name, where=name), name), "cortex-m55") == sum(
        judged.planned_bytes
    )


CASES = [(name, "M55") for name in PLANNED] + [
    (name, cpu) for name in ("separable", "keywords") for cpu in ("M7", "M3")
]


@pytest.mark.parametrize(("name", "cpu"), CASES)
def test_a_network_is_planned_as_the_exporter_plans_it(name: str, cpu: str) -> None:
    program, content = made(name, cpu)
    method, graph = method_of(content), mcusim.from_torch(program, name)
    assert arena_bytes(graph, CORES[cpu]) == method.planned_bytes
    persistent_bytes = RUNTIMES["executorch"].on(CORES[cpu]).persistent(graph).size_bytes
    exact = method.method_bytes() + method.load_bytes()
    if name == "excited":  # its sigmoid has a scale of its own there, where TFLite's needs a QUANTIZE behind it
        assert exact < persistent_bytes < 1.1 * exact
    else:
        assert abs(persistent_bytes - exact) <= 8


def test_the_plan_holds_the_kernels_working_memory() -> None:
    """ExecuTorch asks CMSIS-NN for it while exporting: it differs from core to core, and so does the plan."""
    sizes = {cpu: method_of(made("separable", cpu)[1]).planned_bytes for cpu in CORES}
    assert sizes["M55"] > sizes["M7"]


@pytest.mark.skipif(compiler("arm-none-eabi-g++") is None, reason="no arm-none-eabi-g++ on the PATH")
@pytest.mark.parametrize(
    ("command", "objcopy", "place"),
    [
        (["arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb"], "arm-none-eabi-objcopy", 0),
        (["g++"], "objcopy", 1),
    ],
    ids=["32", "64"],
)
def test_structures_have_the_compilers_sizes(command: list[str], objcopy: str, place: int) -> None:
    sizes = structure_sizes(command, objcopy)
    wanted = [number for layout in STRUCTURES.values() for number in layout[place]]
    assert sizes[: len(wanted)] == wanted
    assert sizes[len(wanted)] == LOOKED_UP_BYTES[(4, 8)[place]]


def test_another_planner_places_a_program(tmp_path: Path) -> None:
    """The plan in the file is left: it would be the same under each planner's name."""
    path = tmp_path / "net.pte"
    path.write_bytes(made("separable", "M7")[1])
    planned = mcusim.simulate(path, profile="stm32h743").sram.arena_bytes
    report = mcusim.simulate(path, profile="stm32h743", planner="best-fit")
    assert 0 < report.sram.arena_bytes < planned
    assert any("placed by best-fit" in warning for warning in report.warnings)


def test_a_verdict(tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    path.write_bytes(made("separable", "M7")[1])
    done = run("run", str(path), "--profile", "stm32h743", "--json", "-")
    document = json.loads(done.out)
    method = method_of(path.read_bytes())
    assert document["runtime"]["name"] == "executorch"
    assert document["sram"]["arena_bytes"] == method.planned_bytes
    assert document["sram"]["persistent_bytes"] == method.method_bytes() + method.load_bytes()
    assert document["flash"]["model_bytes"] == path.stat().st_size
    assert document["flash"]["code_bytes"] is None
    assert document["latency"]["ms"] is None
    assert any("nobody has measured executorch" in warning for warning in document["warnings"])
    refused = run("exec", str(path))
    assert refused.code == 2
    assert "Traceback" not in refused.err
    tflm = run("run", str(path), "--profile", "stm32h743", "--runtime", "tflm")
    assert "TFLM has no kernel for cortex_m::quantized_conv2d.out" in tflm.out.replace("\n  ", " ")
