"""PyTorch modules quantised by PT2E: as exported programs in memory, as .pt2 files, and as ONNX by torch.onnx.

TFLM has to agree byte for byte on the exported file; PyTorch computes in floats between the quantisers and is compared.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from numpy.typing import NDArray
from oracles import run_tflm

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
pt2e = pytest.importorskip(
    "torchao.quantization.pt2e.quantize_pt2e", reason="torchao is not installed", exc_type=ImportError
)
xnnpack = pytest.importorskip(
    "executorch.backends.xnnpack.quantizer.xnnpack_quantizer",
    reason="executorch is not installed",
    exc_type=ImportError,
)

import mcusim  # noqa: E402
from mcusim.errors import McusimError  # noqa: E402
from mcusim.evaluating.agreement import stored_input  # noqa: E402
from mcusim.execution import execute  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.pt2 import parse_pt2  # noqa: E402
from mcusim.frontends.tflite_writer import write_tflite  # noqa: E402
from mcusim.graph import Graph  # noqa: E402

Array = NDArray[Any]
nn, functional = torch.nn, torch.nn.functional
pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Separable(nn.Module):
    """MobileNetV1: depthwise and pointwise convolutions, batch norms, ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[Any] = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()]
        for inner, outer, stride in ((8, 16, 1), (16, 24, 2)):
            layers += [
                nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
                nn.BatchNorm2d(inner),
                nn.ReLU6(),
            ]
            layers += [nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU6()]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(24, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x).mean([2, 3]))


class Residual(nn.Module):
    """ResNet: a padded maximum pool, sums with ReLU, an average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 8, 7, 2, 3), nn.MaxPool2d(3, 2, 1)
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.mean, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = self.pool(torch.relu(self.stem(x)))
        x = torch.relu(x + self.b(torch.relu(self.a(x))))
        return self.head(torch.flatten(self.mean(x), 1))


class Swish(nn.Module):
    """MobileNetV3: hard swish, and a softmax without a quantiser of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.head = nn.Linear(8, 6)

    def forward(self, x: Any) -> Any:
        x = functional.hardswish(self.b(functional.hardswish(self.a(x))))
        return torch.softmax(self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1)), -1)


class Keywords(nn.Module):
    """DS-CNN: uneven kernels, and a flattened map before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, (10, 4), 2), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.c, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8 * 20 * 4, 12)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.c(torch.relu(self.b(torch.relu(self.a(x))))))
        return self.head(x.flatten(1))


class Sound(nn.Module):
    """One-dimensional convolutions over time."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(4, 8, (1, 5), padding=(0, 2)), nn.Conv2d(8, 8, (1, 3)), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.b(torch.relu(self.a(x)))).mean([2, 3]))


class Pyramid(nn.Module):
    """Leaky ReLU, concatenation, upsampling; a map comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: Any) -> Any:
        fine = torch.relu(self.a(x))
        coarse = functional.interpolate(torch.relu(self.b(fine)), scale_factor=2.0, mode="nearest")
        return self.c(torch.cat([fine, coarse], 1))


class Dense(nn.Module):
    """An autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 40)
        )

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Smooth(nn.Module):
    """Activations that TFLite has no operator for, and a log softmax between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(12, 16), nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        x = functional.mish(self.a(x)) + functional.softplus(self.b(functional.gelu(self.a(x), approximate="tanh")))
        return self.head(functional.log_softmax(x, -1))


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "separable": (Separable, (1, 3, 32, 32)),
    "residual": (Residual, (1, 3, 32, 32)),
    "swish": (Swish, (1, 3, 24, 24)),
    "keywords": (Keywords, (1, 1, 49, 10)),
    "sound": (Sound, (1, 4, 1, 40)),
    "pyramid": (Pyramid, (1, 3, 16, 16)),
    "dense": (Dense, (1, 40)),
    "smooth": (Smooth, (1, 12)),
}


@cache
def converted(name: str, per_channel: bool = True) -> tuple[Any, Any]:
    """The exported program of a module quantised by PT2E, and what runs it."""
    torch.manual_seed(len(name))
    torch.set_num_threads(1)
    made, shape = MODULES[name]
    example = (torch.randn(shape),)
    quantizer = xnnpack.XNNPACKQuantizer()
    quantizer.set_global(xnnpack.get_symmetric_quantization_config(is_per_channel=per_channel))
    prepared = pt2e.prepare_pt2e(torch.export.export(made().eval(), example).module(), quantizer)
    for _ in range(4):
        prepared(torch.randn(shape))
    quantised = pt2e.convert_pt2e(prepared)
    return torch.export.export(quantised, example), quantised


def compared(graph: Graph, name: str, answer: Callable[[Array], Array]) -> tuple[float, int]:
    """Equal to TFLM; against `answer`, the share of equal elements and the largest step."""
    gaps = []
    content = write_tflite(graph)
    for seed in range(3):
        real = np.random.default_rng(seed).normal(0, 1, MODULES[name][1]).astype(np.float32)
        given = stored_input(graph, graph.inputs[0], real)
        mine = execute(graph, [given])[0]
        np.testing.assert_array_equal(mine, run_tflm(content, [given])[0])
        wanted = answer(real)
        stored = graph.tensors[graph.outputs[0]].quantization
        assert stored is not None
        laid = wanted if wanted.shape == mine.shape else np.moveaxis(wanted, 1, -1)
        steps = np.clip(np.rint(laid / stored.scales[0]) + stored.zero_points[0], -128, 127)
        gaps.append(np.abs(steps - mine).ravel())
    gap = np.concatenate(gaps)
    return float((gap == 0).mean()), int(gap.max())


@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
@pytest.mark.parametrize("name", MODULES)
def test_a_module_quantised_by_pt2e(name: str, per_channel: bool) -> None:
    program, module = converted(name, per_channel)
    graph = mcusim.from_torch(program, name)
    assert mcusim.simulate(graph, profile="stm32h743", runtime="tflm").sram.arena_bytes > 0
    assert not any(node.op == "TRANSPOSE" for node in graph.nodes)
    equal, step = compared(graph, name, lambda real: module(torch.from_numpy(real)).detach().numpy())
    assert equal > 0.4, (equal, step)
    assert step <= 4, (equal, step)


@pytest.mark.parametrize("name", MODULES)
def test_the_same_module_by_way_of_onnx(name: str, tmp_path: Path) -> None:
    """torch.onnx writes PT2E's quantisers as QuantizeLinear and DequantizeLinear."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    program, module = converted(name)
    torch.onnx.export(program, (torch.zeros(MODULES[name][1]),), tmp_path / "n.onnx", dynamo=True, verbose=False)
    graph = parse_onnx((tmp_path / "n.onnx").read_bytes(), name=name, where=name, folder=tmp_path)
    equal, step = compared(graph, name, lambda real: module(torch.from_numpy(real)).detach().numpy())
    assert equal > 0.4, (equal, step)
    assert step <= 4, (equal, step)
    if name == "smooth":
        return  # torch.onnx writes its softplus with a threshold, as Greater and Where
    direct = mcusim.from_torch(program, name)
    assert [node.op for node in graph.nodes] == [node.op for node in direct.nodes]


