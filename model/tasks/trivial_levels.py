"""Trivial levels: accuracies of rules that need no model. Compare the accuracy of every model with them.

Each is fitted to the training split and scored on the test split of the same data. To add one, write a function of two
`TokenDataset`, add it to `LEVELS`, and name it in the `levels` of a task.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.tasks.data.dataset import TaskData, TaskError, TokenDataset
from model.tasks.data.encoding import PIXEL_SHIFT, split_pair, to_bytes
from model.tasks.diagnostics import FIRST_VALUE
from model.tasks.listops import CLOSE, value_of_top
from rmaat.base.records import unknown_name

_WORD = re.compile(rb"[a-z0-9']+")
_RIDGE = 1.0
_CHUNK = 10_000
"""Number of images that are held as floats at a time; all of Pathfinder's would take 1.3 GB."""


@dataclass(frozen=True)
class TrivialLevel:
    """The `accuracy` (0 to 1) on the test split of the baseline called `name`."""

    name: str
    accuracy: float

    def __str__(self) -> str:
        return f"{self.name}: {self.accuracy:.1%}"


def trivial_levels(task: TaskData) -> tuple[TrivialLevel, ...]:
    """Compute the levels that `task` names, on its data; raises `TaskError` for a name that is not in `LEVELS`."""
    for name in task.levels:
        if name not in LEVELS:
            raise TaskError(unknown_name("trivial level", name, LEVELS))
    return tuple(LEVELS[name](task.train, task.test) for name in task.levels)


