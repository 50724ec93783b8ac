"""Loss and accuracy of a model over a split, or over groups of its sequences."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.tasks import BatchPlan, TokenDataset
from model.training.device import load_batch, mixed_precision
from model.training.distributed import Processes
from model.training.parameters import TrainingParameters
from rmaat.base.progress import Progress, ignore_progress


@dataclass(frozen=True)
class Score:
    """Mean loss and accuracy over a split."""

    loss: float
    accuracy: float


def evaluate_split(
    model: nn.Module,
    dataset: TokenDataset,
    settings: TrainingParameters,
    progress: Progress = ignore_progress,
    processes: Processes = Processes(),  # noqa: B008 (frozen)
) -> Score:
    """Loss and accuracy of `model` over the scored sequences of `dataset`.

    `processes` share the work, and each gets the same score.
    """
    loss = correct = 0.0
    for _, logits, labels, weight in _answers(model, dataset, settings, progress, processes):
        loss += weight * functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += weight * (logits.argmax(dim=1) == labels).sum().item()
    loss, correct = processes.sum([loss, correct], next(model.parameters()).device)
    count = len(scored_rows(len(dataset), settings.most_scored))
    return Score(loss / count, correct / count)


def accuracy_by_group(
    model: nn.Module, dataset: TokenDataset, groups: np.ndarray, settings: TrainingParameters
) -> dict[int, float]:
    """Accuracy over the scored sequences of each group; `groups` has one integer per sequence, shape (sequence,)."""
    found = [
        np.stack([groups[rows], (logits.argmax(dim=1) == labels).cpu().numpy()])
        for rows, logits, labels, _ in _answers(model, dataset, settings)
    ]
    group, right = np.concatenate(found, axis=1)
    return {int(value): float(right[group == value].mean()) for value in np.unique(group)}


def _answers(
    model: nn.Module,
    dataset: TokenDataset,
    settings: TrainingParameters,
    progress: Progress = ignore_progress,
    processes: Processes = Processes(),  # noqa: B008 (frozen)
) -> Iterator[tuple[np.ndarray, Tensor, Tensor, float]]:
    """Yield each batch: rows of `dataset`, their logits and labels, and their weight in a sum over `processes`."""
    model.eval()
    device = next(model.parameters()).device
    rows = scored_rows(len(dataset), settings.most_scored)
    plan = BatchPlan(dataset.lengths[rows], settings.batch_size)
    for count, indices in enumerate(plan.epoch(0), start=1):
        progress(count / plan.batch_count)
        own, weight = processes.share(rows[indices])
        batch = load_batch(dataset, own, device)
        with torch.no_grad(), mixed_precision(settings.precision, device):
            logits = model(batch.tokens, batch.lengths)
        yield own, logits.float(), batch.labels, weight


def scored_rows(count: int, most: int) -> np.ndarray:
    """The rows to score of a split of `count`, in rising order: all if `most` is 0, else the same `most` in every call.

    They are sampled at random: a fixed stride could alias with alternating labels.
    """
    if most == 0 or most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])
