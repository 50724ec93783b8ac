"""`rmaat distill diff`: compare the content of two tables files."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rmaat.commands.shared import add_json, print_json

SUMMARY = "Compare the content of two tables files; the exit status is 1 if they differ"
EXAMPLE = "  rmaat distill diff runs/tables.nc runs/other.nc --tolerance 1e-6"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill diff`."""
    parser.add_argument("first", type=Path, help="file from rmaat distill")
    parser.add_argument("second", type=Path, help="file to compare it with")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-9,
        help="ignore relative differences of numbers up to this size [default: 1e-9]",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Print the differences; those in brackets do not count."""
    from distill import TableError, read_tables
    from distill.comparison import compare

    differences = compare(read_tables(options.first), read_tables(options.second), options.tolerance)
    if options.json:
        print_json([asdict(difference) for difference in differences])
    else:
        for difference in differences:
            print(difference if difference.matters else f"({difference})")
    count = sum(difference.matters for difference in differences)
    if count:
        raise TableError(f"{options.first} and {options.second} differ in {count} points")
    if not options.json:
        print(f"{options.first} and {options.second} have the same content")
