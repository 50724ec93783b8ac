"""`rmaat reproduce`: train all models of a study and write its table."""

import argparse
import math
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.extras import require_all
from rmaat.base.files import discard, unfinished_folder, write_text
from rmaat.base.progress import Bar
from rmaat.commands import reproduce_astrocyte
from rmaat.commands.shared import add_data, add_json, print_json

if TYPE_CHECKING:
    from model.studies.study import Run, Study

SUMMARY = "Train RMAAT and its baselines or ablations on several tasks, and write one table"
EXAMPLE = (
    "  rmaat reproduce table1 --preset small --seeds 3 --budget 30m\n"
    "  rmaat reproduce ablations --tasks listops text --seeds 1 --workers 2\n"
    "  rmaat reproduce astrocyte --seeds 3"
)

_UNITS = {"s": 1, "m": 60, "h": 3600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat reproduce`."""
    from model.studies.study import STUDIES

    studies = "; ".join(f"{name}: {study.title} ({', '.join(study.tasks)})" for name, study in STUDIES.items())
    parser.add_argument("study", choices=tuple(STUDIES), help=studies)
    parser.add_argument(
        "--preset",
        help="preset that every task uses [default: "
        + "; ".join(f"{name}: {study.preset}" for name, study in STUDIES.items())
        + "]",
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings for each model and task [default: 3]")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="tasks of the study to run [default: all]")
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="stop after this time, such as 30m or 2h, with exit status 75 if runs are left; repeat the command to "
        "continue [default: no limit]",
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="number of trainings at the same time [default: one per core, or one on a GPU]",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="train on the workers of a Dask scheduler, tcp://host:port, instead of --workers; they have one thread "
        "each and see the same folders; needs the extra sweep",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/reproduce"), help="folder for all runs [default: runs/reproduce]"
    )
    add_data(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Train the missing runs and write the table."""
    require_all(("torch", "matplotlib"), "rmaat reproduce")
    from model.studies.cluster import run_on_cluster
    from model.studies.runner import default_workers, run_unfinished, without_data
    from model.studies.study import STUDIES, runs_of

    deadline = time.monotonic() + (parse_duration(options.budget) if options.budget else math.inf)
    workers = default_workers() if options.workers is None else options.workers
    for name, count in (("seeds", options.seeds), ("workers", workers)):
        if count < 1:
            raise UsageError(f"--{name} is {count}; it must be 1 or more")
    study, tasks = STUDIES[options.study], options.tasks or ()
    preset = options.preset or study.preset
    folder = options.out / preset
    # The lock allows one command at a time: two would train the same runs.
    with unfinished_folder(folder / "runs"):
        astrocytes, left_out = reproduce_astrocyte.tables_of_astrocytes(options.study, options.out)
        runs = runs_of(study, preset, options.seeds, options.out, tasks, astrocytes)
        with Bar("data") as progress:
            missing = without_data(runs, options.data, progress)
        runs = [run for run in runs if run.task not in missing]
        if not runs:
            raise UsageError(f"none of the tasks of {options.study} has data in {options.data}; see: rmaat data list")
        try:
            with Bar(options.study) as progress:
                if options.cluster:
                    run_on_cluster(runs, options.data, options.cluster, deadline, progress)
                else:
                    run_unfinished(runs, options.data, workers, deadline, progress)
        finally:
            # Report the finished runs even if others failed.
            stem, command = folder / "-".join([options.study, *tasks]), _command(options, preset)
            page = (
                reproduce_astrocyte.write_report(options.study, stem, command, runs, astrocytes, left_out | missing)
                if options.study in reproduce_astrocyte.FOLDERS
                else _write_report(stem, study, preset, runs, command, missing)
            )
            discard(folder / "runs")
    if options.json:
        print_json(_content(runs, command, left_out | missing))
    else:
        print(page)


def _content(runs: list["Run"], command: str, left_out: dict[str, str]) -> dict[str, Any]:
    """The findings as JSON has them: accuracies in %, times in s."""
    from model.studies.report import findings

    return {
        "command": command,
        "runs": len(runs),
        "findings": [
            {**asdict(own), "accuracy": own.accuracy, "spread": own.spread, "paper_accuracy": own.paper_accuracy}
            for own in findings(runs)
        ],
        "left_out": left_out,
    }


def _command(options: argparse.Namespace, preset: str) -> str:
    tasks = f" --tasks {' '.join(options.tasks)}" if options.tasks else ""
    return f"rmaat reproduce {options.study} --preset {preset} --seeds {options.seeds}{tasks}"


def _write_report(
    stem: Path, study: "Study", preset: str, runs: list["Run"], command: str, missing: dict[str, str]
) -> str:
    """Write the table as Markdown, CSV and figures; returns the Markdown."""
    from figures import draw_study, save_figure
    from model.studies.report import findings, markdown, write_csv

    found = findings(runs)
    if not found:
        return ""
    page = markdown(study, preset, runs, found, command, missing)
    # with_suffix would cut off the part of the stem after a dot.
    write_csv(stem.with_name(stem.name + ".csv"), found)
    write_text(stem.with_name(stem.name + ".md"), page)
    save_figure(draw_study(found, f"{study.title}, preset {preset}"), stem)
    return f"{page}\n{stem}.md, .csv, .png, .svg"


def parse_duration(text: str) -> float:
    """The seconds in a text such as 90s, 30m or 2h; raises `UsageError` for other texts."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise UsageError(f"{text!r} is not a duration; write a number and s, m or h, such as 30m")
    return float(match[1]) * _UNITS[match[2]]
