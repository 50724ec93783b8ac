"""`rmaat distill show`: print the content of a tables file."""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.commands.shared import add_json, print_json

if TYPE_CHECKING:
    from distill import Tables

SUMMARY = "Print the content of a tables file"
EXAMPLE = (
    "  rmaat distill show runs/tables.nc --segments 8 --variant horizon\n"
    "  rmaat distill show runs/tables.nc --segments 64 --csv > factors.csv"
)


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
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--csv", action="store_true", help="print a row per segment, with the factors of every variant, as CSV"
    )
    add_json(form)


def run(options: argparse.Namespace) -> None:
    """Print the provenance, all factors of one variant and the first factors of every variant."""
    from distill import read_tables
    from distill.summary import provenance, summarize, variants
    from distill.uncertainty import remaining_words

    tables = read_tables(options.tables)
    segments = min(8, tables.longest) if options.segments is None else options.segments
    if options.csv:
        _print_csv(tables, segments)
    elif options.json:
        print_json(content(tables, segments, options.variant))
    else:
        parts = (provenance(tables), summarize(tables, segments, options.variant), variants(tables, segments))
        print("\n\n".join(parts))
        if words := remaining_words(tables, segments):
            print(f"\n{words}")


def _print_csv(tables: "Tables", segments: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("segment", *tables.variants))
    factors = [tables.retention(segments, name).tolist() for name in tables.variants]
    writer.writerows((place, *row) for place, row in enumerate(zip(*factors, strict=True), start=1))


def _read(value: object) -> object:
    """The content of an attribute; NetCDF has no mappings, so some are JSON."""
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def content(tables: "Tables", segments: int, variant: str) -> dict[str, object]:
    """What `rmaat distill` and `rmaat distill show` print with --json."""
    data = tables.dataset
    return {
        "provenance": {name: _read(value) for name, value in data.attrs.items()},
        "longest": tables.longest,
        "segments": segments,
        "variant": variant,
        "left": tables.remaining(segments, variant),
        "retention": {name: tables.retention(segments, name) for name in tables.variants},
        # Numbers of the whole file; the rows by segment follow from them.
        **{str(name): data[name].values for name in data.data_vars if data[name].ndim == 0},
        "left_out": tables.left_out,
    }