def saved(name: str) -> bytes:
    stream = io.BytesIO()
    torch.export.save(converted(name)[0], stream)
    return stream.getvalue()


def test_a_pt2_file_and_every_command(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(saved("separable"))
    assert run("run", str(path), "--profile", "stm32h743", "--runtime", "tflm").code == 0
    done = run("export", str(path), str(tmp_path / "net.tflite"))
    assert done.code == 0
    assert "channels last" in done.out
    assert "all 9 layers equal" in run("diff", str(path), str(tmp_path / "net.tflite")).out


def rewritten(content: bytes, changes: dict[str, Callable[[bytes], bytes]]) -> bytes:
    """An archive with some of its members changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            kept = old.read(name)
            for ending, change in changes.items():
                kept = change(kept) if name.endswith(ending) else kept
            new.writestr(name, kept)
    return stream.getvalue()


def edited(edit: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        document = json.loads(content)
        edit(document)
        return json.dumps(document).encode()

    return change


def _pickled(config: Any) -> None:
    for entry in config["config"].values():
        entry["use_pickle"] = True


def _huge(config: Any) -> None:
    for entry in config["config"].values():
        entry["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]
        entry["tensor_meta"]["strides"] = [{"as_int": 1}]


def _open(model: Any) -> None:
    sizes = model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
    sizes[-1] = {"as_expr": {"expr_str": "s0", "hint": None}}


def _unknown(model: Any) -> None:
    for node in model["graph_module"]["graph"]["nodes"]:
        if "relu" in node["target"]:
            node["target"] = "torch.ops.aten.erfinv.default"


def _custom(model: Any) -> None:
    for node in model["graph_module"]["graph"]["nodes"]:
        node["target"] = node["target"].replace("torch.ops.aten.conv2d", "torch.ops.mine.conv2d")


@pytest.mark.parametrize(
    ("member", "edit", "match"),
    [
        ("weights_config.json", _pickled, "opens no pickles"),
        ("weights_config.json", _huge, "does not go with"),
        ("model.json", _open, "dynamic axis"),
        ("model.json", _unknown, "cannot express erfinv"),
        ("model.json", _custom, r"\(conv2d\): operator conv2d belongs to the custom domain 'mine'"),
        ("model.json", lambda m: m.update(schema_version={"major": 99}), "schema has version 99"),
        ("model.json", lambda m: m["graph_module"].clear(), "malformed"),
    ],
)
def test_archives_that_are_refused(member: str, edit: Callable[[Any], None], match: str) -> None:
    with pytest.raises(McusimError, match=match):
        parse_pt2(
            rewritten(saved("dense" if member == "weights_config.json" else "residual"), {member: edited(edit)}),
            name="n",
            where="n",
        )


def test_what_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(McusimError, match=r"Dense, no exported program\n  fix: export it first"):
        mcusim.from_torch(Dense())
    with pytest.raises(McusimError, match="not quantised"):
        mcusim.from_torch(torch.export.export(Dense().eval(), (torch.zeros(1, 40),)))
    (tmp_path / "net.pt2").write_bytes(b"nothing")
    with pytest.raises(McusimError, match=r"no .pt2 archive"):
        mcusim.load(tmp_path / "net.pt2")
    torch.save({"a": torch.zeros(3)}, tmp_path / "old.pt2")
    with pytest.raises(McusimError, match="opens no pickles"):
        mcusim.load(tmp_path / "old.pt2")
