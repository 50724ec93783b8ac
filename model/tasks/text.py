"""Text: is a film review for or against, read as bytes? IMDb reviews in their official split.

Source: Maas et al., Learning Word Vectors for Sentiment Analysis (ACL 2011), as Tay et al., Long Range Arena (arXiv
2011.04006), read it. LRA validates on the test set; here a part of the training reviews is held out instead.
"""

import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.tasks.data import hub
from model.tasks.data.dataset import TaskData, TaskError, TokenDataset
from model.tasks.data.encoding import BYTE_SYMBOLS, from_bytes
from model.tasks.data.settings import TaskParameters
from model.tasks.data.sources import read_file, read_members
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter

CLASSES = 2
LEVELS = ("commonest_label", "naive_bayes")
SOURCES = (
    "aclImdb_v1.tar.gz or the folder aclImdb in it (ai.stanford.edu/~amaas/data/sentiment), "
    "or a folder with train.tsv.xz and test.tsv.xz (label, rating, id, text), or hf:stanfordnlp/imdb, its "
    f"{hub.FORMS}"
)

_MEMBER = re.compile(r"(?:^|.*/)(train|test)/(neg|pos)/\d+_\d+\.txt$")


@dataclass(frozen=True)
class TextParameters(TaskParameters):
    """How the reviews are read."""

    kind: ClassVar[str] = "text"

    longest_length: int = parameter(
        4000, "a review is cut to this many bytes", unit="token", low=1, high=1e6, source=Source.BENCHMARK
    )
    validation_size: int = parameter(2500, "training reviews held out to choose by", low=1, high=1e8)
    data_seed: int = parameter(0, "seed of the choice of held-out reviews", low=0, high=2**63 - 1)


@dataclass(frozen=True)
class Review:
    """A review in UTF-8 and its label: 0 against, 1 for."""

    text: bytes
    label: int


def read(parameters: TextParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """The task from `source`, which `SOURCES` describes.

    Raises
    ------
    TaskError
        Files are missing or not of their form, or nothing would be left to learn from.
    """
    reviews = read_reviews(source, progress)
    held_out, rest = held_out_rows(len(reviews["train"]), parameters.validation_size, parameters.data_seed)
    parts = {
        "train": [reviews["train"][row] for row in rest],
        "validation": [reviews["train"][row] for row in held_out],
        "test": reviews["test"],
    }
    origin = f"{hub.origin(source)}, our validation split of seed {parameters.data_seed}"
    splits = {name: _dataset(part, parameters.longest_length) for name, part in parts.items()}
    return TaskData("Text", origin, BYTE_SYMBOLS, CLASSES, **splits, separator=None, levels=LEVELS)


def read_reviews(source: Path, progress: Progress = ignore_progress) -> dict[str, list[Review]]:
    """All reviews of both splits in a fixed order; raises `TaskError` as `read`."""
    if hub.is_hub(source):
        return {split: _labelled(rows, split, source) for split, rows in hub.read_texts(source, progress).items()}
    if (source / "train.tsv.xz").exists():
        return {split: _read_table(source / f"{split}.tsv.xz") for split in ("train", "test")}
    reviews: dict[str, list[Review]] = {"train": [], "test": []}
    for name, content in read_members(source, lambda name: _MEMBER.match(name) is not None, progress).items():
        match = _MEMBER.match(name)
        assert match is not None
        reviews[match[1]].append(Review(content, int(match[2] == "pos")))
    for split, found in reviews.items():
        if not found:
            raise TaskError(f"{source} holds no {split} reviews; --source must be {SOURCES}")
    return reviews


def held_out_rows(count: int, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to validate on and rows to learn from, both rising; raises `TaskError` where none would be left to learn."""
    if held_out >= count:
        raise TaskError(f"validation_size is {held_out}, but there are {count} rows to learn from; lower it")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:held_out]), np.sort(order[held_out:])


def _labelled(rows: list[tuple[bytes, int]], split: str, source: Path) -> list[Review]:
    for number, (_, label) in enumerate(rows):
        if label not in (0, 1):
            raise TaskError(f"{source}, row {number} of split {split}: label {label}; 0 (against) or 1 (for) is wanted")
    return [Review(text, label) for text, label in rows]


def _read_table(path: Path) -> list[Review]:
    """Rows of label, rating, id and text; a text may hold tabs."""
    try:
        lines = lzma.decompress(read_file(path)).split(b"\n")[:-1]
    except (lzma.LZMAError, EOFError) as error:
        raise TaskError(f"{path} is no .xz file, or a damaged one ({error}); get it anew") from error
    reviews = []
    for number, line in enumerate(lines, start=1):
        fields = line.split(b"\t", 3)
        if len(fields) < 4 or fields[0] not in (b"0", b"1"):
            raise TaskError(f"{path}, line {number}: not label (0 or 1), rating, id and text parted by tabs")
        reviews.append(Review(fields[3], int(fields[0])))
    return reviews


def _dataset(reviews: list[Review], longest: int) -> TokenDataset:
    sequences = [from_bytes(review.text, longest) for review in reviews]
    return TokenDataset.from_sequences(sequences, [review.label for review in reviews])
