"""`rmaat evaluate`: score a trained run."""

import argparse
from pathlib import Path

from rmaat.commands.shared import add_data, load_task
from rmaat.progress import Bar
from rmaat.text import table

SUMMARY = "Score a trained run on its test split, beside the trivial levels"
EXAMPLE = "  rmaat evaluate runs/listops"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat evaluate`."""
    parser.add_argument("run_folder", type=Path, help="what rmaat train wrote")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="[default: auto]")
    add_data(parser)


def run(options: argparse.Namespace) -> None:
    """Score a run."""
    from model.evaluation import evaluate
    from model.run_folder import RunFolder

    configuration = RunFolder(options.run_folder).read_configuration()
    files = Path(configuration.official_files) if configuration.official_files else None
    task = load_task(configuration, files, options.data)
    with Bar("evaluate") as progress:
        result = evaluate(options.run_folder, task, options.device, progress)
    print(f"{configuration.model.architecture} on {result.samples} test samples ({result.origin}):")
    print(
        table(
            [
                (configuration.model.architecture, f"{result.accuracy:.1%} +- {result.standard_error:.1%}"),
                ("commonest label", f"{result.commonest_label:.1%}"),
                ("root operator alone", f"{result.root_operator:.1%}"),
            ],
            ("guess by", "test accuracy"),
        )
    )
