"""ListOps as a task: generated, or read from LRA's files.

Source: Tay et al., Long Range Arena (arXiv 2011.04006), and its generator.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from model.tasks.data.dataset import TaskData, TaskError, TokenDataset
from model.tasks.listops.generator import samples
from model.tasks.listops.grammar import SYMBOLS, SYMBOLS_WITH_BRACKETS, evaluate, from_text, with_brackets
from model.tasks.listops.parameters import ListOpsParameters
from rmaat.base.files import FileError, open_file
from rmaat.base.progress import Progress, ignore_progress

CLASSES = 10
LEVELS = ("commonest_label", "root_operator", "root_digits")
OFFICIAL_FILES = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}


def generate(parameters: ListOpsParameters, progress: Progress = ignore_progress) -> TaskData:
    """Generate the task that `parameters` describe.

    Sample i depends on the seed and the grammar alone. The first samples are the test split, the next the validation
    split, so another number of training samples does not change them. Short training samples, if there are any, come
    from a stream of their own after the others.

    Raises
    ------
    TaskError
        The grammar yields almost no new sample of the wanted length.
    """
    short = parameters.train_size // 2 if parameters.shortest_training else 0
    sizes = {"test": parameters.test_size, "validation": parameters.validation_size, "train": parameters.train_size}
    drawn: Iterator[bytes] = islice(samples(parameters), sum(sizes.values()) - short)
    if short:
        drawn = chain(drawn, _short_samples(parameters))
    stream, splits = _counted(drawn, sum(sizes.values()), progress), {}
    for split, size in sizes.items():
        splits[split] = _dataset([(sequence, evaluate(sequence)) for sequence in islice(stream, size)], parameters)
    settings = ", ".join(f"{name} {value}" for name, value in parameters.to_dict().items() if name != "kind")
    return _task(f"regenerated, n = {sum(sizes.values()):,}: {settings}", splits, parameters)


def _short_samples(parameters: ListOpsParameters) -> Iterator[bytes]:
    """Samples longer than `shortest_training` and not longer than `shortest_length`: none is among the others."""
    shorter = replace(
        parameters,
        shortest_length=parameters.shortest_training,
        longest_length=parameters.shortest_length + 1,
        shortest_training=0,
    )
    return samples(shorter)


def read_official(parameters: ListOpsParameters, folder: Path, progress: Progress = ignore_progress) -> TaskData:
    """Read the task from LRA's `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` in `folder`.

    Every expression is evaluated and compared with its label. Of `parameters`, only `brackets` applies.

    Raises
    ------
    TaskError
        A file is missing, or a line is malformed; the message names file and line.
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
        with open_file(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = _columns(next(rows, []))
            for row in rows:
                line = rows.line_num
                pairs.append(_parse_row(row, columns))
        return _dataset(pairs, parameters)
    except FileError as error:
        raise TaskError(f"{error}; point at LRA's listops folder") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TaskError(f"{path}, after line {line}: not tab-separated text ({error})") from error
    except TaskError as error:
        raise TaskError(f"{path}, line {line}: {error}") from error


def _columns(header: list[str]) -> tuple[int, int]:
    """The numbers of the columns `Source` and `Target`."""
    for name in ("Source", "Target"):
        if name not in header:
            raise TaskError(f"the header has no column {name!r}; it must be Source and Target, separated by a tab")
    return header.index("Source"), header.index("Target")


def _parse_row(row: list[str], columns: tuple[int, int]) -> tuple[bytes, int]:
    """The token ids and the label of one row."""
    if len(row) <= max(columns):
        raise TaskError(f"{len(row)} columns; there must be Source and Target, separated by a tab")
    source, target = (row[column] for column in columns)
    sequence = from_text(source)
    value = evaluate(sequence)
    if target.strip() != str(value):
        raise TaskError(f"label {target!r:.60}, but the expression has the value {value}; the file is damaged")
    return sequence, value


def _counted(stream: Iterator[bytes], total: int, progress: Progress) -> Iterator[bytes]:
    """Pass on `stream`, and report each per cent of `total` to `progress`."""
    for done, sequence in enumerate(stream, start=1):
        if done * 100 // total > (done - 1) * 100 // total:
            progress(done / total)
        yield sequence


def encode(parameters: ListOpsParameters, text: str) -> bytes:
    """The token ids of an expression, one per byte; raises `TaskError` if it is not well formed."""
    sequence = from_text(text)
    evaluate(sequence)
    return _written(sequence, parameters)


def _dataset(pairs: list[tuple[bytes, int]], parameters: ListOpsParameters) -> TokenDataset:
    """A dataset of sequences and their values, with or without round brackets."""
    sequences = [_written(sequence, parameters) for sequence, _ in pairs]
    return TokenDataset.from_sequences(sequences, [value for _, value in pairs])


def _written(sequence: bytes, parameters: ListOpsParameters) -> bytes:
    return with_brackets(sequence) if parameters.brackets == "kept" else sequence


def _task(origin: str, splits: dict[str, TokenDataset], parameters: ListOpsParameters) -> TaskData:
    symbols = SYMBOLS_WITH_BRACKETS if parameters.brackets == "kept" else SYMBOLS
    return TaskData("ListOps", origin, symbols, CLASSES, **splits, separator=None, levels=LEVELS, labels=())
