"""The commands together, and the one place where errors become a sentence and an exit code.

0  fine      1  a budget or a check was missed      2  no answer: something in the question is wrong
3  a check cannot be judged: what it asks about is not known
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from mcusim.boundary.wording import in_shell, without_options
from mcusim.cli.memory import limits_kept
from mcusim.cli.shell import complain, one_thread, replace_unprintable, silence
from mcusim.cli.signatures import UNANSWERED, signature_of
from mcusim.cli.usage import UsageError, explain
from mcusim.errors import McusimError
from mcusim.files import HERE_IS_GONE, is_here_gone, reason_of
from mcusim.version import __version__

__all__ = ["COMMANDS", "answer", "app", "commands_together", "options_of"]

FINE, NO_ANSWER, INTERRUPTED = 0, 2, 130
HELP = ("-h", "--help")
FILE_SHOWN, TOLD_MOST = 200, 500
"""Characters of a file's name in an error, and of an error that nobody foresaw."""


class Command(NamedTuple):
    """Where a command lives. home: a module of `mcusim.cli`.   attribute: its function, or its own Typer app."""

    home: str
    attribute: str
    summary: str


COMMANDS = {
    "run": Command("run", "run", "Does it fit, how fast is it, which layer is to blame?"),
    "plan": Command("plan", "plan", "The arena: which buffer lies where, and the smallest plan."),
    "patch": Command("patch", "patch", "Schedules that trade time for SRAM, and the one to take."),
    "fit": Command("fit", "fit", "What to do when it does not fit, ranked."),
    "bits": Command("bits", "bits", "Mixed precision: with 8, 4 or 2 bits per tensor, does it fit?"),
    "search": Command("search", "search", "The best network of a search space for a board, with its schedule."),
    "search-net": Command("search_net", "search_net", "A network for stated figures, or as large as a board takes."),
    "sweep": Command("sweep", "sweep", "Many networks, boards and schedules at once, as Parquet."),
    "compare": Command("compare", "compare", "What grew from one report to another, and whether that is too much."),
    "check": Command("check", "check", "Networks against their budgets, from a file, in one table."),
    "models": Command("models", "models", "The published networks that have a name here."),
    "profiles": Command("profiles", "app", "The boards; `new` and `check` for one's own."),
    "runtimes": Command("runtimes", "runtimes", "The inference runtimes: their memory rules and kernels."),
    "ops": Command("ops", "ops", "Operators; which kernel serves each layer."),
    "exec": Command("exec", "exec_", "A network run on arrays, bit-exactly."),
    "evaluate": Command("evaluate", "evaluate", "Measured accuracy on labelled data: top-1, top-5, AUC, mAP."),
    "diff": Command("diff", "diff", "Two runs compared layer by layer: where they first differ."),
    "report": Command("report", "app", "Published tables, simulated figures beside them."),
    "plot": Command("plot", "app", "Pictures: the memory timeline, memory by layer."),
    "codegen": Command("codegen", "codegen_", "A network as C for the microcontroller."),
    "flash-kit": Command("flash_kit", "flash_kit_", "A project that measures a network on a board, layer by layer."),
    "export": Command("export", "export", "A network as a .tflite file."),
    "pte": Command("pte", "pte", "An ExecuTorch program: its memory plan and its operators."),
    "quantize": Command("quantize", "quantize", "A float network and calibration data, as an int8 .tflite file."),
    "evidence": Command("evidence", "evidence", "The measurements that predicted times rest on."),
    "validate": Command("validate", "validate", "Predicted times beside those measured on real boards."),
    "calibrate": Command("calibrate", "calibrate", "Add your own measured times to what predictions rest on."),
    "schema": Command("schema", "schema", "The JSON Schema of what a command writes."),
    "doctor": Command("doctor", "doctor", "What is installed, and what is missing."),
}
"""In the order of `mcusim --help`. A command's module is loaded when the command is asked for."""


_BARE_JSON = frozenset({"models", "profiles", "runtimes", "ops", "doctor"})
"""Commands whose `--json` was a flag."""


