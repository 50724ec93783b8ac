"""`rmaat distill diff`: compare two tables by meaning."""

import argparse
from pathlib import Path

SUMMARY = "Compare two tables files by meaning; the exit status is 1 where they differ"
EXAMPLE = "  rmaat distill diff runs/tables.nc runs/other.nc --tolerance 1e-6"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill diff`."""
    parser.add_argument("first", type=Path, help="what rmaat distill wrote")
    parser.add_argument("second", type=Path, help="another of its kind")
    parser.add_argument(
        "--tolerance", type=float, default=1e-9, help="relative difference of numbers passed over [default: 1e-9]"
    )


def run(options: argparse.Namespace) -> None:
    """Compare two tables."""
    from distill import TableError, read_tables
    from distill.comparison import compare

    differences = compare(read_tables(options.first), read_tables(options.second), options.tolerance)
    for difference in differences:
        print(difference if difference.matters else f"({difference})")
    counted = sum(difference.matters for difference in differences)
    if counted:
        raise TableError(f"{options.first} and {options.second} differ in {counted} points")
    print(f"{options.first} and {options.second} mean the same")
