"""`rmaat report`: write one page with the results in a folder."""

import argparse
from pathlib import Path

SUMMARY = "Write one page with all results of a folder"
EXAMPLE = "  rmaat report runs/demo --out report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat report`."""
    parser.add_argument("folder", type=Path, help="folder to search for traces, tables and run folders")
    parser.add_argument(
        "--out", type=Path, help="file for the page; an existing one is replaced [default: report.html in the folder]"
    )


def run(options: argparse.Namespace) -> None:
    """Write the page and print its path."""
    from figures import write_report

    out = options.out or options.folder / "report.html"
    write_report(options.folder, out)
    print(out)
