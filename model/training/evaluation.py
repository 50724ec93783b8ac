"""Score a trained run on its test split, with the trivial levels beside it, and measure the cost of its training."""

import datetime
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from distill.tables import read_tables
from model.errors import ModelError
from model.layers.precision import denormals_flushed
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.tasks import TaskData, TokenDataset, TrivialLevel, trivial_levels
from model.tasks.diagnostics import DiagnosticParameters, answer_distances
from model.training.checkpoint import BEST, CHECKPOINT, load_model, load_state, newest
from model.training.checks import as_read
from model.training.device import choose_device, device_name, longest_batch
from model.training.measure import compare_steps
from model.training.method import differentiation
from model.training.run_folder import Cost, Evaluation, RunConfiguration, RunFolder
from model.training.scoring import accuracy_by_group, evaluate_split, scored_rows
from model.training.threads import cpu_threads
from rmaat.base.progress import Progress, ignore_progress


def evaluate(
    out: str | Path,
    task: TaskData,
    device: str = "auto",
    progress: Progress = ignore_progress,
    levels: Callable[[TaskData], Sequence[TrivialLevel]] = trivial_levels,
) -> Evaluation:
    """Score the best checkpoint of the run at `out` on `task`'s test split and write `evaluation.json` beside it.

    `levels` computes the trivial levels of `task`; pass another function to reuse levels that are already computed.

    Raises
    ------
    ModelError
        There is no run or no validated checkpoint, the weights are of another architecture, `task` has other data, or
        the loss is not finite.
    """
    folder = RunFolder(Path(out))
    configuration = folder.read_configuration()
    if task.sha256() != configuration.data_sha256:
        raise ModelError(f"{out} was trained on other data than {task.origin}; evaluate it with the same data")
    model = load_run(folder).to(choose_device(device))
    # Levels are of whole sequences: a guess without a model may read all of them.
    seen = as_read(configuration, task)
    # As in training: a CPU takes many times as long for denormal numbers.
    with denormals_flushed(), cpu_threads(configuration.training.threads):
        score = evaluate_split(model, seen.test, configuration.training, progress)
        by_distance = _accuracy_by_distance(model, task.test, seen.test, configuration)
    if not math.isfinite(score.loss):
        raise ModelError(f"the loss of {out} on the test split is {score.loss}; train again with a lower learning rate")
    samples = len(scored_rows(len(task.test), configuration.training.most_scored))
    evaluation = Evaluation(
        accuracy=score.accuracy,
        standard_error=math.sqrt(score.accuracy * (1 - score.accuracy) / samples),
        loss=score.loss,
        trivial_levels={level.name: level.accuracy for level in levels(task)},
        samples=samples,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        best_step=load_state(newest(folder.path, BEST)).step,
        origin=task.origin,
        accuracy_by_distance=by_distance,
    )
    folder.write_evaluation(evaluation)
    return evaluation


def _accuracy_by_distance(
    model: SegmentClassifier, whole: TokenDataset, seen: TokenDataset, configuration: RunConfiguration
) -> dict[str, float]:
    """Accuracy by distance of the answer in the `whole` sequences, of which the model has `seen` a part or all."""
    parameters = configuration.task_parameters
    if not isinstance(parameters, DiagnosticParameters):
        return {}
    # Group by multiples of the gap, which is the length of a segment in the presets.
    step = parameters.gap or parameters.length
    groups = answer_distances(parameters, whole) // step * step
    found = accuracy_by_group(model, seen, groups, configuration.training)
    return {f"{distance} to {distance + step - 1}": accuracy for distance, accuracy in found.items()}


def measure_cost(out: Path, task: TaskData) -> Cost:
    """Write `cost.json` for the run at `out` on `task`: its training time, and a step that is measured now.

    Raises
    ------
    ModelError
        There is no run or no checkpoint.
    """
    folder = RunFolder(out)
    configuration = folder.read_configuration()
    settings = configuration.training
    device = choose_device(settings.device)
    model = load_run(folder).to(device)
    if settings.compile:
        model.compile_cell()
    batch, method = longest_batch(as_read(configuration, task).train, settings, device), differentiation(settings)
    with denormals_flushed(), cpu_threads(settings.threads):
        step = compare_steps(model, batch, {"": method}, settings.precision, repeats=3)[""]
    seconds = load_state(newest(out, CHECKPOINT)).seconds
    date = datetime.date.today().isoformat()
    cost = Cost(seconds, step.least_seconds, step.peak_bytes, device_name(device), date)
    folder.write_cost(cost)
    return cost


def load_run(folder: RunFolder) -> SegmentClassifier:
    """Load the model of a run with its best weights; raises `ModelError` as `evaluate`."""
    model = build_model(folder.read_configuration().model, read_tables(folder.tables))
    load_model(newest(folder.path, BEST), model)
    return model
