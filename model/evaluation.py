"""Score a trained run on its test split, beside the levels that need no model."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.tables import read_tables
from model.checkpoint import load_model, load_state
from model.network import SegmentClassifier, build_model
from model.run_folder import RunFolder
from model.tasks import TaskData, commonest_label, root_operator
from model.training import choose_device, evaluate_split
from rmaat.files import write_text


@dataclass(frozen=True)
class Evaluation:
    """Accuracies are shares of the test split; the trivial levels are computed on the same data."""

    accuracy: float
    standard_error: float
    """binomial, of `accuracy`"""
    loss: float
    commonest_label: float
    root_operator: float
    samples: int
    parameters: int
    best_step: int
    origin: str


def evaluate(out: Path, task: TaskData) -> Evaluation:
    """Score the best checkpoint of the run at `out` on `task`'s test split and write `evaluation.json` beside it.

    Raises
    ------
    ModelError
        There is no run, no checkpoint, or one of another architecture.
    """
    folder = RunFolder(out)
    model, settings = load_run(folder), folder.read_configuration().training
    score = evaluate_split(model.to(choose_device(settings.device)), task.test, settings)
    samples = len(task.test)
    evaluation = Evaluation(
        accuracy=score.accuracy,
        standard_error=math.sqrt(score.accuracy * (1 - score.accuracy) / samples),
        loss=score.loss,
        commonest_label=commonest_label(task.train, task.test).accuracy,
        root_operator=root_operator(task.train, task.test).accuracy,
        samples=samples,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        best_step=load_state(folder.best).step,
        origin=task.origin,
    )
    write_text(folder.evaluation, json.dumps(asdict(evaluation), indent=2) + "\n")
    return evaluation


def load_run(folder: RunFolder) -> SegmentClassifier:
    """The model of a run with its best weights; raises `ModelError` as `evaluate`."""
    model = build_model(folder.read_configuration().model, read_tables(folder.tables))
    load_model(folder.best, model)
    return model
