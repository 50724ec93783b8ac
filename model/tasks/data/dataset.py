"""A classification task: labelled token sequences in three splits.

Token 0 is padding in every task and never occurs inside a sequence. `model.tasks.data.store` writes a task to a folder.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmaat.base.errors import RmaatError
from rmaat.base.records import OneOf

PADDING = 0
SPLITS = ("train", "validation", "test")
ARRAYS = ("tokens", "offsets", "labels")


class TaskError(RmaatError):
    """Task data that is missing, malformed or inconsistent."""


class TaskParameters(OneOf):
    """The settings of a task: the base of one class per task, whose `kind` is the task's name on the command line."""

    default_kind: ClassVar[str] = "listops"


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Places where sequences of these `lengths` begin and end in one array; shape (sequence + 1,), int64."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


@dataclass(frozen=True, eq=False)
class TokenDataset:
    """Labelled sequences, concatenated in one array.

    Attributes
    ----------
    tokens
        Shape (token,), uint8, or uint16 if a task has more than 256 ids; all sequences one after the other.
    offsets
        Shape (sequence + 1,), int64; sequence i is `tokens[offsets[i] : offsets[i + 1]]`.
    labels
        Shape (sequence,), int64 or uint8, from 0.

    Raises
    ------
    TaskError
        An array has another type or shape, or the arrays contradict each other.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        _check_kinds(self.tokens, self.offsets, self.labels)
        _check_offsets(self.tokens, self.offsets, self.labels)
        if (lowest := int(self.labels.min())) < 0:
            raise TaskError(f"label {lowest} is negative; labels are counted from 0")
        if not self.tokens.all():
            place = int(np.flatnonzero(self.tokens == PADDING)[0])
            sequence = int(np.searchsorted(self.offsets, place, side="right")) - 1
            raise TaskError(
                f"sequence {sequence} holds token {PADDING}, which is reserved for padding; renumber its tokens"
            )

    @classmethod
    def from_sequences(cls, sequences: list[bytes], labels: list[int]) -> Self:
        """Join `sequences`, one byte per token, and their `labels`; raises `TaskError` as the class does."""
        tokens = np.frombuffer(b"".join(sequences), dtype=np.uint8)
        return cls(tokens, offsets_of([len(sequence) for sequence in sequences]), np.array(labels, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each sequence; shape (sequence,), int64."""
        return np.diff(self.offsets)

    @property
    def first_tokens(self) -> np.ndarray:
        """The first token of each sequence; shape (sequence,)."""
        return self.tokens[self.offsets[:-1]]

    def sequence(self, index: int) -> np.ndarray:
        """View sequence `index`, shape (token,); raises `IndexError` outside 0..n-1."""
        # A negative index would join the wrong pair of offsets.
        if not 0 <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, eq=False)
class TaskData:
    """One task: its name, the origin of its data, its vocabulary and its three splits.

    Attributes
    ----------
    name, origin
        For reports: "ListOps"; "official files", "regenerated, n = 100,000, ..." or "stand-in, ...".
    symbols
        The printable meaning of each token id, padding included; their number is the size of the vocabulary.
    classes
        Number of labels; labels are 0..classes-1.
    separator
        The token between the two documents of each sequence, or None if a sequence is one document.
    levels
        Names of the trivial levels (`model.tasks.trivial_levels.LEVELS`) to compare an accuracy with.
    labels
        The name of each label, in their order; empty if labels have no names but their numbers.

    Raises
    ------
    TaskError
        A token has no symbol, a label is not a class, a symbol cannot be printed, or labels are not one per class.
    """

    name: str
    origin: str
    symbols: tuple[str, ...]
    classes: int
    train: TokenDataset
    validation: TokenDataset
    test: TokenDataset
    separator: int | None = None
    levels: tuple[str, ...] = ("commonest_label",)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels and len(set(self.labels)) != self.classes:
            raise TaskError(f"{len(set(self.labels))} names of labels for {self.classes} labels; give each its own")
        for token, symbol in enumerate(self.symbols):
            if not symbol.isprintable():
                raise TaskError(f"the symbol of token {token} is {symbol!r}; it must be printable text")
        for split, dataset in self.splits.items():
            _check_range(f"the {split} split has token", dataset.tokens, self.vocabulary)
            _check_range(f"the {split} split has label", dataset.labels, self.classes)

    @property
    def splits(self) -> dict[str, TokenDataset]:
        """The three splits by name."""
        return {split: getattr(self, split) for split in SPLITS}

    @property
    def vocabulary(self) -> int:
        """Number of token ids, padding included."""
        return len(self.symbols)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence of all splits."""
        return max(int(dataset.lengths.max()) for dataset in self.splits.values())

    def sha256(self) -> str:
        """The SHA-256 digest of all tokens, offsets and labels, split by split."""
        digest = hashlib.sha256()
        for dataset in self.splits.values():
            for array in (dataset.tokens, dataset.offsets, dataset.labels.astype(np.int64)):
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def held_out_rows(count: int, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `held_out` of `count` rows to validate on; return these and the rows to learn from, both in rising order.

    Raises
    ------
    TaskError
        No row would be left to learn from.
    """
    if held_out >= count:
        raise TaskError(f"validation_size is {held_out}, but there are {count} rows to learn from; lower it")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:held_out]), np.sort(order[held_out:])


def _check_kinds(tokens: np.ndarray, offsets: np.ndarray, labels: np.ndarray) -> None:
    """Refuse arrays of another type or number of dimensions."""
    if tokens.ndim != 1 or tokens.dtype not in (np.uint8, np.uint16):
        raise TaskError(f"tokens are {_form(tokens)}; they must be one-dimensional, of uint8 or uint16")
    if offsets.ndim != 1 or offsets.dtype != np.int64:
        raise TaskError(f"offsets are {_form(offsets)}; they must be one-dimensional, of int64")
    if labels.ndim != 1 or labels.dtype not in (np.int64, np.uint8):
        raise TaskError(f"labels are {_form(labels)}; they must be one-dimensional, of int64 or uint8")


def _check_offsets(tokens: np.ndarray, offsets: np.ndarray, labels: np.ndarray) -> None:
    """Refuse offsets that do not cut the tokens into one sequence per label."""
    if len(labels) == 0:
        raise TaskError("the dataset has no sequence; it needs at least one")
    if len(offsets) != len(labels) + 1:
        raise TaskError(f"{len(offsets)} offsets for {len(labels)} labels; there must be {len(labels) + 1}")
    if offsets[0] != 0 or offsets[-1] != len(tokens):
        raise TaskError(f"offsets run from {offsets[0]} to {offsets[-1]}; they must run from 0 to {len(tokens)}")
    # Compare instead of subtracting: the difference of hostile offsets can overflow and look positive.
    rising = offsets[:-1] < offsets[1:]
    if not rising.all():
        raise TaskError(f"sequence {int(np.argmin(rising))} is empty or ends before it starts; offsets must rise")


def _check_range(what: str, values: np.ndarray, limit: int) -> None:
    """Refuse `values` outside 0..limit-1."""
    for value in (int(values.min()), int(values.max())):
        if not 0 <= value < limit:
            raise TaskError(f"{what} {value}; it must be between 0 and {limit - 1}")


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
