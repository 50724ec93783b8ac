"""Scores are those of the sequences that are named, each counted once, in whatever batches they come."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from model.tasks import TokenDataset
from model.training.evaluation import evaluate, load_run
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder
from model.training.scoring import accuracy_by_group, evaluate_split, scored_rows


class FirstToken(nn.Module):
    """Answers by the first token alone."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, tokens, lengths):  # noqa: ARG002
        return self.logits[tokens[:, 0]]


@pytest.fixture
def sequences() -> TokenDataset:
    random = np.random.default_rng(0)
    rows = [random.integers(1, 5, random.integers(1, 9)).astype(np.uint8).tobytes() for _ in range(50)]
    return TokenDataset.from_sequences(rows, random.integers(3, size=50).tolist())


@pytest.mark.parametrize("most", [0, 20])
def test_scores_are_those_of_each_sequence_alone(sequences, most):
    model, settings = FirstToken(), TrainingParameters(batch_size=8, most_scored=most)
    rows = scored_rows(50, most)
    logits = model.logits.detach()[sequences.first_tokens[rows].astype(int)]
    labels = torch.from_numpy(sequences.labels[rows])
    right = (logits.argmax(dim=1) == labels).numpy()
    score = evaluate_split(model, sequences, settings)
    assert score.accuracy == pytest.approx(right.mean())
    assert score.loss == pytest.approx(functional.cross_entropy(logits, labels).item())
    groups = np.arange(50) % 3 * 10
    by_group = accuracy_by_group(model, sequences, groups, settings)
    assert by_group == {group: pytest.approx(right[groups[rows] == group].mean()) for group in (0, 10, 20)}


def test_a_part_of_a_split_is_scored_whatever_the_order_of_its_labels(task, configuration, tables, tmp_path):
    assert (
        scored_rows(10, 0).tolist() == scored_rows(10, 10).tolist() == scored_rows(10, 99).tolist() == list(range(10))
    )
    assert len(set(scored_rows(10, 4).tolist())) == 4
    alternating = np.arange(4000) % 2
    for most in (1000, 2500):
        assert alternating[scored_rows(4000, most)].mean() == pytest.approx(0.5, abs=0.03)
    few = replace(configuration, training=replace(configuration.training, most_scored=7))
    train(few, task, tables, tmp_path / "run")
    result = evaluate(tmp_path / "run", task)
    assert result.samples == 7
    rows = task.test.tokens, task.test.offsets
    part = TokenDataset.from_sequences(
        [rows[0][rows[1][i] : rows[1][i + 1]].tobytes() for i in scored_rows(40, 7)],
        task.test.labels[scored_rows(40, 7)].tolist(),
    )
    score = evaluate_split(load_run(RunFolder(tmp_path / "run")), part, configuration.training)
    assert (score.accuracy, score.loss) == pytest.approx((result.accuracy, result.loss), rel=1e-6)
