"""PyTorch's exported programs (.pt2, and torch.export in memory) -> Graph, by the same core as ONNX."""

from mcusim.frontends.pt2.reading import from_torch, parse_pt2, read_pt2

__all__ = ["from_torch", "parse_pt2", "read_pt2"]
