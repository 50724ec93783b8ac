"""`rmaat figures`: draw everything that is found."""

import argparse
from pathlib import Path

SUMMARY = "Draw traces, retention factors, coupling and training curves"
EXAMPLE = "  rmaat figures runs/ --out runs/figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat figures`."""
    parser.add_argument(
        "runs", type=Path, help="a folder; traces, tables and run folders in it are found by themselves"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for PNG and SVG; figures of the same name are replaced"
    )


def run(options: argparse.Namespace) -> None:
    """Draw everything that is found."""
    from figures import draw_all

    for path in draw_all(options.runs, options.out):
        print(path)
