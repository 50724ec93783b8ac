"""`rmaat evaluate`: score a trained model on its test data."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rmaat.base.progress import Bar
from rmaat.base.text import table
from rmaat.commands.shared import add_data, add_json, load_task_with_bar, print_json

SUMMARY = "Score a trained model on its test data, next to trivial levels, which need no model"
EXAMPLE = "  rmaat evaluate runs/listops"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat evaluate`."""
    parser.add_argument("run_folder", type=Path, help="folder from rmaat train")
    parser.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="device to run on [default: auto]"
    )
    parser.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        help="where the files of the data are now [default: where they were in training]",
    )
    add_data(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Score a run and print its accuracy and the trivial levels."""
    from model.training.evaluation import evaluate
    from model.training.run_folder import RunFolder

    configuration = RunFolder(options.run_folder).read_configuration()
    source = options.source or (Path(configuration.source) if configuration.source else None)
    task = load_task_with_bar(configuration.task_parameters, source, options.data)
    with Bar("evaluate") as progress:
        result = evaluate(options.run_folder, task, options.device, progress)
    if options.json:
        print_json({"architecture": configuration.model.architecture, **asdict(result)})
        return
    print(f"{configuration.model.architecture} on {result.samples} test samples ({result.origin}):")
    print(
        table(
            [
                (configuration.model.architecture, f"{result.accuracy:.1%} +- {result.standard_error:.1%}"),
                *(
                    (f"answers {distance} tokens back", f"{accuracy:.1%}")
                    for distance, accuracy in result.accuracy_by_distance.items()
                ),
                *((name, f"{level:.1%}") for name, level in result.trivial_levels.items()),
            ],
            ("scored", "test accuracy"),
        )
    )
