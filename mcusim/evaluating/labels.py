"""Labels of a data set -> class numbers of the network. What cannot be known is refused, what is decided is said."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Reading
from mcusim.files import reason_of, text_of

__all__ = ["numbered", "read_classes"]


_MOST_DIGITS = 1000
"""Of a label that is taken for a number."""


def read_classes(path: str) -> tuple[str, ...]:
    """The names of a network's classes, one a line, in the order of its outputs. Raises InputError."""
    try:
        lines = text_of(path).splitlines()
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise InputError(f"it cannot be read ({reason})", where=f"--classes {path}", fix="check the path") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError("it is empty", where=f"--classes {path}", fix="write the name of each class on a line")
    return tuple(line.strip() for line in lines)


def numbered(labels: Sequence[str], reading: Reading, where: str) -> tuple[dict[str, int], list[str]]:
    """Class number of each label of a data set, and what was decided.

    labels: the distinct labels. With --classes, the line that is the label, or whose first word is; labels that are
    numbers are class numbers; any others count in alphabetical order, which must then be all classes.
    Raises InputError where they do not match the network.
    """
    offset, outputs = reading.label_offset or 0, reading.outputs
    if reading.classes:
        numbers, notes = _listed(labels, reading, where), list[str]()
    elif all(label.isdecimal() and len(label) <= _MOST_DIGITS for label in labels):
        numbers = {label: int(label) for label in labels}
        if len(set(numbers.values())) < len(numbers):
            raise InputError("two labels are the same number", where=where, fix="rename one of them")
        offset, notes = _number_offset(sorted(numbers.values()), reading)
    else:
        ordered = sorted(labels)
        offset, notes = _order_offset(ordered, reading, where)
        numbers = {label: i for i, label in enumerate(ordered)}
    shifted = {label: number + offset for label, number in numbers.items()}
    wrong = next((label for label, number in shifted.items() if not 0 <= number < outputs), None)
    if wrong is not None:
        what = f"label '{wrong}' is class {shifted[wrong]}, and the network tells apart 0 to {outputs - 1}"
        fix = "use --label-offset -1 if labels begin at 1, or --classes FILE with the name of each class on a line"
        raise InputError(what, where=where, fix=fix)
    return shifted, notes


def _listed(labels: Sequence[str], reading: Reading, where: str) -> dict[str, int]:
    if len(reading.classes) > reading.outputs:
        what = f"it lists {len(reading.classes)} classes, and the network tells apart {reading.outputs}"
        raise InputError(what, where="--classes", fix="give one line for each output, in their order")
    known: dict[str, int] = {}
    for number, line in enumerate(reading.classes):
        for name in (line, *line.split()[:1]):
            known.setdefault(name, number)
    missing = [label for label in labels if label not in known]
    if missing:
        what = f"label '{missing[0]}' is not among the {len(reading.classes)} lines of --classes"
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(what + more, where=where, fix="each line begins with the label as the data set writes it")
    return {label: known[label] for label in labels}


def _number_offset(numbers: Sequence[int], reading: Reading) -> tuple[int, list[str]]:
    if reading.label_offset is not None:
        return reading.label_offset, [f"labels are numbers, moved by {reading.label_offset:+d}"]
    if reading.outputs == 1001 and numbers[-1] < 1000 and len(numbers) > 1:
        return 1, [_background(reading)]
    return 0, ["labels are class numbers"]


def _order_offset(ordered: Sequence[str], reading: Reading, where: str) -> tuple[int, list[str]]:
    count, outputs = len(ordered), reading.outputs
    if reading.label_offset is not None:
        return reading.label_offset, [f"classes in alphabetical order, moved by {reading.label_offset:+d}"]
    if count == outputs:
        return 0, ["classes in alphabetical order"]
    if outputs == 1001 and count == 1000:
        return 1, ["classes in alphabetical order", _background(reading)]
    what = f"it has {count} class{'es' if count != 1 else ''} ({', '.join(ordered[:3])}{', ...' if count > 3 else ''})"
    fix = "give --classes FILE with the name of each of the network's classes on a line, in the order of its outputs"
    raise InputError(f"{what}, and the network tells apart {outputs}", where=where, fix=fix)


def _background(reading: Reading) -> str:
    """Assumption A31, in a sentence."""
    return f"{reading.outputs} outputs for 1000 classes: output 0 is taken for the background (--label-offset 0 if not)"
