"""Operators that no microcontroller runtime has kernels for, because they belong to something else.

Files that were compiled for an accelerator hold operators of its own; so do networks that call back into TensorFlow.
The reason names that, and what to give instead.
Source: Arm ethos-u-vela; NXP eIQ Neutron converter; XMOS xmos-ai-tools; Google Coral edgetpu_compiler; TensorFlow
select operators (`tensorflow/lite/delegates/flex`) and `tensorflow/lite/kernels/variants`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["foreign_reason"]

_BEFORE = "give the file from before"


class _Foreign(NamedTuple):
    """start: how the names of such operators begin.   why: what they are, and what to do."""

    start: str
    why: str


_FOREIGN = (
    _Foreign("ethos-u", f"is compiled for an Arm Ethos-U NPU: {_BEFORE} Vela"),
    _Foreign("NeutronGraph", f"is compiled for an NXP Neutron NPU: {_BEFORE} the Neutron converter"),
    _Foreign("XC_", f"is compiled for an XMOS XCore: {_BEFORE} xformer"),
    _Foreign("edgetpu-custom-op", f"is compiled for a Coral Edge TPU: {_BEFORE} edgetpu_compiler"),
    _Foreign(
        "Flex",
        "is an operator of TensorFlow itself (a select operator), which no microcontroller runtime has: "
        "convert with TFLITE_BUILTINS only, and replace what that refuses",
    ),
    _Foreign(
        "TensorList",
        "is a list of tensors that grows at run time, as loops over Keras layers become: "
        "unroll the layer (`unroll=True`), or export it as a fused LSTM, before converting",
    ),
)


def foreign_reason(op: str) -> str:
    """Why no microcontroller runtime runs an operator, after its name; "" if it is not known to be another's.

    op: TFLite's name, or `CUSTOM:name`.
    """
    if not op.startswith("CUSTOM:"):
        return ""
    name = op.removeprefix("CUSTOM:")
    found = next((each.why for each in _FOREIGN if name.lower().startswith(each.start.lower())), "")
    return f"{name} {found}" if found else ""
