"""The `rmaat` command line: parse the arguments, run a command and print errors as one sentence.

Each command is a module in `rmaat.commands`. A command imports heavy packages when it runs, so help stays fast.
"""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import metadata

from rmaat.base.errors import RmaatError, UsageError
from rmaat.base.extras import EXTRAS, missing
from rmaat.base.progress import hidden_progress
from rmaat.commands import COMMANDS, module_of
from rmaat.commands.parser import Parser

DESCRIPTION = """\
Three jobs:

  simulate astrocyte dynamics                   rmaat simulate --cycles 6 --out runs/sim.nc
  compute retention factors for a new length    rmaat distill runs/sim.nc --segments 64 --out runs/tables.nc
  train the model that uses them                rmaat train listops --tables runs/tables.nc --out runs/listops
                                                rmaat evaluate runs/listops
  and draw what came out                        rmaat figures runs/ --out runs/figures

All of it in a few minutes:  rmaat demo
All commands:                rmaat --help
Help for one command:        rmaat COMMAND --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    0 means done, 1 failed, 2 wrong usage, 75 stopped at a time limit and 130 interrupted.
    """
    words = _joined(list(sys.argv[1:] if arguments is None else arguments))
    if not words:
        print(DESCRIPTION)
        return 0
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"rmaat: warning: {message}", file=sys.stderr)
        options = None
        try:
            options = parsed(words)
            with hidden_progress() if options.quiet else nullcontext():
                options.run(options)
            sys.stdout.flush()
        except RmaatError as error:
            if options and options.verbose:
                traceback.print_exception(error)
            return _fail(str(error), error.exit_status)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            return _fail(missing(f"rmaat {words[0]}", error.name), UsageError.exit_status)
        except KeyboardInterrupt:
            return _fail("interrupted; partly written files were removed", 130)
        except BrokenPipeError:
            # The reader of the output, such as `head`, has ended. Without dup2, Python prints an error at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            return _fail("out of memory; choose a smaller model, network, batch or segment length", 1)
    return 0


def _version() -> str:
    try:
        return metadata.version("rmaat-toolkit")
    except metadata.PackageNotFoundError:
        return "of a folder that is not installed"


def _joined(words: list[str]) -> list[str]:
    """Join the two words of `distill show`: argparse cannot have both a command `distill` and `distill show`."""
    first_two = " ".join(words[:2])
    return [first_two, *words[2:]] if first_two in COMMANDS else words


def _add_verbosity(parser: Parser) -> None:
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    chosen.add_argument("-v", "--verbose", action="store_true", help="show where in the code an error was found")


def _fail(sentence: str, status: int) -> int:
    print(f"rmaat: {sentence}", file=sys.stderr)
    return status


def _out_of_memory(error: MemoryError | RuntimeError) -> bool:
    # torch raises a plain RuntimeError if the CPU has too little memory.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def parsed(words: list[str]) -> argparse.Namespace:
    """The options in the `words` of a command line; wrong words exit with status 2.

    Only the chosen command gets its arguments, because these may need slow imports.
    """
    words = _joined(words)
    parser = Parser(prog="rmaat", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"rmaat {_version()}")
    chosen = parser
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = module_of(name)
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY}.",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == words[0]:
            chosen, command.words = command, words
            module.add_arguments(command)
            _add_verbosity(command)
        command.set_defaults(run=module.run)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        chosen.take(unknown, options)
    return options
