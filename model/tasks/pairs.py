"""Tasks of two documents: LRA's Retrieval, and Same film, a stand-in with public data.

Retrieval asks whether one paper cites the other; Same film asks whether two IMDb reviews are about one film. Same film
is ours: it has the form of Retrieval, but is another task.

Sources: Radev et al., The ACL Anthology Network corpus (2013), as Tay et al., Long Range Arena (arXiv 2011.04006), read
it; `model.tasks.data.imdb` for the reviews.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.tasks.data import imdb
from model.tasks.data.dataset import TaskData, TaskError, TaskParameters, TokenDataset
from model.tasks.data.encoding import PAIR_SYMBOLS, SEPARATOR, from_bytes, join_pair, split_pair
from model.tasks.data.imdb import Review, read_reviews_and_films
from model.tasks.data.sources import read_file
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter

CLASSES = 2
LEVELS = ("commonest_label", "shared_words")
OFFICIAL_FILES = {
    "train": "new_aan_pairs.train.tsv",
    "validation": "new_aan_pairs.eval.tsv",
    "test": "new_aan_pairs.test.tsv",
}
RETRIEVAL_SOURCES = "the folder tsv_data of LRA's lra_release.gz (github.com/google-research/long-range-arena)"
SAME_FILM_SOURCES = imdb.FILES

_NEIGHBOURS = 25
"""A negative is drawn from this many reviews on either side of the replaced one, in order of length."""


@dataclass(frozen=True)
class RetrievalParameters(TaskParameters):
    """How the pairs of papers are read."""

    kind: ClassVar[str] = "retrieval"

    longest_document: int = parameter(
        4000, "each document is cut to this many bytes", unit="token", low=1, high=1e6, source=Source.BENCHMARK
    )


@dataclass(frozen=True)
class SameFilmParameters(TaskParameters):
    """Which pairs of reviews are drawn."""

    kind: ClassVar[str] = "same_film"

    longest_document: int = parameter(4000, "each review is cut to this many bytes", unit="token", low=1, high=1e6)
    train_size: int = parameter(20_000, "training pairs", low=2, high=1e6)
    validation_size: int = parameter(2_000, "validation pairs, of films held out", low=2, high=1e6)
    test_size: int = parameter(4_000, "test pairs", low=2, high=1e6)
    data_seed: int = parameter(0, "seed of the pairs", low=0, high=2**63 - 1)


def read_retrieval(parameters: RetrievalParameters, folder: Path, progress: Progress = ignore_progress) -> TaskData:
    """Read Retrieval from LRA's `new_aan_pairs.train.tsv`, `.eval.tsv` and `.test.tsv` in `folder`.

    Raises
    ------
    TaskError
        A file is missing, or a row is malformed; the message names file and row.
    """
    splits = {}
    for done, (split, name) in enumerate(OFFICIAL_FILES.items(), start=1):
        splits[split] = _read_pairs(folder / name, parameters.longest_document)
        progress(done / len(OFFICIAL_FILES))
    return _task("Retrieval", "official files", splits)


def read_same_film(parameters: SameFilmParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """Draw the pairs of Same film from the IMDb files at `source`, which `SAME_FILM_SOURCES` describes.

    Half of the pairs are reviews of one film. In the others, the second review is replaced by one of another film with
    the same sentiment and nearly the same length, so that neither gives the answer away. Validation films are not
    trained on.

    Raises
    ------
    TaskError
        Files are missing or malformed, or there are too few films.
    """
    reviews, films = read_reviews_and_films(source, progress)
    random = np.random.default_rng(parameters.data_seed)
    splits = {}
    names = random.permutation(np.unique(films["train"]))
    share = parameters.validation_size / (parameters.validation_size + parameters.train_size)
    held_out = np.isin(films["train"], names[: max(1, int(share * len(names)))])
    for split, rows, files, size in (
        ("train", np.flatnonzero(~held_out), "train", parameters.train_size),
        ("validation", np.flatnonzero(held_out), "train", parameters.validation_size),
        ("test", np.arange(len(films["test"])), "test", parameters.test_size),
    ):
        chosen = [reviews[files][row] for row in rows]
        pairs = list(draw_pairs(chosen, films[files][rows], size, random))
        splits[split] = _pair_dataset([(a.text, b.text, label) for a, b, label in pairs], parameters.longest_document)
    origin = f"stand-in for Retrieval, n = {sum(map(len, splits.values())):,}, seed {parameters.data_seed}"
    return _task("Same film", origin, splits)


def draw_pairs(
    reviews: list[Review], films: np.ndarray, size: int, random: np.random.Generator
) -> Iterator[tuple[Review, Review, int]]:
    """Draw `size` pairs of reviews, in turns of one film (label 1) and of two films (label 0).

    `films` holds the number of each review's film, shape (review,).

    Raises
    ------
    TaskError
        There are too few films, or too few reviews of one.
    """
    together = [rows for film in np.unique(films) if len(rows := np.flatnonzero(films == film)) > 1]
    if not together or len(np.unique(films)) < 2:
        raise TaskError("the films of a split are too few to pair reviews; give more reviews, or other sizes")
    sizes = np.array([len(rows) for rows in together], dtype=np.int64)
    pairs = np.cumsum(sizes * (sizes - 1))
    lengths = np.array([len(review.text) for review in reviews])
    labels = np.array([review.label for review in reviews])
    by_length = np.argsort(lengths, kind="stable")
    ranked = {label: by_length[labels[by_length] == label] for label in (0, 1)}
    for index in range(size):
        rows = together[int(np.searchsorted(pairs, random.integers(pairs[-1]), side="right"))]
        first, second = random.choice(rows, 2, replace=False)
        label = 1 - index % 2
        if label == 0:
            second = _replacement(int(second), films, lengths, ranked[int(labels[second])], random)
        yield reviews[first], reviews[second], label


def longest_document(task: TaskData) -> int:
    """The number of tokens of the longest document of a task of pairs.

    Raises
    ------
    TaskError
        The task has no separator, or a sequence is not two documents of at least one token.
    """
    if task.separator is None:
        raise TaskError(f"each sequence of {task.name} is one document, not two; choose a task of pairs")
    longest = 0
    for dataset in task.splits.values():
        for index in range(len(dataset)):
            lengths = [len(document) for document in split_pair(dataset.sequence(index), task.separator)]
            if not min(lengths):
                raise TaskError(f"sequence {index} of {task.name} has an empty document; delete its row")
            longest = max(longest, *lengths)
    return longest


def _replacement(
    row: int, films: np.ndarray, lengths: np.ndarray, ranked: np.ndarray, random: np.random.Generator
) -> int:
    """Draw a review of another film, of nearly the same length as review `row`, among the `ranked` ones.

    `ranked` holds the reviews of one label in order of length.
    """
    place = int(np.searchsorted(lengths[ranked], lengths[row]))
    reach = _NEIGHBOURS
    while True:
        near = ranked[max(0, place - reach) : place + reach]
        others = near[films[near] != films[row]]
        if len(others):
            return int(random.choice(others))
        if reach > len(ranked):
            raise TaskError("no review of another film has the same sentiment; give more reviews")
        reach *= 2


MOST_PAIRS = 2**34
"""Bytes of the largest official file; each row holds two whole papers."""


def _read_pairs(path: Path, longest: int) -> TokenDataset:
    rows = []
    for number, line in enumerate(read_file(path, MOST_PAIRS).split(b"\n"), start=1):
        if not line:
            continue
        fields = line.split(b"\t")
        if len(fields) < 5 or fields[0] not in (b"0", b"1", b"0.0", b"1.0"):
            raise TaskError(f"{path}, row {number}: not label (0 or 1), two ids and two texts separated by tabs")
        rows.append((fields[3], fields[4], int(float(fields[0]))))
    try:
        return _pair_dataset(rows, longest)
    except TaskError as error:
        raise TaskError(f"{path}: {error}") from error


def _pair_dataset(rows: list[tuple[bytes, bytes, int]], longest: int) -> TokenDataset:
    sequences = [join_pair(from_bytes(first, longest), from_bytes(second, longest)) for first, second, _ in rows]
    return TokenDataset.from_sequences(sequences, [label for _, _, label in rows])


def _task(name: str, origin: str, splits: dict[str, TokenDataset]) -> TaskData:
    return TaskData(name, origin, PAIR_SYMBOLS, CLASSES, **splits, separator=SEPARATOR, levels=LEVELS, labels=())
