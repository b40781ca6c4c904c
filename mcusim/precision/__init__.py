"""How many bits each tensor of a network has: chosen so that it fits, and applied to its Graph.

tensors.py    what may be cut: layers, tensors that must stay alike, weights
cutting.py    memory-driven bit allocation: the two algorithms of Rusci et al.
allocation.py BitAllocation, and the Graph that has its datatypes
choices.py    what a user writes: w4a8, or a document
fitting.py    the allocation with which a runtime's own Report says "fits"
"""

from mcusim.precision.allocation import BitAllocation, allocation_of, uniform_allocation, with_bits
from mcusim.precision.choices import AUTO, chosen_bits, parse_widths, read_allocation
from mcusim.precision.cutting import MARGIN, allocate_bits
from mcusim.precision.fitting import BitFit, LayerBits, bit_fit_of, fit_bits, layer_bits

__all__ = [
    "AUTO",
    "MARGIN",
    "BitAllocation",
    "BitFit",
    "LayerBits",
    "allocate_bits",
    "allocation_of",
    "bit_fit_of",
    "chosen_bits",
    "fit_bits",
    "layer_bits",
    "parse_widths",
    "read_allocation",
    "uniform_allocation",
    "with_bits",
]
