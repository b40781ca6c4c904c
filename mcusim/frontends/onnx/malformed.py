"""What the checker of the onnx package holds against a model, in words of ours."""

from __future__ import annotations

import re

__all__ = ["malformed"]

_MOST_LETTERS = 60
"""Of a name that a file gives: names in a file may be as long as it likes."""

_SENTENCES = (
    (r"topologically sorted, however input '(.*)' of node", "'{}' is read before anything writes it"),
    (
        r"No Op registered for (\S*) with domain_version of (\S+)",
        "ONNX has no operator {} in opset {}",
    ),
    (r"No opset import for domain '(.*)'", "the version of its operators is not said"),
    (r"must specify opset_import", "the version of its operators is not said"),
    (r"cannot have opset_import", "it says an opset, which formats as old as its own do not have"),
    (r"input size (\d+) not in range \[min=(\d+), max=(\d+)\]", "an operator has {} inputs, and takes {} to {}"),
    (
        r"output size (\d+) not in range \[min=(\d+), max=(\d+)\]",
        "an operator has {} outputs, and gives {} to {}",
    ),
    (r"Unrecognized attribute: (\S*) for operator (\S*)", "the attribute {} is none of the operator {}"),
    (r"Required attribute '(.*)' is missing", "an operator lacks its attribute {}"),
    (r"mismatch in attribute (\S*?)\.?$", "the attribute {} has a value of another type than it says"),
    (r"Attribute '(.*)' appeared multiple times", "the attribute {} is given twice"),
    (r"\(SSA\) form, however '(.*)' has been used", "'{}' is written more than once"),
    (r"^(\S*) initializer name is not unique", "the constant '{}' is there twice"),
    (
        r"^(\S*) in initializer but not in graph input",
        "the constant '{}' is no input, as old formats ask",
    ),
    (r"Graph output '(.*)' is not an output of any node", "nothing writes the output '{}'"),
    (
        r"ir_version (-?\d+) is higher than the checker's \((\d+)\)",
        "its format is version {}, and onnx here knows {}",
    ),
    (r"does not have an ir_version", "the version of its format is not said"),
    (r"tensor name: (.*)\) raw_data size", "the constant '{}' has fewer bytes than its shape asks for"),
    (
        r"tensor name: (.*)\) should contain one and only one value",
        "the constant '{}' has its elements twice or never",
    ),
    (
        r"tensor name: (.*)\) is 0-element but contains data",
        "the constant '{}' has elements, its shape has none",
    ),
    (r"Negative dimension value \(tensor name: (.*)\)", "the constant '{}' has a negative dimension"),
    (r"data_type field \(tensor name: (.*)\) to UNDEFINED", "the constant '{}' has no type"),
    (r"Unrecognized type value case \(value_info name: (.*)\)", "the input or output '{}' has no type that ONNX knows"),
    (r"Field '(.*)' of '(.*)' is required", "a field {} of a {} is empty or missing"),
    (r"initializers must have", "a constant has no name"),
)
"""What the checker says, and what is said instead; the names and numbers that are in it, in order."""


def malformed(error: BaseException) -> str:
    """What is wrong with the model, without the file, the fix and a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for pattern, sentence in _SENTENCES:
        match = re.search(pattern, lines[0] if lines else "")
        if match:
            names = [name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}..." for name in match.groups()]
            return sentence.format(*names)
    return "it breaks a rule of the format, for onnx.checker.check_model refuses it"
