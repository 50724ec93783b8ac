"""Diagnostics: three tasks that require memory across segments, at any length; all are ours.

copy      x1 ... xn  . . .  ? k   ->  xk          which value is at place k of the beginning?
recall    k1 v1 ... kn vn  . . .  ? kj   ->  vj   which value follows this key?
needle    . . ! v . . .  ?   ->  v                which value follows the mark, somewhere in noise?

The dots are noise. At least `gap` tokens separate the answer from the question. If `gap` is at least the length of a
model's segment, the answer must pass through its memory. Without it, chance accuracy is 1 / `values`.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model.tasks.data.dataset import SPLITS, TaskData, TaskParameters, TokenDataset, offsets_of
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import ParameterError, parameter

_QUESTION, _MARK, _NOISE = 1, 2, 3
_NOISES = 8
FIRST_VALUE = _NOISE + _NOISES


@dataclass(frozen=True)
class DiagnosticParameters(TaskParameters):
    """The settings that the three tasks share.

    Raises
    ------
    ParameterError
        As `Record`, or the sequence is too short for its items, gap and question.
    """

    levels: ClassVar[tuple[str, ...]] = ("commonest_label",)
    """names of the trivial levels to compare an accuracy with"""

    length: int = parameter(512, "tokens of every sequence", unit="token", low=4, high=2**24)
    gap: int = parameter(128, "least tokens between an item and the question", unit="token", low=0, high=2**24)
    values: int = parameter(10, "values that can be asked for", low=2, high=100)
    shortest_length: int = parameter(
        0,
        "training sequences also have a half, a quarter, ... of `length` down to this many tokens, with gaps in "
        "proportion, and each length has the same number of tokens; 0: all training sequences have `length` tokens",
        unit="token",
        low=0,
        high=2**24,
    )
    train_size: int = parameter(20_000, "training sequences", low=1, high=1e8)
    validation_size: int = parameter(1_000, "validation sequences", low=1, high=1e8)
    test_size: int = parameter(2_000, "test sequences", low=1, high=1e8)
    data_seed: int = parameter(0, "seed of the generator", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.shortest_length <= self.length // 2:
            # The shortest training sequences must hold items, gap and question too; this checks them.
            dataclasses.replace(self, length=self.length // 2, gap=self.gap // 2)
        if self.length < (least := self.items_length + self.gap + self.question_length):
            raise ParameterError(
                f"length is {self.length} tokens; items, gap and question take {least}: raise length or lower gap"
            )

    @property
    def items_length(self) -> int:
        """Number of tokens of the items."""
        return 2

    @property
    def question_length(self) -> int:
        """Number of tokens of the question, at the very end."""
        return 2

    @property
    def places(self) -> int:
        """Number of tokens before the gap and the question, where items can be."""
        return self.length - self.question_length - self.gap


@dataclass(frozen=True)
class CopyParameters(DiagnosticParameters):
    """The sequences of the task Copy."""

    kind: ClassVar[str] = "copy"
    levels: ClassVar[tuple[str, ...]] = ("commonest_label", "shown_values")

    items: int = parameter(8, "values at the beginning", low=1, high=100)

    @property
    def items_length(self) -> int:
        """One token per value."""
        return self.items


@dataclass(frozen=True)
class RecallParameters(DiagnosticParameters):
    """The keys and values of the task Recall."""

    kind: ClassVar[str] = "recall"
    levels: ClassVar[tuple[str, ...]] = ("commonest_label", "shown_values")

    items: int = parameter(8, "pairs of key and value at the beginning; no key comes twice", low=1, high=100)

    @property
    def items_length(self) -> int:
        """Two tokens per pair."""
        return 2 * self.items


@dataclass(frozen=True)
class NeedleParameters(DiagnosticParameters):
    """The sequences of the task Needle; the needle is anywhere before the gap."""

    kind: ClassVar[str] = "needle"

    @property
    def question_length(self) -> int:
        """One token: the question mark."""
        return 1


def generate(parameters: DiagnosticParameters, progress: Progress = ignore_progress) -> TaskData:
    """Generate the task that `parameters` describe.

    Every split has its own seed, so the size of one does not change the others.
    """
    splits = {}
    for number, split in enumerate(SPLITS):
        random = np.random.default_rng((parameters.data_seed, number))
        lengths = training_lengths(parameters) if split == "train" else [parameters]
        splits[split] = _draw(lengths, getattr(parameters, f"{split}_size"), random)
        progress((number + 1) / len(SPLITS))
    settings = ", ".join(f"{name} {value}" for name, value in parameters.to_dict().items() if name != "kind")
    return TaskData(
        parameters.kind.capitalize(),
        f"generated: {settings}",
        _symbols(parameters),
        parameters.values,
        **splits,
        levels=parameters.levels,
    )


def training_lengths(parameters: DiagnosticParameters) -> list[DiagnosticParameters]:
    """`parameters` with each length and gap of the training sequences, the longest first.

    With several lengths, a model learns the task inside one segment first, and then learns to carry it over more
    segments. On the full length alone it stays at the guess: a memory that carries nothing yet has a useless gradient.
    """
    lengths = [parameters]
    while parameters.shortest_length and lengths[-1].length // 2 >= parameters.shortest_length:
        lengths.append(dataclasses.replace(parameters, length=lengths[-1].length // 2, gap=lengths[-1].gap // 2))
    return lengths


def answer_distances(parameters: DiagnosticParameters, dataset: TokenDataset) -> np.ndarray:
    """The number of tokens from the answer to the end of each sequence; shape (sequence,).

    `dataset` is a split of the task that `parameters` describe.
    """
    tokens = dataset.tokens.reshape(len(dataset), parameters.length)
    if parameters.kind == "needle":
        places = (tokens == _MARK).argmax(axis=1) + 1
    elif parameters.kind == "recall":
        keys = tokens[:, 0 : parameters.items_length : 2]
        places = 2 * (keys == tokens[:, -1:]).argmax(axis=1) + 1
    else:
        places = tokens[:, -1].astype(np.int64) - FIRST_VALUE - parameters.values
    return parameters.length - 1 - places


def _symbols(parameters: DiagnosticParameters) -> tuple[str, ...]:
    noise = [f"noise {number}" for number in range(_NOISES)]
    values = [f"value {number}" for number in range(parameters.values)]
    keys = [f"key {number}" for number in range(getattr(parameters, "items", 0))]
    return ("", "?", "!", *noise, *values, *keys)


def _draw(lengths: list[DiagnosticParameters], size: int, random: np.random.Generator) -> TokenDataset:
    """Draw `size` sequences, with the same number of tokens of each of `lengths`."""
    shares = np.array([1 / parameters.length for parameters in lengths])
    ends = np.rint(size * np.cumsum(shares) / shares.sum()).astype(int)
    counts = np.diff(ends, prepend=0)
    parts = [_draw_length(*drawn, random) for drawn in zip(lengths, counts.tolist(), strict=True)]
    lengths_drawn = np.concatenate([np.full(len(tokens), tokens.shape[1]) for tokens, _ in parts])
    return TokenDataset(
        np.concatenate([tokens.reshape(-1) for tokens, _ in parts]),
        offsets_of(lengths_drawn),
        np.concatenate([labels for _, labels in parts]).astype(np.uint8),
    )


def _draw_length(
    parameters: DiagnosticParameters, size: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `size` sequences of one length; return tokens (sequence, token) and labels (sequence,)."""
    tokens = random.integers(_NOISE, FIRST_VALUE, (size, parameters.length), dtype=np.uint8)
    tokens[:, -parameters.question_length] = _QUESTION
    write: Callable[..., np.ndarray] = {"copy": _copy, "recall": _recall, "needle": _needle}[parameters.kind]
    return tokens, write(parameters, tokens, random)


