"""The file that says what is swept -> the questions, numbered.

    networks = ["mcunet-in2", "models/*.tflite"]     names of the zoo (or "all"), files, folders, globs here
    boards = ["stm32f412", "nrf52840"]               names, profile files, or "all"
    runtimes = ["tflm", "tinyengine"]                without it: for each network and board the first that can run it
    schedules = ["layer", "auto"]                    without it: layer
    clocks_hz = ["100MHz"]                           without it: each board's own
    budgets = [{ sram = "64k", ms = 100 }]           without it: each board's own
    space = "mcunetv2:vww"                           networks drawn from a search space, besides `networks`
    sample = 1000                                    ... so many
    seed = 0                                         ... from this seed

Question number n is n in the product with the networks outermost, so that one network is loaded once. The number is the
row's name: a sweep that goes on where it was stopped asks the numbers that have no row yet.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

import msgspec

from mcusim import zoo
from mcusim.boards import all_boards, load_board
from mcusim.boards.profile_files import is_path
from mcusim.designing.spaces import find_space
from mcusim.errors import InputError, McusimError, did_you_mean, key_fix
from mcusim.files import blocks_of, folder_of, is_dir, is_file, reason_of, toml_of
from mcusim.graph import Graph
from mcusim.question.question import Question
from mcusim.runtimes import find_runtime
from mcusim.schedule import parse_schedule
from mcusim.sweeping.drawing import DrawnNetwork
from mcusim.units import parse_bytes, parse_hz

__all__ = ["Budget", "Network", "Networks", "Sweep", "SweptQuestion", "read_spec"]

T = TypeVar("T")
_MODELS = (".tflite", ".onnx", ".pt2")
_DIGEST_BYTES = 8
_MOST_DRAWN = 10_000_000
"""More would be above 40,000 files in a folder."""


class _Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sram: str | int | None = None
    flash: str | int | None = None
    ms: float | None = None


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of the file."""

    boards: str | list[str]
    networks: str | list[str] = []
    runtimes: list[str] | None = None
    schedules: list[str] | None = None
    clocks_hz: list[str | int] | None = None
    budgets: list[str | _Budget] | None = None
    space: str | list[str] = ""
    sample: int = 0
    seed: int = 0


_KEYS = {"$": _Spec.__struct_fields__, "$.budgets": _Budget.__struct_fields__}
_LISTED_BY = "docs/sweep.md"


@dataclass(frozen=True, slots=True)
class Budget:
    """What an answer is held against; None for the board's own."""

    sram_bytes: int | None = None
    flash_bytes: int | None = None
    max_ms: float | None = None


class Network(NamedTuple):
    """label: what rows call it: a name, or a path beside the spec.   source: for `load`, or a drawn one."""

    label: str
    source: str | DrawnNetwork


@dataclass(frozen=True, slots=True)
class _Sample:
    """`count` networks drawn from a space."""

    space: str
    count: int
    seed: int
    folder: str

    def network(self, number: int) -> Network:
        drawn = DrawnNetwork(self.space, self.seed, number, self.folder)
        return Network(drawn.name, drawn)


class Networks(Sequence[Network]):
    """Those that are named, and behind them those that are drawn, each when it is asked for: a sample has millions."""

    def __init__(self, named: Iterable[Network], samples: Iterable[_Sample] = ()) -> None:
        self.named, self._samples = tuple(named), tuple(samples)

    def __len__(self) -> int:
        return len(self.named) + sum(sample.count for sample in self._samples)

    @overload
    def __getitem__(self, index: int) -> Network: ...
    @overload
    def __getitem__(self, index: slice) -> list[Network]: ...
    def __getitem__(self, index: int | slice) -> Network | list[Network]:
        place = range(len(self))[index]
        return self._at(place) if isinstance(place, int) else [self._at(each) for each in place]

    def _at(self, place: int) -> Network:
        if place < len(self.named):
            return self.named[place]
        place -= len(self.named)
        for sample in self._samples:
            if place < sample.count:
                return sample.network(place)
            place -= sample.count
        raise IndexError(place)


