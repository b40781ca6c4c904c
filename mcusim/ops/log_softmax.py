"""LOG_SOFTMAX: logarithm of the softmax over the last axis."""

from mcusim.ops.reduction import over_channels
from mcusim.ops.registry import register

__all__ = ["LOG_SOFTMAX"]

LOG_SOFTMAX = register(
    over_channels("LOG_SOFTMAX", "logarithm of the softmax over the last axis", options="LogSoftmaxOptions")
)
