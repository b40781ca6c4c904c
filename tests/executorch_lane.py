"""The judge of ExecuTorch's memory: the library in its wheel, called by a small C++ program; and its exporter.

loaded(content, operators) -> what MethodMeta and two counting allocators say of a program, on 64 bits
exported(module, shape, cpu) -> the quantised program, and the .pte that the cortex_m backend makes of it
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CORES", "LOADER_SOURCE", "Loaded", "compiler", "exported", "headers", "loaded", "structure_sizes"]

CORES = {"M55": "cortex-m55", "M7": "cortex-m7", "M3": "cortex-m3"}
"""Cores as ExecuTorch and as mcusim call them, one a family of kernels."""

LOADER_SOURCE = r"""
#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/platform/runtime.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>
using namespace executorch::runtime;
struct Counting : MemoryAllocator {
  uint8_t* base; size_t peak = 0;
  Counting(uint32_t size, uint8_t* at) : MemoryAllocator(size, at), base(at) {}
  void* allocate(size_t size, size_t alignment = kDefaultAlignment) override {
    void* got = MemoryAllocator::allocate(size, alignment);
    const size_t top = (size_t)((uint8_t*)got - base) + size;
    if (got && top > peak) peak = top;
    return got;
  }
};
static void nothing(KernelRuntimeContext&, Span<EValue*>) {}
static uint8_t* room(size_t size) { return (uint8_t*)aligned_alloc(64, size / 64 * 64 + 64); }
int main(int count, char** given) {
  runtime_init();
  std::ifstream file(given[1], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  uint8_t* content = room(bytes.size());
  memcpy(content, bytes.data(), bytes.size());
  executorch::extension::BufferDataLoader loader(content, bytes.size());
  auto program = Program::load(&loader);
  if (!program.ok()) return 3;
  std::vector<Kernel> kernels;
  for (int i = 2; i < count; i++) kernels.emplace_back(given[i], nothing);
  if (register_kernels({kernels.data(), kernels.size()}) != Error::Ok) return 4;
  const char* name = *program->get_method_name(0);
  auto meta = program->method_meta(name);
  std::vector<Span<uint8_t>> planned;
  for (size_t i = 0; i < meta->num_memory_planned_buffers(); i++) {
    const size_t size = (size_t)*meta->memory_planned_buffer_size(i);
    printf("%zu ", size);
    planned.push_back({room(size), size});
  }
  HierarchicalAllocator buffers({planned.data(), planned.size()});
  const size_t most = 1 << 22;
  Counting lasting(most, room(most)), temporary(most, room(most));
  MemoryManager manager(&lasting, &buffers, &temporary);
  auto method = program->load_method(name, &manager);
  printf("| %zu %zu\n", lasting.peak, temporary.peak);
  return method.ok() ? 0 : 5;
}
"""

SIZES_SOURCE = r"""
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/core/freeable_buffer.h>
#include <executorch/runtime/core/named_data_map.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/kernel/operator_registry.h>
using namespace executorch::runtime;
using executorch::aten::Tensor;
struct ChainLike { const void* chain; Span<Span<EValue*>> arguments; OpFunction* kernels; };
struct DelegateLike { FreeableBuffer segment; const void* backend; void* handle; };
struct NamedLike { const char* key; FreeableBuffer buffer; };
#define SHOW(x) (unsigned)sizeof(x), (unsigned)alignof(x)
extern "C" const unsigned table[] = {
  SHOW(EValue), SHOW(bool), SHOW(executorch::aten::SizesType), SHOW(executorch::aten::DimOrderType),
  SHOW(executorch::aten::StridesType), SHOW(executorch::aten::TensorImpl), SHOW(Tensor), SHOW(std::optional<Tensor>),
  SHOW(EValue*), SHOW(int64_t), SHOW(BoxedEvalueList<int64_t>), SHOW(executorch::aten::ArrayRef<double>),
  SHOW(NamedLike), SHOW(DelegateLike), SHOW(CompileSpec), SHOW(ChainLike), SHOW(Span<EValue*>), SHOW(TensorMeta)};
"""
"""Sizes and alignments of structures, in the order of `mcusim.frontends.pte_loading`; the last is what is looked up."""


class Loaded(NamedTuple):
    """What a loaded program takes, in bytes."""

    planned_bytes: tuple[int, ...]
    method_bytes: int
    load_bytes: int


def headers() -> list[str]:
    """Options that find the headers of the wheel."""
    package = Path(str(find_spec("executorch").submodule_search_locations[0]))  # type: ignore[union-attr,index]
    include = package / "include"
    portable = include / "executorch" / "runtime" / "core" / "portable_type" / "c10"
    return [f"-I{include}", f"-I{portable}", "-DC10_USING_CUSTOM_GENERATED_MACROS", "-std=c++17"]


def compiler(name: str) -> str | None:
    return shutil.which(name)


@cache
def _loader() -> Path:
    folder = Path(tempfile.mkdtemp())
    source, built = folder / "loader.cpp", folder / "loader"
    source.write_text(LOADER_SOURCE)
    library = Path(headers()[0][2:]).parent / "lib"
    command = ["g++", "-O1", *headers(), str(source), "-o", str(built)]
    command += [f"-L{library}", "-lexecutorch", f"-Wl,-rpath,{library}"]
    subprocess.run(command, check=True, capture_output=True)
    return built


def loaded(content: bytes, operators: Sequence[str]) -> Loaded:
    """What the wheel's own library takes to load a program; each of its operators has a kernel that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pte"
        path.write_bytes(content)
        done = subprocess.run([_loader(), path, *sorted(set(operators))], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-500:])
    planned, _, rest = done.stdout.partition("|")
    method_bytes, load_bytes = map(int, rest.split())
    return Loaded(tuple(map(int, planned.split())), method_bytes, load_bytes)


