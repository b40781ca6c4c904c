"""ONNX models -> Graph. `reading.py` is the door; the `onnx` package (extra `onnx`) reads and infers shapes."""

from mcusim.frontends.onnx.reading import parse_onnx, read_onnx

__all__ = ["parse_onnx", "read_onnx"]
