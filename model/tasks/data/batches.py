"""Batches of sequences of similar length, as a pure function of lengths, batch size, seed and epoch.

Batches have no state: a run resumes at batch k of epoch e from these two integers alone.
"""

from dataclasses import dataclass

import numpy as np

from model.tasks.data.dataset import PADDING, TokenDataset
from rmaat.base.errors import UsageError


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """The sequences of each batch, for training and evaluation.

    Every epoch has every sequence exactly once, in `batch_count` batches. One batch is smaller if the batch size does
    not divide the number of sequences; no sequence is dropped.

    Attributes
    ----------
    lengths
        Tokens in each sequence; shape (sequence,).
    batch_size
        Sequences in a batch.
    seed
        Seed of the order.
    window
        Number of batches that are sorted by length together. A larger window means less padding and less mixing. In a
        dataset of one window, epochs differ only in the order of batches and of sequences of equal length.

    Raises
    ------
    UsageError
        A size or the seed is out of range, or `lengths` is empty.
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
            raise UsageError(
                f"lengths have shape {self.lengths.shape}; give one length per sequence, and at least one sequence"
            )

    @property
    def batch_count(self) -> int:
        """Number of batches in every epoch."""
        return -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The batches of `epoch` (0, 1, ...) in order: for each the indices of its sequences, int64, shape (sequence,).

        Sequences are shuffled, sorted by length within windows of `window` batches, and cut into batches; then the
        batches are shuffled. To resume at batch k, start with element k.
        """
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(len(self.lengths))
        span = self.window * self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), span):
            window = order[start : start + span]
            # A stable sort keeps sequences of equal length in shuffled order on every platform.
            window = window[np.argsort(self.lengths[window], kind="stable")]
            batches.extend(window[first : first + self.batch_size] for first in range(0, len(window), self.batch_size))
        return [batches[position] for position in generator.permutation(len(batches))]


def collate(dataset: TokenDataset, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gather the sequences `indices`, shape (batch,), of `dataset` in one batch.

    Returns
    -------
    tokens : ndarray
        Shape (batch, token), int64, padded with 0 at the end.
    lengths, labels : ndarray
        Shape (batch,), int64.

    Raises
    ------
    IndexError
        An index is outside the dataset.
    ValueError
        `indices` is empty.
    """
    if len(indices) == 0:
        raise ValueError("a batch needs at least one sequence")
    sequences = [dataset.sequence(int(index)) for index in indices]
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    tokens = np.full((len(sequences), lengths.max()), PADDING, dtype=np.int64)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    return tokens, lengths, dataset.labels[indices].astype(np.int64)
