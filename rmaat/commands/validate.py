"""`rmaat validate`: compare the simulator with other codes, closed forms and published numbers."""

import argparse
from pathlib import Path

from rmaat.base.progress import Bar
from rmaat.base.text import table
from rmaat.commands.shared import add_json, new_file, print_json

SUMMARY = "Compare the simulator with other codes, closed forms and published numbers"
EXAMPLE = "  rmaat validate --with brian2 --out docs/validation.md --overwrite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat validate`."""
    parser.add_argument(
        "--with",
        dest="packages",
        action="append",
        default=[],
        choices=["brian2"],
        help="also check the spiking model; Brian2 compiles it, which takes a minute the first time and seconds later",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the table to a Markdown file")
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> None:
    """Run the checks and print a table; raises `SimulationError` if one fails."""
    from astro_sim import SimulationError
    from astro_sim.validation import CHECKS, HEADER, as_markdown, checks_with, count_by_kind, validate
    from rmaat.base.files import write_text

    out = new_file(options.out, options) if options.out else None
    with Bar("validate") as progress:
        outcomes = validate(progress, checks_with(options.packages))
    if options.json:
        print_json([{**dict(zip(HEADER, outcome.row(), strict=True)), "ours": outcome.value} for outcome in outcomes])
    else:
        print(table([outcome.row() for outcome in outcomes], HEADER))
        print("references: " + ", ".join(f"{count} {kind}" for kind, count in count_by_kind(outcomes).items()))
    if out:
        write_text(out, as_markdown(outcomes))
    failed = [outcome.description for outcome in outcomes if not outcome.passed]
    if failed:
        raise SimulationError(f"{len(failed)} of {len(outcomes)} checks failed: {'; '.join(failed)}")
    if not options.json:
        print(f"all {len(outcomes)} checks passed{_skipped(len(CHECKS) - len(outcomes))}")


def _skipped(count: int) -> str:
    return f"; skipped {count} checks of the spiking model, which need Brian2: add --with brian2" if count > 0 else ""