@dataclass(frozen=True, slots=True)
class SweptQuestion:
    """One answer's worth, as the spec words it. runtime: None for the first that can run the network."""

    number: int
    network: Network
    board: str
    runtime: str | None
    schedule: str
    clock_hz: int | None
    budget: Budget

    def about(self, graph: Graph) -> Question:
        """The question, about its network as it was loaded."""
        return Question(
            model=graph,
            profile=self.board,
            runtime=self.runtime,
            schedule=self.schedule,
            clock_hz=self.clock_hz,
            sram_budget_bytes=self.budget.sram_bytes,
            flash_budget_bytes=self.budget.flash_bytes,
            max_ms=self.budget.max_ms,
        )


@dataclass(frozen=True, slots=True)
class Sweep:
    """A product of questions, each once.

    document: the file as it was read.   digest: of it and of every file that it names.
    """

    networks: Networks
    boards: tuple[str, ...]
    runtimes: tuple[str | None, ...]
    schedules: tuple[str, ...]
    clocks_hz: tuple[int | None, ...]
    budgets: tuple[Budget, ...]
    document: str
    digest: str

    @property
    def each(self) -> int:
        """Questions about one network."""
        sides = (self.boards, self.runtimes, self.schedules, self.clocks_hz, self.budgets)
        count = 1
        for side in sides:
            count *= len(side)
        return count

    def __len__(self) -> int:
        return len(self.networks) * self.each

    def question(self, number: int) -> SweptQuestion:
        """The question of a number in [0, len)."""
        rest, budget = divmod(number, len(self.budgets))
        rest, clock = divmod(rest, len(self.clocks_hz))
        rest, schedule = divmod(rest, len(self.schedules))
        rest, runtime = divmod(rest, len(self.runtimes))
        network, board = divmod(rest, len(self.boards))
        return SweptQuestion(
            number,
            self.networks[network],
            self.boards[board],
            self.runtimes[runtime],
            self.schedules[schedule],
            self.clocks_hz[clock],
            self.budgets[budget],
        )


def read_spec(path: str | os.PathLike[str]) -> Sweep:
    """The sweep that a TOML file describes. Paths in it are relative to its folder.

    Raises InputError for a file that cannot be read, unknown keys, names that nothing has, and an empty product.
    """
    where = os.fspath(path)
    document = _document(Path(path), where)
    try:
        spec = msgspec.convert(document, _Spec)
    except msgspec.ValidationError as error:
        raise InputError(str(error), where=where, fix=key_fix(str(error), _KEYS, listed_by=_LISTED_BY)) from None
    folder = folder_of(path)
    named = _each_once(_networks(_listed(spec.networks), folder, where))
    networks = Networks(named, _drawn(spec, folder, where))
    if not networks:
        raise InputError("it names no network", where=where, fix="give it networks, or a space and a sample")
    boards = _each_once(_boards(_listed(spec.boards), folder, where))
    for side in ("runtimes", "schedules", "clocks_hz", "budgets"):
        if getattr(spec, side) == []:
            raise InputError(f"{side} is empty, and asks nothing", where=where, fix="name some, or leave it out")
    for runtime in spec.runtimes or ():
        _checked(partial(find_runtime, runtime), where)
    for schedule in spec.schedules or ():
        _checked(partial(parse_schedule, schedule), where)
    return Sweep(
        networks,
        boards,
        _each_once(spec.runtimes or (None,)),
        _each_once(spec.schedules or ("layer",)),
        _each_once([_clock(clock, where) for clock in spec.clocks_hz or ()]) or (None,),
        _each_once([_budget(budget, where) for budget in spec.budgets or ()]) or (Budget(),),
        json.dumps(document, sort_keys=True, default=str),
        _digest(document, [*named, *_space_files(_listed(spec.space), folder)], boards),
    )


def _each_once(items: Iterable[T]) -> tuple[T, ...]:
    """In their order: what is named twice, as a file and by a glob, is asked once."""
    return tuple(dict.fromkeys(items))


def _document(path: Path, where: str) -> dict[str, Any]:
    try:
        return toml_of(path)
    except OSError as error:
        fix = "name a TOML file, as docs/sweep.md shows"
        raise InputError(reason_of(error), where=where, fix=fix) from None
    except ValueError as error:  # not UTF-8, or no TOML
        raise InputError(" ".join(str(error).split()), where=where, fix="mend the line; it is TOML") from None


def _listed(names: str | list[str]) -> list[str]:
    """One name alone stands for a list of it."""
    return [names] if isinstance(names, str) else names


