"""Writes mcusim/frontends/tflite_tables.py from the generated mcusim/frontends/vendored/tflite_schema.py.

Reading a .tflite file needs the numbers of its fields and enums, but not the 20,000 lines that also write them: as data
they load in a millisecond.

    python scripts/gen_tflite_tables.py           rewrite the file
    python scripts/gen_tflite_tables.py --print   show what it would hold
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "mcusim"

CODES = {
    "Bool": "?",
    "Int8": "b",
    "Uint8": "B",
    "Int16": "h",
    "Uint16": "H",
    "Int32": "i",
    "Uint32": "I",
    "Int64": "q",
    "Uint64": "Q",
    "Float32": "f",
    "Float64": "d",
}
"""flatc's name of a scalar -> code of `struct` and numpy."""

HEADER = '''"""Enums and options tables of TensorFlow's schema.fbs, as data.

Written by scripts/gen_tflite_tables.py from tflite_schema.py (Apache-2.0, The TensorFlow Authors). Do not edit.
Options: table -> field -> (slot, code, default); code is that of `struct` for a scalar, "[code]" for a vector of them,
"text" for a string. Nested tables are left out.
"""

from __future__ import annotations

__all__ = ["BUILTIN_OPTIONS", "BUILTIN_OPTIONS_2", "ELEMENT_TYPES", "OPERATORS", "OPTIONS"]

'''


def class_body(schema: str, name: str) -> str:
    """Source of a class or, for an enum, its members."""
    match = re.search(rf"^class {name}\(object\):\n(.*?)(?=^\S)", schema, re.MULTILINE | re.DOTALL)
    assert match is not None, name
    return match[1]


def members(schema: str, enum: str) -> dict[int, str]:
    """Number -> name, in order."""
    return {
        int(number): name for name, number in re.findall(r"^    (\w+) = (\d+)$", class_body(schema, enum), re.MULTILINE)
    }


def table_fields(schema: str, table: str) -> dict[str, tuple[int, str, int | float | bool]]:
    """Field -> (slot, code, default)."""
    body = class_body(schema, table)
    slots: dict[str, tuple[int, str, int | float | bool]] = {}
    adder = rf"^def {table}Add(\w+)\(builder, \w+\):\n    builder\.Prepend(\w+?)Slot\((\d+), .*, (\S+)\)$"
    for field, kind, slot, default in re.findall(adder, schema, re.MULTILINE):
        if kind == "UOffsetTRelative":
            accessor = re.search(rf"    def {field}\(self.*?(?=^    #|\Z)", body, re.MULTILINE | re.DOTALL)
            assert accessor is not None, (table, field)
            element = re.search(r"self\._tab\.Get\(flatbuffers\.number_types\.(\w+)Flags, a", accessor[0])
            if element:
                slots[field] = (int(slot), f"[{CODES[element[1]]}]", 0)
            elif "self._tab.String" in accessor[0]:
                slots[field] = (int(slot), "text", 0)
        elif kind in CODES:
            number = (
                float(default) if kind.startswith("Float") else int(default == "True" or default.replace("False", "0"))
            )
            slots[field] = (int(slot), CODES[kind], bool(number) if kind == "Bool" else number)
    return slots


def generate() -> str:
    """The text of tflite_tables.py, formatted."""
    schema = (PACKAGE / "frontends" / "vendored" / "tflite_schema.py").read_text(encoding="utf-8")
    unions = {"BUILTIN_OPTIONS": "BuiltinOptions", "BUILTIN_OPTIONS_2": "BuiltinOptions2"}
    enums = {"OPERATORS": "BuiltinOperator", "ELEMENT_TYPES": "TensorType", **unions}
    text = HEADER
    for constant, enum in enums.items():
        text += f"{constant} = {members(schema, enum)!r}\n\n"
    tables = [name for union in unions.values() for name in members(schema, union).values() if name != "NONE"]
    text += "OPTIONS: dict[str, dict[str, tuple[int, str, int | float]]] = {\n"
    text += "".join(f"    {name!r}: {table_fields(schema, name)!r},\n" for name in tables)
    text += "}\n"
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length", "120", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return formatted.stdout


if __name__ == "__main__":
    if "--print" in sys.argv:
        print(generate(), end="")
    else:
        (PACKAGE / "frontends" / "tflite_tables.py").write_text(generate(), encoding="utf-8")