class _Loaded(Mapping[str, Any]):
    """Command name -> Typer's command, made from the command's module at its first use.

    is_help: whether commands are only to show their help, which takes their signatures.
    """

    def __init__(self, is_help: bool = False) -> None:
        self._is_help = is_help
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            command = COMMANDS[name]
            module = f"mcusim.cli.{command.home}"
            loaded = signature_of(module, command.attribute) if self._is_help else None
            if loaded is None:
                loaded = getattr(import_module(module), command.attribute)
            if not isinstance(loaded, typer.Typer):
                single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
                single.command(name)(loaded)
                loaded = single
            self._made[name] = typer.main.get_command(loaded)
            self._made[name].name = name
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Commands(TyperGroup):
    """The commands of `COMMANDS`, listed by their summaries without loading them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Loaded()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


app = typer.Typer(
    cls=_Commands,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": [*HELP], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mcusim {__version__}")
        raise typer.Exit(FINE)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Does this int8 network fit that microcontroller, how fast is it there, and which layer is to blame?

    \b
    Example:
      mcusim run --profile stm32f412

    Exit codes: 0 fine, 1 a budget or a check was missed, 2 something in the question is wrong, 3 a check cannot be
    judged, as something is not known.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def _asked(words: Sequence[str]) -> str:
    """The command that a line begins with."""
    return f"mcusim {words[0]}" if words and words[0] in COMMANDS else "mcusim"


@cache
def options_of(words: tuple[str, ...]) -> frozenset[str]:
    """The options of the command that a line begins with; of a group of commands, those of all."""
    command = commands_together(is_help=True)
    for word in words:
        inner = getattr(command, "commands", {})
        if word not in inner:
            break
        command = inner[word]
    nested = [command, *getattr(command, "commands", {}).values()]
    parameters = [parameter for one in nested for parameter in one.params]
    own = [name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)]
    return frozenset({*own, "--help", "--version"})


def _with_bare_json(words: Sequence[str]) -> list[str]:
    """`--json` without a file is `--json -`: before another option, at the end, and where it was once a flag.

    There a word behind it is its file where it is `-` or ends in .json; else the word is the command's own.
    """
    dashed: list[str] = []
    was_flag = bool(words) and words[0] in _BARE_JSON
    for word, behind in pairwise([*words, ""]):
        dashed.append(word)
        is_bare = not behind or (behind.startswith("-") and behind != "-")
        if word == "--json" and (is_bare or (was_flag and behind != "-" and not behind.endswith(".json"))):
            dashed.append("-")
    return dashed


def _not_served(error: OSError) -> str:
    """What the system did not do, as a sentence."""
    if is_here_gone():
        return f"{HERE_IS_GONE}; change to another"
    return f"{_file_of(error)}: {reason_of(error)}; check the path, its permissions and the room there"


def _file_of(error: OSError) -> str:
    """The file that an error is about, as far as it says."""
    name = error.filename
    return os.fsdecode(name)[-FILE_SHOWN:] if isinstance(name, str | bytes) else "a file, or standard output"


def commands_together(is_help: bool = False) -> Any:
    """All commands as one.   is_help: they show their help and answer nothing."""
    group: Any = typer.main.get_command(app)
    group.commands = _Loaded(is_help)
    return group


def _returned(words: Sequence[str]) -> object:
    """What the command that a line names returns: an exit code or nothing."""
    if any(word in HELP for word in words):
        code = commands_together(is_help=True).main(words, prog_name="mcusim", standalone_mode=False)
        if code is not UNANSWERED:
            return code
    return commands_together().main(words, prog_name="mcusim", standalone_mode=False)


def answer(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Nothing that goes wrong shows a traceback."""
    replace_unprintable()
    one_thread()
    words = _with_bare_json(sys.argv[1:] if args is None else args)
    try:
        with limits_kept():
            code = _returned(words)
        sys.stdout.flush()
    except McusimError as error:
        known = options_of(tuple(words))
        complain(f"{in_shell(error.where, known)}: {error.what}; {without_options(error.fix, known)}")
        return NO_ANSWER
    except UsageError as error:
        complain(explain(error, _asked(words)))
        return NO_ANSWER
    except (KeyboardInterrupt, typer.Abort):
        silence()
        return INTERRUPTED
    except BrokenPipeError:
        silence()
        return FINE
    except MemoryError:
        fix = without_options("raise --max-memory, or ask for less", options_of(tuple(words)))
        complain(f"there is not enough memory for that; {fix}")
        return NO_ANSWER
    except OSError as error:
        silence()
        complain(_not_served(error))
        return NO_ANSWER
    except RecursionError:
        complain("something in the question is nested too deeply; give a simpler file")
        return NO_ANSWER
    except Exception as error:
        if os.environ.get("MCUSIM_DEBUG"):
            raise
        failure = " ".join(f"{type(error).__name__} {error}".split())[:TOLD_MOST]
        complain(f"this is a fault of mcusim, please report it: {failure} (MCUSIM_DEBUG=1 shows where)")
        return NO_ANSWER
    return code if isinstance(code, int) else FINE