def _copy(parameters: CopyParameters, tokens: np.ndarray, random: np.random.Generator) -> np.ndarray:
    values = random.integers(parameters.values, size=(len(tokens), parameters.items))
    asked = random.integers(parameters.items, size=len(tokens))
    tokens[:, : parameters.items] = FIRST_VALUE + values
    tokens[:, -1] = FIRST_VALUE + parameters.values + asked
    return values[np.arange(len(tokens)), asked]


def _recall(parameters: RecallParameters, tokens: np.ndarray, random: np.random.Generator) -> np.ndarray:
    rows = np.arange(len(tokens))
    values = random.integers(parameters.values, size=(len(tokens), parameters.items))
    keys = random.permuted(np.tile(np.arange(parameters.items), (len(tokens), 1)), axis=1)
    asked = random.integers(parameters.items, size=len(tokens))
    tokens[:, 0 : 2 * parameters.items : 2] = FIRST_VALUE + parameters.values + keys
    tokens[:, 1 : 2 * parameters.items : 2] = FIRST_VALUE + values
    tokens[:, -1] = FIRST_VALUE + parameters.values + keys[rows, asked]
    return values[rows, asked]


def _needle(parameters: NeedleParameters, tokens: np.ndarray, random: np.random.Generator) -> np.ndarray:
    rows, places = np.arange(len(tokens)), random.integers(parameters.places - 1, size=len(tokens))
    values = random.integers(parameters.values, size=len(tokens))
    tokens[rows, places], tokens[rows, places + 1] = _MARK, FIRST_VALUE + values
    return values
