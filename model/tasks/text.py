"""Text: is a film review positive or negative? IMDb reviews in their official split, read byte by byte.

Source: Maas et al., Learning Word Vectors for Sentiment Analysis (ACL 2011), as Tay et al., Long Range Arena (arXiv
2011.04006), read it. LRA validates on the test set; we hold out a part of the training reviews instead.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from model.tasks.data import hub, imdb
from model.tasks.data.dataset import TaskData, TaskParameters, TokenDataset, held_out_rows
from model.tasks.data.encoding import BYTE_SYMBOLS, from_bytes
from model.tasks.data.imdb import Review, read_reviews
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import Source, parameter

CLASSES = 2
LABELS = ("negative", "positive")
LEVELS = ("commonest_label", "naive_bayes")
SOURCES = f"{imdb.FILES}, or hf:stanfordnlp/imdb, its {hub.FORMS}"


@dataclass(frozen=True)
class TextParameters(TaskParameters):
    """How the reviews are read."""

    kind: ClassVar[str] = "text"

    longest_length: int = parameter(
        4000, "a review is cut to this many bytes", unit="token", low=1, high=1e6, source=Source.BENCHMARK
    )
    validation_size: int = parameter(2500, "training reviews held out for validation", low=1, high=1e8)
    data_seed: int = parameter(0, "seed of the choice of held-out reviews", low=0, high=2**63 - 1)


def read(parameters: TextParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """Read the task from `source`, which `SOURCES` describes.

    Raises
    ------
    TaskError
        Files are missing or malformed, or the held-out part leaves nothing to learn from.
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
    return TaskData("Text", origin, BYTE_SYMBOLS, CLASSES, **splits, separator=None, levels=LEVELS, labels=LABELS)


def encode(parameters: TextParameters, text: str) -> bytes:  # noqa: ARG001 (all tasks have one form)
    """The token ids of a whole review, one per byte; raises `TaskError` if it is empty."""
    content = text.encode(errors="replace")
    return from_bytes(content, len(content))


def _dataset(reviews: list[Review], longest: int) -> TokenDataset:
    sequences = [from_bytes(review.text, longest) for review in reviews]
    return TokenDataset.from_sequences(sequences, [review.label for review in reviews])
