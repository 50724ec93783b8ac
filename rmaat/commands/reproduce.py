"""`rmaat reproduce`: the tables of the paper, with our models and budgets."""

import argparse
import math
import os
import re
import shlex
import sys
from pathlib import Path

from rmaat.commands.shared import add_data
from rmaat.errors import UsageError
from rmaat.files import discard, unfinished_folder, write_text
from rmaat.progress import Bar

SUMMARY = "Train RMAAT and its baselines or ablations on several tasks, and write one table"
EXAMPLE = (
    "  rmaat reproduce table1 --preset small --seeds 3 --budget 30m\n"
    "  rmaat reproduce ablations --tasks listops text --seeds 1 --workers 2"
)

_UNITS = {"s": 1, "m": 60, "h": 3600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat reproduce`."""
    from model.study import STUDIES

    studies = "; ".join(f"{name}: {study.title} ({', '.join(study.tasks)})" for name, study in STUDIES.items())
    parser.add_argument("study", choices=tuple(STUDIES), help=studies)
    parser.add_argument("--preset", default="small", help="settings of every task [default: small]")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model and task [default: 3]")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="some of the study's tasks [default: all]")
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="stop after this long, such as 30m or 2h, with exit status 75 if runs are left; the same command goes on "
        "[default: until all is done]",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help=f"trainings at a time, which share the cores; 1 on a GPU [default: {os.cpu_count()}]",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/reproduce"), help="folder of all runs [default: runs/reproduce]"
    )
    add_data(parser)


def run(options: argparse.Namespace) -> None:
    """Train what is missing and write the table."""
    from figures import draw_study, save_figure
    from model.study import STUDIES, carry_out, runs_of, without_data
    from model.study_report import findings, markdown, write_csv

    if options.seeds < 1 or options.workers < 1:
        raise UsageError(f"{options.seeds} seeds in {options.workers} workers; each must be at least 1")
    seconds = parse_duration(options.budget) if options.budget else math.inf
    study = STUDIES[options.study]
    runs = runs_of(study, options.preset, options.seeds, options.out, options.tasks)
    place = options.out / options.preset / options.study
    # One command at a time: two would train the same runs.
    with unfinished_folder(options.out / options.preset / "runs"):
        with Bar("data") as progress:
            missing = without_data(runs, options.data, progress)
        for sentence in missing.values():
            print(f"left out: {sentence}")
        runs = [run for run in runs if run.task not in missing]
        if not runs:
            raise UsageError(f"none of the tasks of {options.study} has data in {options.data}; see: rmaat data list")
        try:
            with Bar(options.study) as progress:
                carry_out(runs, options.data, options.workers, seconds, progress)
        finally:
            # Of what is done, however the rest ended.
            found = findings(runs)
            if found:
                write_csv(place.with_suffix(".csv"), found)
                page = markdown(study, options.preset, runs, found, shlex.join(["rmaat", *sys.argv[1:]]))
                write_text(place.with_suffix(".md"), page)
                save_figure(draw_study(found, f"{study.title}, preset {options.preset}"), place)
                print(f"{page}\n{place}.md, .csv, .png, .svg")
    discard(options.out / options.preset / "runs")


def parse_duration(text: str) -> float:
    """Seconds of 90s, 30m or 2h; raises a UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise UsageError(f"{text!r} is no duration; write a number and s, m or h, such as 30m")
    return float(match[1]) * _UNITS[match[2]]
