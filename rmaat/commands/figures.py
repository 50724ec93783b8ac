"""`rmaat figures`: draw all results in a folder."""

import argparse
from pathlib import Path

from rmaat.commands.settings import add_settings, with_settings

SUMMARY = "Draw traces, retention factors, coupling and training curves"
EXAMPLE = (
    "  rmaat figures runs/ --out runs/figures\n"
    "  rmaat figures runs/ --out runs/print --formats pdf --width 3.5 --font-size 7"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat figures`."""
    from figures.form import FigureForm

    parser.add_argument("runs", type=Path, help="folder to search for traces, tables and run folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files; existing figures are replaced")
    add_settings(parser, "form of the figures [default; bounds]", [FigureForm()])


def run(options: argparse.Namespace) -> None:
    """Draw all results and print the path of each figure."""
    from figures import draw_all
    from figures.form import FigureForm

    for path in draw_all(options.runs, options.out, with_settings(options, FigureForm())):
        print(path)
