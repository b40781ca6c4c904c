"""Kernels: what computes, bit-exactly. Loaded at first execution only, by the executor.

Each module's `run` has the form `mcusim.ops.registry.Run`.
"""
