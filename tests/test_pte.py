"""ExecuTorch programs: what is read from a .pte file is what the executorch package planned and wrote."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

jsonschema = pytest.importorskip("jsonschema")
torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
exir = pytest.importorskip("executorch.exir", reason="executorch is not installed", exc_type=ImportError)
pytest.importorskip("torchao", reason="torchao is not installed", exc_type=ImportError)

from test_torch import MODULES, converted  # noqa: E402

from mcusim.cli.schema import document_schema  # noqa: E402
from mcusim.errors import McusimError  # noqa: E402
from mcusim.frontends.pte import parse_pte  # noqa: E402
from mcusim.frontends.pte_graph import graph_from_pte  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@cache
def program(name: str, is_quantised: bool) -> Any:
    """A module as ExecuTorch plans it, for its portable kernels."""
    if is_quantised:
        pytest.importorskip("executorch.kernels.quantized", reason="no quantised kernels", exc_type=ImportError)
        exported = converted(name)[0]
    else:
        made, shape = MODULES[name]
        exported = torch.export.export(made().eval(), (torch.zeros(shape),))
    return exir.to_edge(exported).to_executorch()


@pytest.mark.parametrize("is_quantised", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("name", ["residual", "separable", "dense", "pyramid"])
def test_the_plan_is_executorchs(name: str, is_quantised: bool) -> None:
    made = program(name, is_quantised)
    [plan], content = made.executorch_program.execution_plan, bytes(made.buffer)
    [method] = parse_pte(content, name=name, where=name).methods
    assert list(method.buffer_bytes) == list(plan.non_const_buffer_sizes)[1:]
    instructions = [each.instr_args for chain in plan.chains for each in chain.instructions]
    names = [f"{op.name}.{op.overload}" if op.overload else op.name for op in plan.operators]
    assert list(method.calls) == [names[each.op_index] for each in instructions if hasattr(each, "op_index")]
    placed = {
        number: value.val.allocation_info
        for number, value in enumerate(plan.values)
        if getattr(value.val, "allocation_info", None) is not None
    }
    assert {t.value: (t.buffer, t.offset_bytes) for t in method.tensors} == {
        number: (place.memory_id, place.memory_offset) for number, place in placed.items()
    }
    for tensor in method.tensors:
        assert tensor.offset_bytes + tensor.size_bytes <= method.buffer_bytes[tensor.buffer - 1]
    assert 0 < method.live_bytes <= method.planned_bytes


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    path.write_bytes(bytes(program("dense", False).buffer))
    done = run("pte", str(path))
    assert done.code == 0
    assert "bytes of planned memory" in done.out
    document = json.loads(run("pte", str(path), "--json", "-").out)
    assert document["file_bytes"] == path.stat().st_size
    jsonschema.validate(document, document_schema("pte"))
    (tmp_path / "other.pte").write_bytes(b"\x1c\0\0\0TFL3" + bytes(99))
    assert "no ExecuTorch program" in run("pte", str(tmp_path / "other.pte")).err


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_programs_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    content = bytearray(program("dense", False).buffer)
    for place, value in changes:
        content[place % len(content)] = value
    with contextlib.suppress(McusimError):
        graph_from_pte(parse_pte(bytes(content), name="net", where="net.pte"), "net.pte")


def test_no_number_of_a_program_is_trusted() -> None:
    """Each in turn becomes one that no count, size or place of the file goes with."""
    content = bytes(program("dense", False).buffer)
    for place in range(0, len(content) - 4, 4):
        changed = content[:place] + (1_000_000).to_bytes(4, "little") + content[place + 4 :]
        with contextlib.suppress(McusimError):
            graph_from_pte(parse_pte(changed, name="net", where="net.pte"), "net.pte")
