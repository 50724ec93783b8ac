"""`rmaat distill show`: print tables."""

import argparse
from pathlib import Path

SUMMARY = "Print what a tables file holds"
EXAMPLE = "  rmaat distill show runs/tables.nc --segments 8 --variant horizon"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill show`."""
    parser.add_argument("tables", type=Path, help="what rmaat distill wrote")
    parser.add_argument(
        "--segments", type=int, help="T of the factors to print [default: 8, or fewer if it ends before]"
    )
    parser.add_argument(
        "--variant", default="increment", help="retention variant to print in full [default: increment]"
    )


def run(options: argparse.Namespace) -> None:
    """Print tables."""
    from distill import read_tables
    from distill.summary import provenance, summarize, variants

    tables = read_tables(options.tables)
    segments = min(8, tables.longest) if options.segments is None else options.segments
    parts = (provenance(tables), summarize(tables, segments, options.variant), variants(tables, segments))
    print("\n\n".join(parts))
