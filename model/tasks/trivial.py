"""Trivial levels: what accuracy a guess reaches that reads little or nothing; a model must be set against them."""

from dataclasses import dataclass

import numpy as np

from model.tasks.dataset import TokenDataset


@dataclass(frozen=True)
class TrivialLevel:
    """The `accuracy` (0..1) on held-out data of the guess called `name`."""

    name: str
    accuracy: float

    def __str__(self) -> str:
        return f"{self.name}: {self.accuracy:.1%}"


def commonest_label(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Always guess the label that is commonest in `train`; scored on `test`."""
    guess = np.bincount(train.labels).argmax()
    return TrivialLevel("commonest label", float(np.mean(test.labels == guess)))


def root_operator(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Guess from the first token alone (in ListOps the root operator); scored on `test`.

    The guess is the label that is commonest in `train` after that first token; for a token that `train` does not start
    with, the commonest of all.
    """
    vocabulary = 1 + max(int(train.first_tokens.max()), int(test.first_tokens.max()))
    counts = np.zeros((vocabulary, int(train.labels.max()) + 1), dtype=np.int64)
    np.add.at(counts, (train.first_tokens, train.labels), 1)
    unseen = ~counts.any(axis=1)
    counts[unseen] = counts.sum(axis=0)
    guesses = counts.argmax(axis=1)[test.first_tokens]
    return TrivialLevel("root operator", float(np.mean(test.labels == guesses)))
