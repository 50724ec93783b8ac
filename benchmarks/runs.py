"""Collect finished trainings in one file: what was trained, the score beside the trivial levels, and the curve.

python -m benchmarks.runs NAME=RUN ... --out benchmarks/results/hour/runs.json

Each RUN is a folder of `rmaat train` that `rmaat evaluate` has scored. The settings are those that differ from the
defaults, as options of `rmaat train`.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report import write_report
from model.networks.parameters import ModelParameters
from model.training.checkpoint import CHECKPOINT, load_state, newest
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder
from rmaat.base.provenance import processor


def main() -> None:
    """Read the runs and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--out", type=Path, required=True, help="where to write the results")
    options = parser.parse_args()
    named = dict(text.split("=", 1) for text in options.runs)
    content = {"runs": {name: collect(Path(place)) for name, place in named.items()}}
    write_report(options.out, "rmaat train ...; rmaat evaluate RUN", processor(), ("torch", "numpy"), content)


def collect(place: Path) -> dict[str, Any]:
    """Settings, score and curve of the run at `place`."""
    folder = RunFolder(place)
    configuration, rows = folder.read_configuration(), folder.read_metrics()
    state = load_state(newest(place, CHECKPOINT))
    defaults = {**ModelParameters().to_dict(), **TrainingParameters().to_dict()}
    settings = {**configuration.model.to_dict(), **configuration.training.to_dict()}
    return {
        "task": configuration.task_parameters.to_dict(),
        "settings": {name: value for name, value in settings.items() if value != defaults[name]},
        "started_from": configuration.start_sha256,
        **asdict(folder.read_evaluation()),
        "steps": state.step,
        "sequences": state.step * configuration.training.batch_size,
        "seconds": state.seconds,
        "validation_accuracy": {int(row["step"]): row["validation_accuracy"] for row in rows},
    }


if __name__ == "__main__":
    main()
