"""ListOps of the Long Range Arena (LRA): generated from its grammar, or read from its files.

    [MAX 2 9 [MIN 4 7 ] 0 ]  ->  9

An expression is a digit, or an operator over two or more expressions: MIN, MAX, MED (median; of an even count the mean
of the middle two, rounded down) and SM (sum modulo 10). It is grown as a random walk: a node is an operator with a
fixed probability, otherwise a digit, and at the greatest depth always a digit. Expressions are kept when their number
of tokens lies strictly between two lengths, and when they are new.

Source: Tay et al., Long Range Arena (arXiv 2011.04006), and its generator.
"""

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np

from model.tasks.data.dataset import PADDING, TaskData, TaskError, TokenDataset
from model.tasks.data.settings import TaskParameters
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import ParameterError, Source, parameter

CLASSES = 10
FEWEST_ARGUMENTS = 2
SYMBOLS = ("", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]")
FIRST_DIGIT, FIRST_OPERATOR, CLOSE = 1, 11, 15
ROUND_OPEN, ROUND_CLOSE = 16, 17
SYMBOLS_WITH_BRACKETS = (*SYMBOLS, "(", ")")
LEVELS = ("commonest_label", "root_operator", "root_digits")

OFFICIAL_FILES = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}

# So many walks in a row without a new sample mean that the parameters hardly allow one; 0.01 % kept would still pass.
_PATIENCE = 200_000

_IDS = {symbol: token for token, symbol in enumerate(SYMBOLS) if token != PADDING}


def _median(values: list[int]) -> int:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def _sum_modulo(values: list[int]) -> int:
    return sum(values) % 10


OPERATIONS: tuple[Callable[[list[int]], int], ...] = (min, max, _median, _sum_modulo)


