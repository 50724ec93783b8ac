"""The `rmaat` command: finds the command meant, parses its arguments, runs it and turns errors into one sentence.

Each command is a module of `rmaat.commands`; what it needs is imported when it runs: help does not wait for torch.
"""

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from rmaat.base.errors import RmaatError

DESCRIPTION = """\
From simulated astrocyte dynamics to long-context sequence models.

  rmaat simulate --cycles 6 --out runs/sim.nc
  rmaat distill  runs/sim.nc --segments 64 --out runs/tables.nc
  rmaat train    listops --tables runs/tables.nc --out runs/listops
  rmaat evaluate runs/listops
  rmaat figures  runs/ --out runs/figures

or all of it at once:  rmaat demo --out runs/demo"""

COMMANDS = (
    "simulate",
    "distill",
    "distill show",
    "distill diff",
    "distill sweep",
    "fit",
    "train",
    "evaluate",
    "reproduce",
    "figures",
    "demo",
    "validate",
    "plan",
    "data prepare",
    "data list",
)
"""A command of two words, `rmaat distill show`, is the module `distill_show`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 75 out of time, 130 interrupted."""
    words = _joined(list(sys.argv[1:] if arguments is None else arguments))
    options = _parser(words[0] if words else "").parse_args(words)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"rmaat: warning: {message}", file=sys.stderr)
        try:
            options.run(options)
            sys.stdout.flush()
        except RmaatError as error:
            return _fail(str(error), error.exit_status)
        except KeyboardInterrupt:
            return _fail("interrupted; files that were being written are not there", 130)
        except BrokenPipeError:
            # Whoever read the output has gone; Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            return _fail("out of memory; choose a smaller model, network, batch or segment length", 1)
    return 0


def _joined(words: list[str]) -> list[str]:
    """Two words that name one command become one, because argparse knows no command `distill` beside `distill show`."""
    both = " ".join(words[:2])
    return [both, *words[2:]] if both in COMMANDS else words


def _fail(sentence: str, status: int) -> int:
    print(f"rmaat: {sentence}", file=sys.stderr)
    return status


def _out_of_memory(error: MemoryError | RuntimeError) -> bool:
    # torch reports what the CPU's allocator refuses as a plain RuntimeError.
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _parser(meant: str) -> argparse.ArgumentParser:
    """All commands with their summaries, and the arguments of the command `meant`: those of others may need imports."""
    parser = argparse.ArgumentParser(
        prog="rmaat", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"rmaat.commands.{name.replace(' ', '_')}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY}.",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == meant:
            module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
