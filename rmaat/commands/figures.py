"""`rmaat figures`: draw all results in a folder."""

import argparse
from pathlib import Path

SUMMARY = "Draw traces, retention factors, coupling and training curves"
EXAMPLE = "  rmaat figures runs/ --out runs/figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat figures`."""
    parser.add_argument("runs", type=Path, help="folder to search for traces, tables and run folders")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for PNG and SVG files; existing figures are replaced"
    )


def run(options: argparse.Namespace) -> None:
    """Draw all results and print the path of each figure."""
    from figures import draw_all

    for path in draw_all(options.runs, options.out):
        print(path)