def structure_sizes(command: Sequence[str], objcopy: str) -> list[int]:
    """Sizes and alignments of the runtime's structures as a compiler lays them out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sizes.cpp").write_text(SIZES_SOURCE)
        built = subprocess.run(
            [*command, *headers(), "-c", str(folder / "sizes.cpp"), "-o", str(folder / "sizes.o"), "-fdata-sections"],
            capture_output=True,
            text=True,
        )
        assert built.returncode == 0, built.stderr[:2000]
        flags = ["-O", "binary", "--only-section=.rodata.table"]
        subprocess.run([objcopy, *flags, folder / "sizes.o", folder / "sizes.bin"], check=True)
        content = (folder / "sizes.bin").read_bytes()
    return [int.from_bytes(content[at : at + 4], "little") for at in range(0, len(content), 4)]


def exported(module: Any, shape: tuple[int, ...], cpu: str, *, float_io: bool = False) -> tuple[Any, bytes]:
    """A module quantised for the cortex_m backend: the exported program, and its .pte for a core.

    float_io: whether it quantises its input and dequantises its output itself.
    """
    import torch
    from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
    from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer
    from executorch.backends.cortex_m.target_config import CortexM, CortexMTargetConfig
    from executorch.exir import EdgeProgramManager, to_edge
    from executorch.exir.passes.quantize_io_pass import QuantizeInputs, QuantizeOutputs
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    def laid(tensor: Any) -> Any:
        return tensor.to(memory_format=torch.channels_last) if len(shape) == 4 else tensor

    torch.manual_seed(len(shape))
    torch.set_num_threads(1)
    example = (laid(torch.randn(shape)),)
    module = laid(module.eval())
    captured = torch.export.export(module, example, strict=True).module(check_guards=False)
    prepared = prepare_pt2e(captured, CortexMQuantizer())
    for _ in range(3):
        prepared(laid(torch.randn(shape)))
    program = torch.export.export(convert_pt2e(prepared), example, strict=True)
    edge = to_edge(program, compile_config=cortex_m_edge_compile_config())
    if not float_io:
        edge = edge.transform([QuantizeInputs(edge, [0]), QuantizeOutputs(edge, [0])])
    target = CortexMTargetConfig(cpu=getattr(CortexM, cpu))
    lowered = CortexMPassManager(edge.exported_program(), target_config=target).transform()
    manager = EdgeProgramManager(lowered, compile_config=cortex_m_edge_compile_config())
    return program, bytes(manager.to_executorch().buffer)
