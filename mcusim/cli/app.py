"""The commands together, and the one place where errors become a sentence and an exit code.

0  fine      1  a budget or a check was missed      2  no answer: something in the question is wrong
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mcusim.cli.bits import bits
from mcusim.cli.calibrate import calibrate
from mcusim.cli.diff import diff
from mcusim.cli.doctor import doctor
from mcusim.cli.evaluate import evaluate
from mcusim.cli.exec import exec_
from mcusim.cli.export import export
from mcusim.cli.fit import fit
from mcusim.cli.models import models
from mcusim.cli.ops import ops
from mcusim.cli.patch import patch
from mcusim.cli.plan import plan
from mcusim.cli.plot import app as plot_app
from mcusim.cli.profiles import app as profiles_app
from mcusim.cli.report import app as report_app
from mcusim.cli.run import run
from mcusim.cli.runtimes import runtimes
from mcusim.cli.schema import schema
from mcusim.cli.search_net import search_net
from mcusim.cli.shell import complain, replace_unprintable, silence
from mcusim.cli.usage import UsageError, explain
from mcusim.cli.validate import validate
from mcusim.version import __version__

__all__ = ["answer", "app"]

FINE, NO_ANSWER, INTERRUPTED = 0, 2, 130

COMMANDS = (
    "run",
    "plan",
    "patch",
    "fit",
    "bits",
    "search-net",
    "models",
    "profiles",
    "runtimes",
    "ops",
    "exec",
    "evaluate",
    "diff",
    "report",
    "plot",
    "export",
    "validate",
    "calibrate",
    "schema",
    "doctor",
)
"""In the order of `mcusim --help`."""


class _Ordered(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=COMMANDS.index)


app = typer.Typer(
    cls=_Ordered,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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

    Exit codes: 0 fine, 1 a budget or a check was missed, 2 something in the question is wrong.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


app.command(short_help="Does it fit, how fast is it, which layer is to blame?")(run)
app.command(short_help="The arena: which buffer lies where, and the smallest plan.")(plan)
app.command(short_help="The schedules worth having, and the one to take.")(patch)
app.command(short_help="What to do when it does not fit, ranked.")(fit)
app.command(short_help="With how many bits a tensor it fits: 8, 4 or 2.")(bits)
app.command("search-net", short_help="A network for stated figures, or as large as a board takes.")(search_net)
app.command(short_help="The published networks that have a name here.")(models)
app.add_typer(profiles_app, name="profiles", short_help="The boards; `new` and `check` for one's own.")
app.command(short_help="Whose memory rules and kernels there are.")(runtimes)
app.command(short_help="Operators; which kernel serves each layer.")(ops)
app.command("exec", short_help="A network run on arrays, bit-exactly.")(exec_)
app.command(short_help="Measured accuracy on labelled data: top-1, top-5, AUC, mAP.")(evaluate)
app.command(short_help="Where two runs part, layer by layer.")(diff)
app.add_typer(report_app, name="report", short_help="Published tables, simulated figures beside them.")
app.add_typer(plot_app, name="plot", short_help="Pictures: the memory timeline, memory by layer.")
app.command(short_help="A network as a .tflite file.")(export)
app.command(short_help="Predicted times beside those measured on real boards.")(validate)
app.command(short_help="Your own measured times, to be counted too.")(calibrate)
app.command(short_help="The JSON Schema of a report.")(schema)
app.command(short_help="What is installed, and what is missing.")(doctor)


def _asked(words: Sequence[str]) -> str:
    """The command that a line begins with."""
    return f"mcusim {words[0]}" if words and words[0] in COMMANDS else "mcusim"


def answer(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Nothing that goes wrong shows a traceback."""
    from mcusim.errors import McusimError

    replace_unprintable()
    try:
        code = typer.main.get_command(app).main(args, prog_name="mcusim", standalone_mode=False)
        sys.stdout.flush()
    except McusimError as error:
        complain(f"{error.where}: {error.what}; {error.fix}")
        return NO_ANSWER
    except UsageError as error:
        complain(explain(error, _asked(sys.argv[1:] if args is None else args)))
        return NO_ANSWER
    except (KeyboardInterrupt, typer.Abort):
        silence()
        return INTERRUPTED
    except BrokenPipeError:
        silence()
        return FINE
    except Exception as error:
        if os.environ.get("MCUSIM_DEBUG"):
            raise
        told = " ".join(f"{type(error).__name__} {error}".split())
        complain(f"this is a fault of mcusim, please report it: {told} (MCUSIM_DEBUG=1 shows where)")
        return NO_ANSWER
    return code if isinstance(code, int) else FINE
