"""`rmaat data prepare`: convert a task's files or generate its data, and store them for all later runs."""

import argparse
from pathlib import Path

from rmaat.base.progress import Bar
from rmaat.commands.settings import add_settings, task_settings
from rmaat.commands.shared import add_data

SUMMARY = "Convert a task's files or generate its data, and store them for all later runs"
EXAMPLE = (
    "  rmaat data prepare text --source aclImdb_v1.tar.gz\n"
    "  rmaat data prepare text --source hf:stanfordnlp/imdb\n"
    "  rmaat data prepare documents --source reviews.csv --label sentiment\n"
    "  rmaat data prepare pathfinder --difficulty easy --train-size 20000\n"
    "  rmaat data prepare listops --source lra_release/listops-1000"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat data prepare`."""
    from model.tasks.library import TASKS

    parser.usage = "rmaat data prepare [options] TASK"
    sources = "; ".join(f"{name}: {task.sources}" for name, task in TASKS.items() if task.sources)
    parser.add_argument("task", choices=tuple(TASKS), help="task to prepare")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        help=f"files to read. {sources} [default: generate the data, for the other tasks]",
    )
    add_data(parser)
    add_settings(parser, "settings of the task [default; bounds]", [task.parameters for task in TASKS.values()])


def run(options: argparse.Namespace) -> None:
    """Prepare the data of a task."""
    from model.tasks.data.store import read_task
    from model.tasks.library import TASKS, prepare_task
    from model.tasks.trivial_levels import trivial_levels

    parameters = task_settings(options, TASKS[options.task].parameters)
    with Bar("prepare") as progress:
        place = prepare_task(parameters, options.source, options.data, progress)
    data = read_task(place)
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in data.splits.items())
    print(f"{place}: {data.name}, {data.origin}; {counts}; up to {data.longest:,} tokens")
    print("trivial levels: " + ", ".join(map(str, trivial_levels(data))))
