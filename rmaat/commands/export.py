"""`rmaat export`: write a trained model as a folder with a model card, or such a folder as a run folder."""

import argparse
from pathlib import Path

SUMMARY = "Write the best model of a run as a folder for others, with a model card"
EXAMPLE = (
    "  rmaat export runs/reviews --to reviews-model\n"
    "  rmaat export reviews-model --to runs/again        (the other way, to score it with rmaat evaluate)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat export`."""
    parser.add_argument(
        "source", type=Path, help="folder from rmaat train; a folder from rmaat export becomes a run folder"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder to write; must not exist")


def run(options: argparse.Namespace) -> None:
    """Write the folder."""
    from model.prediction.pretrained import export_run, import_run, is_pretrained

    if is_pretrained(options.source):
        import_run(options.source, options.to)
        print(f"{options.to}: a run folder; score it with: rmaat evaluate {options.to}")
    else:
        export_run(options.source, options.to)
        print(f'{options.to}: model and README.md; use it with: rmaat predict {options.to} "TEXT"')
