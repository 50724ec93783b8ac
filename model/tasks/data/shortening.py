"""Cut sequences that are longer than a model reads; of a pair, both documents are cut alike."""

import dataclasses
from collections.abc import Callable

import numpy as np

from model.tasks.data.dataset import TaskData, TaskError, TokenDataset, offsets_of
from model.tasks.data.encoding import split_pair


def shorten(task: TaskData, longest: int) -> TaskData:
    """Cut every sequence of `task` to its first `longest` tokens.

    If a sequence is a pair of documents, each document gets half of the tokens that the separator leaves: cutting the
    end of the pair would remove the second document.
    """
    if task.separator is None:
        return _with_cut(task, lambda sequence: sequence[:longest])
    return shorten_documents(task, (longest - 1) // 2)


def shorten_documents(task: TaskData, longest: int) -> TaskData:
    """Cut both documents of every pair to their first `longest` tokens.

    Raises
    ------
    TaskError
        The task has no separator, or a sequence does not have exactly one.
    """
    separator = task.separator
    if separator is None:
        raise TaskError(f"each sequence of {task.name} is one document, not two; use shorten")

    def cut(sequence: np.ndarray) -> np.ndarray:
        first, second = split_pair(sequence, separator)
        return np.concatenate([first[:longest], sequence[len(first) : len(first) + 1], second[:longest]])

    return _with_cut(task, cut)


def _with_cut(task: TaskData, cut: Callable[[np.ndarray], np.ndarray]) -> TaskData:
    return dataclasses.replace(task, **{split: _cut_dataset(data, cut) for split, data in task.splits.items()})


def _cut_dataset(dataset: TokenDataset, cut: Callable[[np.ndarray], np.ndarray]) -> TokenDataset:
    sequences = [cut(dataset.sequence(index)) for index in range(len(dataset))]
    offsets = offsets_of([len(sequence) for sequence in sequences])
    return TokenDataset(np.concatenate(sequences), offsets, dataset.labels)
