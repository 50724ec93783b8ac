"""`rmaat train`: train a model on a task."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.commands.shared import add_data, bounds, load_task, plain
from rmaat.files import refuse_existing
from rmaat.progress import Bar, is_first_process

if TYPE_CHECKING:
    from model.presets import Preset

SUMMARY = "Train RMAAT or a baseline"
EXAMPLE = (
    "  rmaat train listops --tables runs/tables.nc --out runs/listops\n"
    "  rmaat train listops --architecture rmt --differentiation bptt --out runs/rmt\n"
    "  rmaat train listops --preset official --official-files lra_release/listops-1000 --out runs/official\n"
    "  torchrun --nproc-per-node=2 -m rmaat train listops --out runs/two"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat train`."""
    from model.presets import PRESETS

    presets = "; ".join(f"{name}: {preset.meaning}" for name, preset in PRESETS.items())
    parser.add_argument("task", choices=("listops",), help="the task to learn")
    parser.add_argument("--preset", choices=PRESETS, default="short", help=f"{presets} [default: short]")
    parser.add_argument("--tables", type=Path, help="what rmaat distill wrote [default: the tables of the package]")
    parser.add_argument("--out", type=Path, required=True, help="run folder; must not exist yet")
    parser.add_argument("--resume", action="store_true", help="go on with the run that stands in the run folder")
    parser.add_argument(
        "--official-files", type=Path, metavar="FOLDER", help="LRA's basic_train.tsv, basic_val.tsv, basic_test.tsv"
    )
    add_data(parser)
    for title, name in (("the task", "task_parameters"), ("the model", "model"), ("the training", "training")):
        group = parser.add_argument_group(f"{title}, in place of the preset's (shown: short)")
        for path, value, quantity in getattr(PRESETS["short"], name).parameters():
            unit = "" if quantity.unit == "1" else f" {quantity.unit}"
            group.add_argument(
                "--" + path[-1].replace("_", "-"),
                metavar="VALUE",
                help=f"{quantity.meaning} [{plain(value)}{unit}; {bounds(quantity)}]".replace("%", "%%"),
            )


def run(options: argparse.Namespace) -> None:
    """Train a model."""
    from distill import default_tables, read_tables
    from model.training import train

    preset = _preset(options)
    tables = read_tables(options.tables) if options.tables else default_tables()
    if not options.resume:
        refuse_existing(options.out, "resume it with --resume, or choose another --out")
    task = load_task(preset, options.official_files, options.data)
    configuration = preset.configuration(task, options.official_files)
    with Bar("train") as progress:
        best = train(configuration, task, tables, options.out, resume=options.resume, progress=progress)
    if not is_first_process():
        return
    print(f"{options.out}: best validation accuracy {best.accuracy:.1%}; score it with: rmaat evaluate {options.out}")


def _preset(options: argparse.Namespace) -> "Preset":
    """The chosen preset, with the options that were given in its place."""
    from model.presets import PRESETS

    preset = PRESETS[options.preset]
    changed = {}
    for place in ("task_parameters", "model", "training"):
        record = getattr(preset, place)
        names = {path[-1] for path, _, _ in record.parameters()} - {"architecture"}
        changed[place] = record.override(
            {name: value for name in names if (value := getattr(options, name)) is not None}
        )
    if options.architecture is not None:
        changed["model"] = changed["model"].as_architecture(options.architecture)
    return dataclasses.replace(preset, **changed)