@dataclass(frozen=True)
class ListOpsParameters(TaskParameters):
    """Which expressions to generate and how many; the defaults are LRA's.

    Raises
    ------
    ParameterError
        As `Record`, or no length lies strictly between the two bounds.
    """

    kind: ClassVar[str] = "listops"

    shortest_length: int = parameter(
        500, "samples are longer than this (LRA: 500)", unit="token", low=0, high=1e6, source=Source.BENCHMARK
    )
    longest_length: int = parameter(
        2000, "samples are shorter than this (LRA: 2000)", unit="token", low=2, high=1e6, source=Source.BENCHMARK
    )
    max_depth: int = parameter(
        10, "depth at which every node is a digit, the root has 1 (LRA: 10)", low=1, high=100, source=Source.BENCHMARK
    )
    max_arguments: int = parameter(
        10, "most arguments of an operator (LRA: 10)", low=FEWEST_ARGUMENTS, high=1000, source=Source.BENCHMARK
    )
    operator_probability: float = parameter(
        0.25, "chance that a node is an operator (LRA: 0.25)", low=0, high=1, source=Source.BENCHMARK
    )
    train_size: int = parameter(
        96_000, "sequences to learn from (LRA: 96,000)", low=1, high=1e8, source=Source.BENCHMARK
    )
    validation_size: int = parameter(
        2_000, "sequences to choose by (LRA: 2,000)", low=1, high=1e8, source=Source.BENCHMARK
    )
    test_size: int = parameter(2_000, "sequences to report on (LRA: 2,000)", low=1, high=1e8, source=Source.BENCHMARK)
    data_seed: int = parameter(0, "seed of the generator (LRA sets none)", low=0, high=2**63 - 1)
    brackets: str = parameter(
        "dropped",
        "LRA's files put each step of an operator in round brackets, which say nothing new: n tokens become 3 n - 2; "
        "the lengths above count none",
        choices=("dropped", "kept"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest_length - self.shortest_length < 2:
            raise ParameterError(
                f"no length lies strictly between shortest_length {self.shortest_length} and longest_length "
                f"{self.longest_length}; set them at least 2 apart"
            )


OFFICIAL = ListOpsParameters()
SHORT = ListOpsParameters(shortest_length=20, longest_length=200, train_size=40_000, test_size=4_000)


def generate(parameters: ListOpsParameters, progress: Progress = ignore_progress) -> TaskData:
    """The task that `parameters` describe; `progress` is told the fraction done.

    Sample i depends on the seed and the grammar alone. The first samples are the test split, the next the validation
    split, so that another number of training samples leaves both as they are.

    Raises
    ------
    TaskError
        The grammar yields next to no new sample of the wanted length.
    """
    sizes = {"test": parameters.test_size, "validation": parameters.validation_size, "train": parameters.train_size}
    stream, splits = samples(parameters), {}
    stream = _counted(stream, sum(sizes.values()), progress)
    for split, size in sizes.items():
        splits[split] = _dataset([(sequence, evaluate(sequence)) for sequence in islice(stream, size)], parameters)
    settings = ", ".join(f"{name} {value}" for name, value in parameters.to_dict().items() if name != "kind")
    return _task(f"regenerated, n = {sum(sizes.values()):,}: {settings}", splits, parameters)


def _dataset(pairs: list[tuple[bytes, int]], parameters: ListOpsParameters) -> TokenDataset:
    """Sequences with their values, read as `parameters` say."""
    read = with_brackets if parameters.brackets == "kept" else bytes
    return TokenDataset.from_sequences([read(sequence) for sequence, _ in pairs], [value for _, value in pairs])


def _task(origin: str, splits: dict[str, TokenDataset], parameters: ListOpsParameters) -> TaskData:
    symbols = SYMBOLS_WITH_BRACKETS if parameters.brackets == "kept" else SYMBOLS
    return TaskData("ListOps", origin, symbols, CLASSES, **splits, separator=None, levels=LEVELS)


def samples(parameters: ListOpsParameters) -> Iterator[bytes]:
    """Without end, the samples of `parameters` in draw order, as token ids; no two are equal.

    Raises
    ------
    TaskError
        As `generate`.
    """
    # `random()` of a seeded `Random` is the one stream that Python promises to keep the same from version to version.
    draw, seen, misses = Random(parameters.data_seed).random, set[bytes](), 0
    while misses < _PATIENCE:
        tokens = walk(parameters, draw)
        misses += 1
        if parameters.shortest_length < len(tokens) < parameters.longest_length:
            digest = hashlib.blake2b(tokens, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                misses = 0
                yield bytes(tokens)
    raise TaskError(
        f"{_PATIENCE:,} expressions in a row gave none that is new and has between {parameters.shortest_length} and "
        f"{parameters.longest_length} tokens; widen the lengths, or raise max_depth or max_arguments"
    )


def _counted(stream: Iterator[bytes], total: int, progress: Progress) -> Iterator[bytes]:
    """`stream`, with `progress` told at each per cent of `total`."""
    for done, sequence in enumerate(stream, start=1):
        if done * 100 // total > (done - 1) * 100 // total:
            progress(done / total)
        yield sequence


class _TooLong(Exception):
    """The walk can no longer be kept."""


def walk(parameters: ListOpsParameters, draw: Callable[[], float]) -> bytearray:
    """One expression as token ids; where it reaches the longest length, only its beginning.

    Stopping early changes no kept sample: tokens are only ever added, so the walk would have been refused anyhow, and
    the next one starts from fresh draws.
    """
    tokens = bytearray()
    operator_probability, max_depth = parameters.operator_probability, parameters.max_depth
    choices, limit = parameters.max_arguments - FEWEST_ARGUMENTS + 1, parameters.longest_length

    def grow(depth: int) -> None:
        if depth >= max_depth or draw() >= operator_probability:
            tokens.append(FIRST_DIGIT + int(draw() * 10))
            return
        opening = len(tokens)
        tokens.append(FIRST_OPERATOR)
        for _ in range(FEWEST_ARGUMENTS + int(draw() * choices)):
            grow(depth + 1)
        tokens[opening] += int(draw() * len(OPERATIONS))
        tokens.append(CLOSE)
        if len(tokens) >= limit:
            raise _TooLong

    with suppress(_TooLong):
        grow(1)
    return tokens


def evaluate(tokens: Iterable[int]) -> int:
    """The value 0..9 of an expression given as token ids.

    Raises
    ------
    TaskError
        The ids are not one whole expression.
    """
    # Each open operator collects its arguments in a list of its own; the lowest list collects the result.
    open_lists: list[list[int]] = [[]]
    operators: list[int] = []
    # Whole numbers of Python: a sum of NumPy's bytes would wrap at 256.
    for token in map(int, tokens):
        if FIRST_DIGIT <= token < FIRST_OPERATOR:
            open_lists[-1].append(token - FIRST_DIGIT)
        elif FIRST_OPERATOR <= token < CLOSE:
            operators.append(token - FIRST_OPERATOR)
            open_lists.append([])
        elif token == CLOSE and operators and open_lists[-1]:
            value = OPERATIONS[operators.pop()](open_lists.pop())
            open_lists[-1].append(value)
        else:
            raise TaskError(f"token {token} cannot stand where it does; the expression is not well formed")
    if operators or len(open_lists[0]) != 1:
        raise TaskError(f"{len(operators)} brackets left open, {len(open_lists[0])} values; one whole value is wanted")
    return open_lists[0][0]


def value_of_top(tokens: Iterable[int], levels: int) -> int | None:
    """The value of a well-formed expression, lists nested deeper than `levels` passed over; None where nothing is left.

    All of an expression for `levels` at its depth, the root operator on its own digits for 1.
    """
    open_lists: list[list[int]] = [[]]
    operators: list[int] = []
    for token in map(int, tokens):
        if FIRST_DIGIT <= token < FIRST_OPERATOR:
            open_lists[-1].append(token - FIRST_DIGIT)
        elif FIRST_OPERATOR <= token < CLOSE:
            operators.append(token - FIRST_OPERATOR)
            open_lists.append([])
        elif token == CLOSE:
            operator, values = operators.pop(), open_lists.pop()
            if values and len(operators) < levels:
                open_lists[-1].append(OPERATIONS[operator](values))
    return open_lists[0][0] if open_lists[0] else None


def with_brackets(tokens: bytes) -> bytes:
    """The expression with LRA's round brackets: a pair for each step of a tree that leans to the left.

    [MAX 2 9 ]  ->  ( ( ( [MAX 2 ) 9 ) ] ), so that n tokens become 3 n - 2.
    """
    # Written from the end: how many brackets open in front of an operator is known once its arguments are counted.
    reverse = bytearray()
    arguments = [0]
    for token in reversed(tokens):
        if token == CLOSE:
            # One closes this list; where it is an argument, one more closes the step that takes it in.
            reverse.extend((ROUND_CLOSE,) * min(len(arguments), 2))
            arguments[-1] += 1
            arguments.append(0)
            reverse.append(token)
        elif token >= FIRST_OPERATOR:
            reverse.append(token)
            reverse.extend((ROUND_OPEN,) * (arguments.pop() + 1))
        else:
            arguments[-1] += 1
            if len(arguments) > 1:
                reverse.append(ROUND_CLOSE)
            reverse.append(token)
    return bytes(reversed(reverse))


def to_text(tokens: Sequence[int] | np.ndarray) -> str:
    """The expression that token ids stand for, its symbols parted by blanks; raises `TaskError` for an unknown id."""
    for token in tokens:
        if not PADDING < token < len(SYMBOLS_WITH_BRACKETS):
            raise TaskError(f"token {token} is no symbol of ListOps; ids are 1 to {len(SYMBOLS_WITH_BRACKETS) - 1}")
    return " ".join(SYMBOLS_WITH_BRACKETS[token] for token in tokens)


def from_text(text: str) -> bytes:
    """The token ids of an expression, one a byte; LRA's round brackets, which carry nothing, are passed over.

    Raises
    ------
    TaskError
        An unknown symbol.
    """
    symbols = text.replace("(", " ").replace(")", " ").split()
    try:
        return bytes(map(_IDS.__getitem__, symbols))
    except KeyError as error:
        known = " ".join(SYMBOLS[1:])
        raise TaskError(f"unknown symbol {error.args[0]!r}; known are {known}") from None


def read_official(parameters: ListOpsParameters, folder: Path, progress: Progress = ignore_progress) -> TaskData:
    """The task from LRA's `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` in `folder`.

    Every expression is evaluated and must have the label that the file gives it. Of `parameters`, `brackets` counts.

    Raises
    ------
    TaskError
        A file is missing, or a line is not of the official form; file and line are named.
    """
    splits = {}
    for done, (split, name) in enumerate(OFFICIAL_FILES.items()):
        splits[split] = _read_split(folder / name, parameters)
        progress((done + 1) / len(OFFICIAL_FILES))
    return _task(f"official files, brackets {parameters.brackets}", splits, parameters)


def _read_split(path: Path, parameters: ListOpsParameters) -> TokenDataset:
    pairs: list[tuple[bytes, int]] = []
    line = 1
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = _columns(next(rows, []))
            for row in rows:
                line = rows.line_num
                pairs.append(_parse_row(row, columns))
        return _dataset(pairs, parameters)
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}; point at LRA's listops folder") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TaskError(f"{path}, after line {line}: not tab-separated text ({error})") from error
    except TaskError as error:
        raise TaskError(f"{path}, line {line}: {error}") from error


def _columns(header: list[str]) -> tuple[int, int]:
    """Where `Source` and `Target` stand."""
    for name in ("Source", "Target"):
        if name not in header:
            raise TaskError(f"the header has no column {name!r}; it must be Source and Target, parted by a tab")
    return header.index("Source"), header.index("Target")


def _parse_row(row: list[str], columns: tuple[int, int]) -> tuple[bytes, int]:
    """Token ids and label of one row."""
    if len(row) <= max(columns):
        raise TaskError(f"{len(row)} columns; there must be Source and Target, parted by a tab")
    source, target = (row[column] for column in columns)
    sequence = from_text(source)
    value = evaluate(sequence)
    if target.strip() != str(value):
        raise TaskError(f"label {target!r}, but the expression has the value {value}; the file is damaged")
    return sequence, value