def commonest_label(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Always guess the commonest label of `train`; scored on `test`."""
    guess = np.bincount(train.labels).argmax()
    return TrivialLevel("commonest label", float(np.mean(test.labels == guess)))


def root_operator(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Guess from the first operator of ListOps, or from the first token of other tasks; scored on `test`.

    The guess is the commonest label of the training sequences with the same first operator. If there are none, it is
    the commonest label of all.
    """
    train_roots, test_roots = _roots(train), _roots(test)
    vocabulary = 1 + max(int(train_roots.max()), int(test_roots.max()))
    counts = np.zeros((vocabulary, int(train.labels.max()) + 1), dtype=np.int64)
    np.add.at(counts, (train_roots, train.labels), 1)
    unseen = ~counts.any(axis=1)
    counts[unseen] = counts.sum(axis=0)
    guesses = counts.argmax(axis=1)[test_roots]
    return TrivialLevel("root operator alone", float(np.mean(test.labels == guesses)))


def root_digits(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """ListOps: apply the root operator to its own digits and ignore the lists inside it; scored on `test`.

    If the root operator has no digit of its own, guess the commonest label of `train`.
    """
    fallback = int(np.bincount(train.labels).argmax())
    values = [value_of_top(test.sequence(index), levels=1) for index in range(len(test))]
    guesses = [fallback if value is None else value for value in values]
    return TrivialLevel("root operator on its own digits", float(np.mean(test.labels == guesses)))


def naive_bayes(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Bytes: multinomial naive Bayes on ASCII words in lower case, with add-one smoothing; scored on `test`."""
    return _naive_bayes(train, test, _words)


def naive_bayes_any_script(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """As `naive_bayes`, on words of the letters of any script, such as Greek; scored on `test`."""
    return _naive_bayes(train, test, _words_of_any_script)


def _naive_bayes(
    train: TokenDataset, test: TokenDataset, words_of: Callable[[TokenDataset], Iterator[list[Any]]]
) -> TrivialLevel:
    classes = int(train.labels.max()) + 1
    counts: list[Counter[Any]] = [Counter() for _ in range(classes)]
    for words, label in zip(words_of(train), train.labels, strict=True):
        counts[label].update(words)
    known = sorted(set().union(*counts))
    place = {word: row for row, word in enumerate(known)}
    if not known:
        # Texts of punctuation alone: the labels are all that is left.
        return TrivialLevel("naive Bayes on words", commonest_label(train, test).accuracy)
    weights = np.log([[counts[label][word] + 1 for label in range(classes)] for word in known])
    weights -= np.log(np.exp(weights).sum(axis=0))
    priors = np.log(np.bincount(train.labels, minlength=classes) / len(train))
    right = 0
    for words, label in zip(words_of(test), test.labels, strict=True):
        rows = [row for word in words if (row := place.get(word)) is not None]
        right += int((priors + weights[rows].sum(axis=0)).argmax() == label)
    return TrivialLevel("naive Bayes on words", right / len(test))


def linear_probe(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Images of one size: ridge regression of the labels on the grey values; scored on `test`."""
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    pixels = int(train.lengths[0])
    gram, target = np.zeros((pixels + 1, pixels + 1)), np.zeros((pixels + 1, classes))
    for images, labels in _image_chunks(train):
        gram += images.T @ images
        target += images.T @ np.eye(classes)[labels]
    # The last column is the intercept; the ridge does not apply to it.
    gram[np.arange(pixels), np.arange(pixels)] += _RIDGE
    weights = np.linalg.solve(gram, target)
    right = sum(int(np.sum((images @ weights).argmax(axis=1) == labels)) for images, labels in _image_chunks(test))
    return TrivialLevel("linear probe on pixels", right / len(test))


def shared_words(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Pairs of documents: answer yes if they share enough words that are rare in `train`; scored on `test`.

    A word weighs log(documents / documents with the word), counted in `train`. The threshold is the best for `train`.
    """
    frequency = Counter(word for pair in _word_pairs(train) for words in pair for word in words)
    documents = 2 * len(train)

    def overlaps(dataset: TokenDataset) -> np.ndarray:
        return np.array([_overlap(first, second, frequency, documents) for first, second in _word_pairs(dataset)])

    scores = overlaps(train)
    order = np.argsort(-scores, kind="stable")
    gains = np.concatenate([[0], np.cumsum(np.where(train.labels[order] == 1, 1, -1))])
    # No threshold separates equal scores.
    gains[1:-1][scores[order][:-1] == scores[order][1:]] = -len(train)
    cut = int(gains.argmax())
    threshold = np.inf if cut == 0 else scores[order][cut - 1]
    return TrivialLevel("shared rare words", float(np.mean((overlaps(test) >= threshold) == (test.labels == 1))))


def shown_values(train: TokenDataset, test: TokenDataset) -> TrivialLevel:
    """Copy and recall: guess the commonest value of the sequence, at any place; scored on `test`."""
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    values = [test.sequence(index).astype(int) - FIRST_VALUE for index in range(len(test))]
    guesses = [np.bincount(value[(value >= 0) & (value < classes)]).argmax() for value in values]
    return TrivialLevel("commonest of the values shown", float(np.mean(test.labels == guesses)))


LEVELS: dict[str, Callable[[TokenDataset, TokenDataset], TrivialLevel]] = {
    level.__name__: level
    for level in (
        commonest_label,
        root_operator,
        root_digits,
        naive_bayes,
        naive_bayes_any_script,
        linear_probe,
        shared_words,
        shown_values,
    )
}
"""The trivial levels by name, for the `levels` of a task."""


def _roots(dataset: TokenDataset) -> np.ndarray:
    """The first token of each sequence that is not a round bracket; shape (sequence,)."""
    roots = dataset.first_tokens.copy()
    for index in np.flatnonzero(roots > CLOSE):
        sequence = dataset.sequence(int(index))
        roots[index] = next((token for token in sequence if token <= CLOSE), roots[index])
    return roots


def _words(dataset: TokenDataset) -> Iterator[list[bytes]]:
    for index in range(len(dataset)):
        yield _WORD.findall(to_bytes(dataset.sequence(index)).lower())


def _words_of_any_script(dataset: TokenDataset) -> Iterator[list[str]]:
    for index in range(len(dataset)):
        yield re.findall(r"\w+", to_bytes(dataset.sequence(index)).decode(errors="replace").lower())


def _word_pairs(dataset: TokenDataset) -> Iterator[tuple[set[bytes], set[bytes]]]:
    for index in range(len(dataset)):
        first, second = split_pair(dataset.sequence(index))
        yield set(_WORD.findall(to_bytes(first).lower())), set(_WORD.findall(to_bytes(second).lower()))


def _overlap(first: set[bytes], second: set[bytes], frequency: Counter[bytes], documents: int) -> float:
    return sum(np.log(documents / max(frequency[word], 1)) for word in first & second)


def _image_chunks(dataset: TokenDataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Grey values from 0 to 1 with a column of ones, shape (image, pixel + 1), and labels, part by part."""
    images = dataset.tokens.reshape(len(dataset), -1)
    for start in range(0, len(images), _CHUNK):
        chunk = (images[start : start + _CHUNK].astype(np.float64) - PIXEL_SHIFT) / 255
        yield np.hstack([chunk, np.ones((len(chunk), 1))]), dataset.labels[start : start + _CHUNK]
