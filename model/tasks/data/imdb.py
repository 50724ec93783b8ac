"""The IMDb film reviews from their authors' files: text, label and film of each.

    aclImdb/train/neg/0_3.txt            review 0 of the negative training reviews, rated 3
    aclImdb/train/urls_neg.txt           line 0 is the address of the film of review 0

Source: Maas et al., Learning Word Vectors for Sentiment Analysis (ACL 2011).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.tasks.data import hub
from model.tasks.data.dataset import TaskError
from model.tasks.data.sources import read_members
from rmaat.base.progress import Progress, ignore_progress

FILES = "aclImdb_v1.tar.gz or the folder aclImdb in it (ai.stanford.edu/~amaas/data/sentiment)"
SPLITS = ("train", "test")

_REVIEW = re.compile(r"(?:^|.*/)(train|test)/(neg|pos)/(\d+)_\d+\.txt$")
_ADDRESSES = re.compile(r"(?:^|.*/)(train|test)/urls_(neg|pos)\.txt$")
_FILM = re.compile(rb"/title/tt(\d+)")


@dataclass(frozen=True)
class Review:
    """A review in UTF-8 and its label: 0 negative, 1 positive."""

    text: bytes
    label: int


def read_reviews(source: Path, progress: Progress = ignore_progress) -> dict[str, list[Review]]:
    """The reviews of both splits from the authors' files or a form of the Hugging Face hub.

    Those of the authors' files are in the order of label, then number.

    Raises
    ------
    TaskError
        Files are missing, damaged or malformed.
    """
    if hub.is_hub(source):
        return {split: _labelled(rows, split, source) for split, rows in hub.read_texts(source, progress).items()}
    members = read_members(source, lambda name: _REVIEW.match(name) is not None, progress)
    return {split: [review for _, review in _numbered(members, split, source)] for split in SPLITS}


def read_reviews_and_films(
    source: Path, progress: Progress = ignore_progress
) -> tuple[dict[str, list[Review]], dict[str, np.ndarray]]:
    """The reviews of both splits, as `read_reviews`, and the number of the film of each; shape (review,), int64.

    Raises
    ------
    TaskError
        Files are missing, damaged or malformed, or do not name a review's film.
    """
    if hub.is_hub(source):
        raise TaskError(f"{source} does not say which film a review is about; --source must be {FILES}")
    members = read_members(source, lambda name: bool(_REVIEW.match(name) or _ADDRESSES.match(name)), progress)
    films = {}
    for name, content in members.items():
        if match := _ADDRESSES.match(name):
            films[match[1], int(match[2] == "pos")] = (name, content.splitlines())
    reviews: dict[str, list[Review]] = {}
    numbers: dict[str, np.ndarray] = {}
    for split in SPLITS:
        rows = _numbered(members, split, source)
        reviews[split] = [review for _, review in rows]
        found = [_film(films.get((split, review.label)), number, source) for number, review in rows]
        numbers[split] = np.array(found, dtype=np.int64)
    return reviews, numbers


def _numbered(members: dict[str, bytes], split: str, source: Path) -> list[tuple[int, Review]]:
    """The numbers and reviews of a split, by label and number."""
    rows = [
        (int(match[3]), Review(content, int(match[2] == "pos")))
        for name, content in members.items()
        if (match := _REVIEW.match(name)) and match[1] == split
    ]
    if not rows:
        raise TaskError(f"{source} has no {split} reviews; --source must be {FILES}")
    return sorted(rows, key=lambda row: (row[1].label, row[0]))


def _film(addresses: tuple[str, list[bytes]] | None, number: int, source: Path) -> int:
    if addresses is None:
        raise TaskError(f"{source} has no urls_neg.txt or urls_pos.txt beside its reviews; --source must be {FILES}")
    name, lines = addresses
    if number >= len(lines) or not (match := _FILM.search(lines[number])):
        raise TaskError(f"{source}: {name} has no film on line {number + 1}, for review {number}; download it again")
    return int(match[1])


def _labelled(rows: list[tuple[bytes, int]], split: str, source: Path) -> list[Review]:
    for number, (_, label) in enumerate(rows):
        if label not in (0, 1):
            raise TaskError(
                f"{source}, row {number} of split {split}: label {label}; expected 0 (negative) or 1 (positive)"
            )
    return [Review(text, label) for text, label in rows]
