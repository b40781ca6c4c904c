"""Networks of real arithmetic between quantisers (ONNX's QDQ, PyTorch's PT2E) -> Graph.

One core for all front ends: they give a `Network` in ONNX's words, and `import_network` makes the Graph.
"""

from mcusim.frontends.qdq.importing import QUANTISE, import_network
from mcusim.frontends.qdq.network import Network, Step, Value

__all__ = ["QUANTISE", "Network", "Step", "Value", "import_network"]
