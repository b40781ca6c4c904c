"""Operators that no microcontroller runtime has kernels for, because they belong to something else.

Files that were compiled for an accelerator hold operators of its own; so do networks that call back into TensorFlow.
The reason names that, and what to give instead.
Source: Arm ethos-u-vela; NXP eIQ Neutron converter; XMOS xmos-ai-tools; Google Coral edgetpu_compiler; TensorFlow
select operators (tensorflow/lite/delegates/flex) and tensorflow/lite/kernels/variants.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Foreign", "foreign_operator"]


class Foreign(NamedTuple):
    """start: how the names of such operators begin, in small letters.   what: what they are.   fix: what to do."""

    start: str
    what: str
    fix: str

    @property
    def reason(self) -> str:
        return f"{self.what}; {self.fix}"


_FOREIGN = (
    Foreign("ethos-u", "compiled for an Arm Ethos-U NPU", "give the file from before Vela"),
    Foreign("neutron", "compiled for an NXP Neutron NPU", "give the file from before the Neutron converter"),
    Foreign("xc_", "compiled for an XMOS XCore", "give the file from before xformer"),
    Foreign("edgetpu-custom-op", "compiled for a Coral Edge TPU", "give the file from before edgetpu_compiler"),
    Foreign(
        "flex",
        "an operator of TensorFlow itself (a select operator), which no microcontroller runtime has",
        "convert with TFLITE_BUILTINS alone, and replace what that refuses",
    ),
    Foreign(
        "tensorlist",
        "a list of tensors that grows while the network runs, as Keras makes of loops over time",
        "unroll the layer (unroll=True), or let the converter fuse it to a LSTM of fixed length",
    ),
)


def foreign_operator(op: str) -> Foreign | None:
    """Whose operator a custom one is, where that is known.   op: TFLite's name, or `CUSTOM:name`."""
    if not op.startswith("CUSTOM:"):
        return None
    name = op.removeprefix("CUSTOM:").lower()
    return next((each for each in _FOREIGN if name.startswith(each.start)), None)