def _checked(look_up: Callable[[], object], where: str) -> None:
    try:
        look_up()
    except McusimError as error:
        raise InputError(f"{error.where}: {error.what}", where=where, fix=error.fix) from None


def _networks(names: Sequence[str], folder: Path, where: str) -> Iterator[Network]:
    for name in names:
        paths = list(_files_of(name, folder))
        if not paths and name.strip().lower() == "all":
            yield from (Network(one, one) for one in zoo.names())
            continue
        if not paths and name in zoo.names():
            yield Network(name, name)
            continue
        if not paths:
            fix = did_you_mean(name, zoo.names(), listed_by="mcusim models")
            raise InputError(f"'{name}' is no file, folder or glob with networks, and no name", where=where, fix=fix)
        yield from (Network(os.path.relpath(file, folder), file) for file in paths)


def _files_of(name: str, folder: Path) -> Iterator[str]:
    place = folder / name
    if is_file(place):
        yield str(place)
    elif is_dir(place):
        yield from sorted(str(file) for file in place.rglob("*") if file.suffix in _MODELS and is_file(file))
    elif glob.has_magic(name):
        yield from sorted(glob.glob(str(place), recursive=True))


def _drawn(spec: _Spec, folder: Path, where: str) -> list[_Sample]:
    spaces = [spec.space] if isinstance(spec.space, str) else spec.space
    spaces = list(_each_once([space for space in spaces if space]))
    if bool(spaces) != (spec.sample > 0):
        fix = 'give both, as in space = "mcunetv2:vww" and sample = 1000'
        raise InputError("space and sample go together", where=where, fix=fix)
    if len(spaces) * spec.sample > _MOST_DRAWN:
        fix = "sweep them in parts, each with a seed and a folder of its own"
        raise InputError(f"sample: {spec.sample:,} networks are more than {_MOST_DRAWN:,}", where=where, fix=fix)
    for space in spaces:
        _checked(partial(find_space, space, str(folder)), where)
    return [_Sample(space, spec.sample, spec.seed, str(folder)) for space in spaces]


def _space_files(spaces: Sequence[str], folder: Path) -> list[Network]:
    """Those that are files, as what a digest reads."""
    return [Network(space, str(folder / space)) for space in spaces if is_file(folder / space)]


def _boards(names: Sequence[str], folder: Path, where: str) -> list[str]:
    if not names:
        raise InputError("boards is empty", where=where, fix='name some, or ["all"]')
    boards: list[str] = []
    for name in names:
        if name.strip().lower() == "all":
            boards += [board.name for board in all_boards()]
            continue
        named = str(folder / name) if is_path(name) and not os.path.isabs(name) else name
        _checked(partial(load_board, named), where)
        boards.append(named)
    return boards


def _clock(clock: str | int, where: str) -> int:
    try:
        return parse_hz(str(clock))
    except (ValueError, OverflowError):
        raise InputError(f"clocks_hz: '{clock}' is no clock", where=where, fix='write "100MHz" or 100000000') from None


def _budget(budget: str | _Budget, where: str) -> Budget:
    """A size alone is of SRAM."""
    asked = _Budget(sram=budget) if isinstance(budget, str) else budget
    if asked == _Budget():
        fix = "name sram, flash or ms in it, or leave budgets out"
        raise InputError("budgets: one is empty, and limits nothing", where=where, fix=fix)
    try:
        sizes = [None if size is None else parse_bytes(str(size)) for size in (asked.sram, asked.flash)]
    except (ValueError, OverflowError):
        fix = 'write { sram = "64k", flash = "1M", ms = 100 }'
        raise InputError(f"budgets: {budget!r:.60} is no budget", where=where, fix=fix) from None
    if asked.ms is not None and not 0 < asked.ms < math.inf:
        raise InputError(f"budgets: ms is {asked.ms}", where=where, fix="give milliseconds above zero, as in ms = 100")
    return Budget(sizes[0], sizes[1], asked.ms)


def _digest(document: Any, networks: Sequence[Network], boards: Sequence[str]) -> str:
    """Of what is asked: the file, and the content of every file that it names."""
    read = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    for label, file in [*networks, *((board, board) for board in boards)]:
        if isinstance(file, str) and os.path.isfile(file):
            read.update(label.encode())
            for block in blocks_of(file):
                read.update(block)
    return read.hexdigest()[: 2 * _DIGEST_BYTES]
