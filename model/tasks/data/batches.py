"""Batches of sequences of like length, as a pure function of lengths, batch size, seed and epoch.

Nothing is remembered between batches: a run resumes at batch k of epoch e from these two integers alone.
"""

from dataclasses import dataclass

import numpy as np

from model.tasks.data.dataset import PADDING, TokenDataset
from rmaat.base.errors import UsageError


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Which sequences make which batch.

    Every epoch holds every sequence exactly once, in `batch_count` batches; where the batch size does not divide the
    number of sequences, one batch is smaller. None is dropped, so one plan serves training and evaluation.

    Attributes
    ----------
    lengths
        Tokens in each sequence; shape (sequence,).
    batch_size
        Sequences in a batch.
    seed
        Seed of the order.
    window
        Batches that are sorted by length together: more means less padding and less mixing; over a set of one window
        or less only the order of the batches and of sequences of one length differs between epochs.

    Raises
    ------
    UsageError
        A size or the seed is out of range, or there is no sequence.
    """

    lengths: np.ndarray
    batch_size: int
    seed: int = 0
    window: int = 32

    def __post_init__(self) -> None:
        for name, lowest in (("batch_size", 1), ("window", 1), ("seed", 0)):
            if getattr(self, name) < lowest:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least {lowest}")
        if self.lengths.ndim != 1 or len(self.lengths) == 0:
            raise UsageError(f"lengths have shape {self.lengths.shape}; one length a sequence is wanted")

    @property
    def batch_count(self) -> int:
        """Batches in an epoch; every epoch has as many."""
        return -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The batches of `epoch` (0, 1, ...) in order, each the indices of its sequences, int64.

        The sequences are shuffled, sorted by length within windows of `window` batches and cut; then the batches are
        shuffled. To resume at batch k, go on from element k.
        """
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(len(self.lengths))
        span = self.window * self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), span):
            window = order[start : start + span]
            # Stable, so that sequences of one length stay in shuffled order on every platform.
            window = window[np.argsort(self.lengths[window], kind="stable")]
            batches.extend(window[first : first + self.batch_size] for first in range(0, len(window), self.batch_size))
        return [batches[position] for position in generator.permutation(len(batches))]


def collate(dataset: TokenDataset, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sequences `indices` of `dataset` as one batch, all int64.

    Returns tokens of shape (batch, token), as wide as the longest of them and padded with 0 at the end; their lengths
    and their labels, both of shape (batch,). Raises `IndexError` for an index outside the dataset, `ValueError` for an
    empty batch.
    """
    if len(indices) == 0:
        raise ValueError("a batch needs at least one sequence")
    sequences = [dataset.sequence(int(index)) for index in indices]
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    tokens = np.full((len(sequences), lengths.max()), PADDING, dtype=np.int64)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    return tokens, lengths, dataset.labels[indices].astype(np.int64)
