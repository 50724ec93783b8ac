"""Score a trained run on its test split, beside the levels that need no model."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.tables import read_tables
from model.checkpoint import BEST, load_model, load_state, newest
from model.errors import ModelError
from model.network import SegmentClassifier, build_model
from model.run_folder import RunFolder
from model.tasks import TaskData, trivial_levels
from model.training import Progress, choose_device, evaluate_split
from rmaat.files import write_text


@dataclass(frozen=True)
class Evaluation:
    """Accuracies are shares of the test split."""

    accuracy: float
    standard_error: float
    """binomial, of `accuracy`"""
    loss: float
    trivial_levels: dict[str, float]
    """what the task's guesses without a model reach on the same data, by name"""
    samples: int
    parameters: int
    best_step: int
    origin: str


def evaluate(
    out: Path,
    task: TaskData,
    device: str = "auto",
    progress: Progress = lambda fraction, note="": None,  # noqa: ARG005
) -> Evaluation:
    """Score the best checkpoint of the run at `out` on `task`'s test split and write `evaluation.json` beside it.

    Raises
    ------
    ModelError
        There is no run, no validated weights yet, weights of another architecture, or `task` is not what it learnt.
    """
    folder = RunFolder(out)
    configuration = folder.read_configuration()
    if task.sha256() != configuration.data_sha256:
        raise ModelError(f"{out} was trained on other data than {task.origin}; evaluate it with the same data")
    model = load_run(folder).to(choose_device(device))
    score = evaluate_split(model, task.test, configuration.training, progress)
    samples = len(task.test)
    evaluation = Evaluation(
        accuracy=score.accuracy,
        standard_error=math.sqrt(score.accuracy * (1 - score.accuracy) / samples),
        loss=score.loss,
        trivial_levels={level.name: level.accuracy for level in trivial_levels(task)},
        samples=samples,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        best_step=load_state(newest(out, BEST)).step,
        origin=task.origin,
    )
    write_text(folder.evaluation, json.dumps(asdict(evaluation), indent=2) + "\n")
    return evaluation


def load_run(folder: RunFolder) -> SegmentClassifier:
    """The model of a run with its best weights; raises `ModelError` as `evaluate`."""
    model = build_model(folder.read_configuration().model, read_tables(folder.tables))
    load_model(newest(folder.path, BEST), model)
    return model
