"""Score a trained run on its test split, beside the levels that need no model."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from distill.tables import read_tables
from model.checkpoint import BEST, CHECKPOINT, load_model, load_state, newest
from model.errors import ModelError
from model.measure import step_memory
from model.network import SegmentClassifier, build_model
from model.parameters import TrainingParameters
from model.run_folder import RunFolder
from model.tasks import TaskData, TrivialLevel, trivial_levels
from model.training import Progress, choose_device, differentiation, evaluate_split, load_batch, scored_rows
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
    seconds: float
    """what the training took, validation included"""
    peak_bytes: int
    """of one training step on the longest sequences, above parameters, gradients and moments"""
    origin: str


def evaluate(
    out: Path,
    task: TaskData,
    device: str = "auto",
    progress: Progress = lambda fraction, note="": None,  # noqa: ARG005
    levels: Callable[[TaskData], Sequence[TrivialLevel]] = trivial_levels,
) -> Evaluation:
    """Score the best checkpoint of the run at `out` on `task`'s test split and write `evaluation.json` beside it.

    `levels` gives the trivial levels of `task`, for who knows them already.

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
    samples = len(scored_rows(len(task.test), configuration.training.most_scored))
    evaluation = Evaluation(
        accuracy=score.accuracy,
        standard_error=math.sqrt(score.accuracy * (1 - score.accuracy) / samples),
        loss=score.loss,
        trivial_levels={level.name: level.accuracy for level in levels(task)},
        samples=samples,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        best_step=load_state(newest(out, BEST)).step,
        seconds=load_state(newest(out, CHECKPOINT)).seconds,
        peak_bytes=_training_memory(model, task, configuration.training),
        origin=task.origin,
    )
    write_text(folder.evaluation, json.dumps(asdict(evaluation), indent=2) + "\n")
    return evaluation


def _training_memory(model: SegmentClassifier, task: TaskData, settings: TrainingParameters) -> int:
    longest = np.argsort(task.train.lengths, kind="stable")[-settings.batch_size :]
    batch = load_batch(task.train, longest, next(model.parameters()).device)
    return step_memory(model, batch, differentiation(settings), settings.precision)


def load_run(folder: RunFolder) -> SegmentClassifier:
    """The model of a run with its best weights; raises `ModelError` as `evaluate`."""
    model = build_model(folder.read_configuration().model, read_tables(folder.tables))
    load_model(newest(folder.path, BEST), model)
    return model
