"""`rmaat validate`: check the simulator against published numbers."""

import argparse
from pathlib import Path

from rmaat.commands.shared import new_file
from rmaat.progress import Bar
from rmaat.text import table

SUMMARY = "Check the simulator against published numbers"
EXAMPLE = "  rmaat validate --out docs/validation.md --overwrite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat validate`."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table as Markdown too")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")


def run(options: argparse.Namespace) -> None:
    """Check the models."""
    from astro_sim import SimulationError
    from astro_sim.validation import HEADER, as_markdown, validate
    from rmaat.files import write_text

    out = new_file(options.out, options) if options.out else None
    with Bar("validate") as progress:
        outcomes = validate(progress)
    print(table([outcome.row() for outcome in outcomes], HEADER))
    if out:
        write_text(out, as_markdown(outcomes))
    failed = [outcome.check.quantity for outcome in outcomes if not outcome.passed]
    if failed:
        raise SimulationError(f"{len(failed)} of {len(outcomes)} checks failed: {'; '.join(failed)}")
    print(f"all {len(outcomes)} checks passed")
