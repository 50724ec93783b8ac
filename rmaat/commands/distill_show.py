"""`rmaat distill show`: print the content of a tables file."""

import argparse
from pathlib import Path

SUMMARY = "Print the content of a tables file"
EXAMPLE = "  rmaat distill show runs/tables.nc --segments 8 --variant horizon"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill show`."""
    parser.add_argument("tables", type=Path, help="file from rmaat distill")
    parser.add_argument(
        "--segments",
        type=int,
        help="sequence length T of the factors to print, in segments [default: 8, or the longest in the file]",
    )
    parser.add_argument(
        "--variant", default="increment", help="retention variant to print in full [default: increment]"
    )


def run(options: argparse.Namespace) -> None:
    """Print the provenance, all factors of one variant and the first factors of every variant."""
    from distill import read_tables
    from distill.summary import provenance, summarize, variants
    from distill.uncertainty import remaining_words

    tables = read_tables(options.tables)
    segments = min(8, tables.longest) if options.segments is None else options.segments
    parts = (provenance(tables), summarize(tables, segments, options.variant), variants(tables, segments))
    print("\n\n".join(parts))
    if words := remaining_words(tables, segments):
        print(f"\n{words}")
