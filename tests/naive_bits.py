"""Memory-driven bit allocation of a chain of layers, step by step as the paper tells it. Imports nothing from mcusim.

Source: Rusci et al., MLSys 2020, algorithms 1 and 2, and the authors' quant_auto.py.
"""

from __future__ import annotations

from fractions import Fraction


class Impossible(Exception):
    """Some layer takes too much with the fewest bits."""


def cut_activations(sizes: list[int], budget: int, least: int) -> list[int]:
    """Bits of each tensor of a chain; layer i reads tensor i and writes tensor i + 1. Both ends keep 8 bits.

    sizes: elements.   budget: bytes for the input and the output of a layer together.
    """
    bits = [8] * len(sizes)
    layers = list(range(len(sizes) - 1))
    last = layers[-1]

    def memory(tensor: int) -> int:
        return -(-sizes[tensor] * bits[tensor] // 8)

    def wants_output(i: int) -> bool:
        may_read, may_write = i != 0 and bits[i] > least, i != last and bits[i + 1] > least
        if not may_read and not may_write:
            raise Impossible
        if may_read != may_write:
            return may_write
        if bits[i] != bits[i + 1]:
            return bits[i + 1] > bits[i]
        return not memory(i) > memory(i + 1)

    def sweep(order: list[int], forward: bool) -> bool:
        fine = True
        for i in order:
            while memory(i) + memory(i + 1) > budget:
                if wants_output(i) != forward:
                    fine = False
                    break
                bits[i + 1 if forward else i] //= 2
        return fine

    while True:
        if sweep(layers, True):
            return bits
        if sweep(layers[::-1], False):
            return bits


def cut_weights(sizes: list[int], budget: int, least: int, margin: Fraction) -> list[int]:
    """Bits of each layer's weights.   sizes: elements.   budget: bytes for all."""
    bits = [8] * len(sizes)
    while True:
        memory = [-(-size * width // 8) for size, width in zip(sizes, bits, strict=True)]
        if sum(memory) <= budget:
            return bits
        shares = [Fraction(each, sum(memory)) for each in memory]
        free = [i for i, width in enumerate(bits) if width > least]
        if not free:
            raise Impossible
        largest = max(shares[i] for i in free)
        bits[next(i for i in free if shares[i] > largest - margin or shares[i] == largest)] //= 2
