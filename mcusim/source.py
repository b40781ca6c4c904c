"""Where a network comes from, and what its file or its source says of it beside what it computes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IN_MEMORY", "Compiled", "Published", "Source"]


@dataclass(frozen=True, slots=True)
class Published:
    """Figures that the network's source prints. Never mixed with counted ones.

    macs, params: as printed, rounded by the source; `macs_text`, `params_text` hold the printed digits.
    """

    macs: float | None = None
    params: float | None = None
    macs_text: str = ""
    params_text: str = ""
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the file of a network that was compiled ahead of time settles about its memory.

    offset_bytes: of each tensor in its planned memory, -1 for those without a place.   planned_bytes: all of it.
    method_bytes, load_bytes: what the runtime's lasting and its temporary allocator must have to load it, on 32 bits.
    has_delegates: whether parts are a backend's, whose own memory is not in the file.
    """

    offset_bytes: tuple[int, ...]
    planned_bytes: int
    method_bytes: int
    load_bytes: int
    has_delegates: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a graph comes from: a file (and its size, which is what TFLM stores), a zoo entry, or memory.

    offline_offsets: the plan that the file carries for TFLM, an offset or -1 a tensor of all its subgraphs, one after
        the other; () if none.   offline_refusal: why TFLM refuses the file for the plan it carries; "" if it does not.
    notes: what was changed where the network came in another form than TFLite's: layout, folded nodes, types.
    compiled: of a file that brings its own memory plan and operators; None for one that a runtime is to plan.
    schedule: in which pieces the network was found to fit, where a search found it together with them; else "".
    """

    description: str = "built in memory"
    file_bytes: int | None = None
    published: Published | None = None
    offline_offsets: tuple[int, ...] = ()
    offline_refusal: str = ""
    notes: tuple[str, ...] = ()
    compiled: Compiled | None = None
    schedule: str = ""


IN_MEMORY = Source()
"""Of a graph that was built by a program."""
