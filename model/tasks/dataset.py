"""A classification task as token sequences: three splits in memory, one `.npz` file on disk.

Token 0 is padding in every task and never stands inside a sequence.
"""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from rmaat.errors import RmaatError
from rmaat.files import write_bytes

PADDING = 0
SPLITS = ("train", "validation", "test")
FILE_VERSION = 1

# What numpy and zipfile raise for a file that is not what `save` wrote.
_UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError)


class TaskError(RmaatError):
    """Task data that is missing, malformed or contradicts itself."""


@dataclass(frozen=True, eq=False)
class TokenDataset:
    """Labelled sequences, all in one array.

    Attributes
    ----------
    tokens
        Shape (token,), uint8, or uint16 where a task has more than 256 ids; all sequences one after the other.
    offsets
        Shape (sequence + 1,), int64; sequence i is `tokens[offsets[i] : offsets[i + 1]]`.
    labels
        Shape (sequence,), int64 or uint8, from 0.

    Raises
    ------
    TaskError
        The arrays are of another type or shape, or contradict one another.
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
                f"sequence {sequence} holds token {PADDING}, which is kept for padding; renumber its tokens"
            )

    @classmethod
    def from_sequences(cls, sequences: list[bytes], labels: list[int]) -> Self:
        """The dataset of `sequences`, one byte a token, and their `labels`; raises `TaskError` as the class does."""
        offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        tokens = np.frombuffer(b"".join(sequences), dtype=np.uint8)
        return cls(tokens, offsets, np.array(labels, dtype=np.int64))

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
        """Sequence `index` as a view of shape (token,); raises `IndexError` outside 0..n-1."""
        # A negative index would join the wrong pair of offsets.
        if not 0 <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, eq=False)
class TaskData:
    """One task: what it is, where its data come from, its three splits.

    Attributes
    ----------
    name, origin
        For reports: "ListOps"; "generated, seed 0, ..." or "official files".
    symbols
        What each token id stands for, padding included, printable; their number is the size of the vocabulary.
    classes
        Number of labels; labels are 0..classes-1.

    Raises
    ------
    TaskError
        A split holds a token without a symbol or a label that is no class, or a symbol cannot be printed.
    """

    name: str
    origin: str
    symbols: tuple[str, ...]
    classes: int
    train: TokenDataset
    validation: TokenDataset
    test: TokenDataset

    def __post_init__(self) -> None:
        # NumPy drops null characters at the end of a text, so such a symbol would not survive the file.
        for token, symbol in enumerate(self.symbols):
            if not symbol.isprintable():
                raise TaskError(f"the symbol of token {token} is {symbol!r}; it must be printable text")
        for split in SPLITS:
            dataset = getattr(self, split)
            _check_range(f"the {split} split has token", dataset.tokens, self.vocabulary)
            _check_range(f"the {split} split has label", dataset.labels, self.classes)

    @property
    def vocabulary(self) -> int:
        """Number of token ids, padding included."""
        return len(self.symbols)

    def sha256(self) -> str:
        """Digest of all tokens, lengths and labels, split by split."""
        digest = hashlib.sha256()
        for split in SPLITS:
            dataset: TokenDataset = getattr(self, split)
            for array in (dataset.tokens, dataset.offsets, dataset.labels.astype(np.int64)):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write one uncompressed `.npz` whole or not at all; equal data give equal bytes. Raises `FileError`."""
        arrays: dict[str, Any] = {
            "version": np.int64(FILE_VERSION),
            "name": np.str_(self.name),
            "origin": np.str_(self.origin),
            "symbols": np.array(self.symbols, dtype=np.str_),
            "classes": np.int64(self.classes),
        }
        for split in SPLITS:
            for array in ("tokens", "offsets", "labels"):
                arrays[f"{split}_{array}"] = getattr(getattr(self, split), array)
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_bytes(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; nothing in the file is ever executed.

        Raises
        ------
        TaskError
            The file cannot be read, is not of this form or contradicts itself; the file is named.
        """
        try:
            return cls._from_arrays(_read_arrays(path))
        except TaskError as error:
            raise TaskError(f"{path}: {error}") from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        if (version := _number(arrays, "version")) != FILE_VERSION:
            raise TaskError(f"a task file of version {version}, this program reads {FILE_VERSION}; make the file anew")
        symbols = _member(arrays, "symbols")
        if symbols.ndim != 1 or symbols.dtype.kind != "U":
            raise TaskError(f"'symbols' is {_form(symbols)}; it must be a row of text")
        splits = {
            split: TokenDataset(*(_member(arrays, f"{split}_{array}") for array in ("tokens", "offsets", "labels")))
            for split in SPLITS
        }
        return cls(
            _text(arrays, "name"),
            _text(arrays, "origin"),
            tuple(symbols.tolist()),
            _number(arrays, "classes"),
            **splits,
        )


def _check_kinds(tokens: np.ndarray, offsets: np.ndarray, labels: np.ndarray) -> None:
    """Refuse what is not a row of the right type."""
    if tokens.ndim != 1 or tokens.dtype not in (np.uint8, np.uint16):
        raise TaskError(f"tokens are {_form(tokens)}; they must be a row of uint8 or uint16")
    if offsets.ndim != 1 or offsets.dtype != np.int64:
        raise TaskError(f"offsets are {_form(offsets)}; they must be a row of int64")
    if labels.ndim != 1 or labels.dtype not in (np.int64, np.uint8):
        raise TaskError(f"labels are {_form(labels)}; they must be a row of int64 or uint8")


def _check_offsets(tokens: np.ndarray, offsets: np.ndarray, labels: np.ndarray) -> None:
    """Refuse offsets that do not cut the tokens into one sequence a label."""
    if len(labels) == 0:
        raise TaskError("the dataset has no sequence; it needs at least one")
    if len(offsets) != len(labels) + 1:
        raise TaskError(f"{len(offsets)} offsets for {len(labels)} labels; there must be {len(labels) + 1}")
    if offsets[0] != 0 or offsets[-1] != len(tokens):
        raise TaskError(f"offsets run from {offsets[0]} to {offsets[-1]}; they must run from 0 to {len(tokens)}")
    # Compared, not subtracted: a difference of hostile offsets can overflow and look positive.
    rising = offsets[:-1] < offsets[1:]
    if not rising.all():
        raise TaskError(f"sequence {int(np.argmin(rising))} is empty or ends before it starts; offsets must rise")


def _check_range(what: str, values: np.ndarray, limit: int) -> None:
    """Refuse `values` outside 0..limit-1."""
    for value in (int(values.min()), int(values.max())):
        if not 0 <= value < limit:
            raise TaskError(f"{what} {value}; it must lie between 0 and {limit - 1}")


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, pickles refused."""
    try:
        # Opened here, for NumPy leaves a damaged file open.
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise TaskError("not a task file (.npz), but a lone array; make it anew")
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise TaskError(f"cannot be read ({error.strerror or error})") from error
    except _UNREADABLE as error:
        raise TaskError("not a task file (.npz), or a damaged one; make it anew") from error


def _member(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise TaskError(f"the file has no {name!r}; make it anew")
    return arrays[name]


def _number(arrays: dict[str, np.ndarray], name: str) -> int:
    value = _member(arrays, name)
    if value.ndim or value.dtype.kind not in "iu":
        raise TaskError(f"{name!r} is {_form(value)}; it must be one whole number")
    return int(value)


def _text(arrays: dict[str, np.ndarray], name: str) -> str:
    value = _member(arrays, name)
    if value.ndim or value.dtype.kind != "U":
        raise TaskError(f"{name!r} is {_form(value)}; it must be one text")
    return str(value)


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"
