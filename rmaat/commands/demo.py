"""`rmaat demo`: the whole chain at once."""

import argparse
from pathlib import Path

from rmaat.commands.shared import add_data

SUMMARY = "Simulate, distil, train, evaluate and draw, in minutes"
EXAMPLE = "  rmaat demo --out runs/demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder for the results [default: runs/demo]"
    )
    add_data(parser)


def run(options: argparse.Namespace) -> None:
    """The whole chain."""
    from rmaat.demo import run as demo

    demo(options.out, options.data)
