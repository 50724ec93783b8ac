"""Read labelled texts from a user's own files; every row is checked, and every error names the row.

    reviews.csv, reviews.tsv       a header, then a row per text; quoted fields may hold line breaks
    reviews.jsonl, .ndjson         an object per line
    reviews.parquet                needs the extra `hub`
    folder/LABEL/anything.txt      one file per text, in one folder per label
    hf:NAME, its files             a data set of the Hugging Face hub (`model.tasks.data.hub`)

All text is UTF-8.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from model.tasks.data import hub
from model.tasks.data.dataset import TaskError
from model.tasks.data.sources import opened_file, read_file, refuse_outside
from rmaat.base.extras import require
from rmaat.base.progress import Progress, ignore_progress

FORMS = (
    "a CSV, TSV, JSON lines or parquet file, a folder with one folder of text files per label, or hf:NAME of the "
    "Hugging Face hub"
)
SPLIT_NAMES = ("train", "validation", "val", "dev", "test")

_BATCH = 1000
"""Rows between two calls of `progress`, and rows of a parquet file in memory at a time."""


class LabelledText(NamedTuple):
    """A text in UTF-8 and the name of its label."""

    text: bytes
    label: str


class _Row(NamedTuple):
    """An unchecked row of a file: where it is, its text and its label."""

    place: str
    text: Any
    label: Any


def read_labelled(
    source: Path, text: str, label: str, progress: Progress = ignore_progress
) -> dict[str, list[LabelledText]]:
    """The rows of `source` by split, with the columns `text` and `label`; files without splits are all `train`.

    Raises
    ------
    TaskError
        The source cannot be read, lacks a column, or has a row without text or label; the message names the row.
    UsageError
        A library that the format needs is missing.
    """
    if hub.is_hub(source):
        splits = hub.read_splits(source, text, label, progress)
        return {
            split: _checked(f"{source}, split {split}", (_Row(f"row {n}", *row) for n, row in enumerate(rows, start=1)))
            for split, rows in splits.items()
        }
    if not source.exists():
        raise TaskError(f"{source} does not exist; --source must be {FORMS}")
    return {"train": _checked(str(source), _rows(source, text, label, progress))}


def _rows(source: Path, text: str, label: str, progress: Progress) -> Iterator[_Row]:
    if source.is_dir():
        return _folder_rows(source, progress)
    reader = _READERS.get(source.suffix.lower())
    if reader is None:
        raise TaskError(f"{source} ends in {source.suffix or 'nothing'}; --source must be {FORMS}")
    return reader(source, text, label, progress)


# The formats.


def _csv_rows(source: Path, text: str, label: str, progress: Progress) -> Iterator[_Row]:
    delimiter = "," if source.suffix.lower() == ".csv" else "\t"
    with _long_fields():
        reader = csv.reader(_lines(source, progress), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            places = _find_columns(source, header, text, label)
            for fields in reader:
                if fields:
                    _check_width(source, reader.line_num, fields, header)
                    yield _Row(f"line {reader.line_num}", *(fields[place] for place in places))
        except csv.Error as error:
            raise TaskError(
                f"{source}, line {reader.line_num}: {error}; put a field with quotes, separators or line breaks in "
                'quotes, and double the quotes inside it: "a ""quoted"" word"'
            ) from error


def _json_rows(source: Path, text: str, label: str, progress: Progress) -> Iterator[_Row]:
    for number, line in enumerate(_lines(source, progress), start=1):
        if line.strip():
            place = f"line {number}"
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise TaskError(f"{source}, {place}: no JSON ({error}); write one object per line") from error
            if not isinstance(values, dict):
                raise TaskError(f'{source}, {place}: no JSON object; write one per line, such as {{"{text}": "..."}}')
            _find_columns(f"{source}, {place}", list(values), text, label)
            yield _Row(place, values[text], values[label])


def _parquet_rows(source: Path, text: str, label: str, progress: Progress) -> Iterator[_Row]:
    parquet: Any = require("pyarrow", "pyarrow.parquet", "reading parquet files")
    try:
        with opened_file(source):
            pass
        file = parquet.ParquetFile(source)
        _find_columns(source, file.schema_arrow.names, text, label)
        number = 0
        for batch in file.iter_batches(_BATCH, columns=[text, label]):
            columns = batch.to_pydict()
            for values in zip(columns[text], columns[label], strict=True):
                number += 1
                yield _Row(f"row {number}", *values)
            progress(number / file.metadata.num_rows)
    # pyarrow's errors are these; its own class derives from ValueError.
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TaskError(f"{source} is no parquet file, or damaged ({reason}); write it again") from error


def _folder_rows(source: Path, progress: Progress) -> Iterator[_Row]:
    """Rows of `source`/LABEL/FILE, by label and file; hidden files are skipped."""
    labels = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not labels:
        raise TaskError(f"{source} has no folder in it; --source must be {FORMS}")
    if splits := [path.name for path in labels if path.name.lower() in SPLIT_NAMES]:
        raise TaskError(
            f"{source} has a folder {splits[0]}, which is a split, not a label; give the folder with one folder per "
            f"label, such as {source / splits[0]}"
        )
    for number, folder in enumerate(labels, start=1):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        for path in files:
            refuse_outside(path, source)
            yield _Row(str(path.relative_to(source)), _decoded(read_file(path), str(path)), folder.name)
        progress(number / len(labels))


_READERS: dict[str, Callable[[Path, str, str, Progress], Iterator[_Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".tab": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
}


# Lines and columns.


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let `csv` read fields of more than its 131,072 characters; the limit is one of the whole process."""
    # A C long: Windows has 32 bits for it.
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _lines(source: Path, progress: Progress) -> Iterator[str]:
    with opened_file(source) as stream:
        size, read = max(1, source.stat().st_size), 0
        for number, line in enumerate(stream, start=1):
            yield _decoded(line, f"{source}, line {number}")
            read += len(line)
            if number % _BATCH == 0:
                progress(read / size)


def _decoded(content: bytes, place: str) -> str:
    try:
        # Spreadsheets begin UTF-8 files with a mark that is no part of the text.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{place}: byte {error.start + 1} (0x{content[error.start]:02x}) is not UTF-8; convert the file, for "
            "example with: iconv --from-code latin1 --to-code utf-8 OLD --output NEW"
        ) from error


def _find_columns(source: object, names: list[str], text: str, label: str) -> tuple[int, int]:
    """The places of both columns among `names`; the message of the error lists the names that there are."""
    for option, name in (("--text", text), ("--label", label)):
        if name not in names:
            raise TaskError(f"{source} has no column {name!r}; name one of {_listed(names)} with {option}")
    return names.index(text), names.index(label)


def _check_width(source: Path, line: int, fields: list[str], header: list[str]) -> None:
    if len(fields) != len(header):
        raise TaskError(
            f"{source}, line {line}: {len(fields)} fields, but the header has {len(header)} ({_listed(header)}); "
            "put fields with separators or line breaks in quotes"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown}, ..." if len(names) > 20 else shown or "nothing: it is empty"


# Checks of a row.


def _checked(source: str, rows: Iterable[_Row]) -> list[LabelledText]:
    """The `rows` as texts and names of labels; all labels of a source must be of one kind."""
    kinds: dict[str, str] = {}
    found = []
    for row in rows:
        kind, label = _label_name(source, row)
        kinds.setdefault(kind, row.place)
        if len(kinds) > 1:
            first, other = kinds.items()
            raise TaskError(
                f"{source}: the label is {first[0]} in {first[1]} and {other[0]} in {other[1]}; use one kind for all"
            )
        found.append(LabelledText(_text_bytes(source, row), label))
    if not found:
        raise TaskError(f"{source} has no text; --source must be {FORMS}")
    return found


def _text_bytes(source: str, row: _Row) -> bytes:
    text = "" if row.text is None else row.text
    if not isinstance(text, str):
        raise TaskError(f"{source}, {row.place}: the text is {text!r:.60}, not text; choose another column with --text")
    if not text.strip():
        raise TaskError(f"{source}, {row.place}: the text is empty; delete the row")
    # JSON can hold halves of characters, which UTF-8 cannot.
    return text.encode(errors="replace")


def _label_name(source: str, row: _Row) -> tuple[str, str]:
    """The kind of the row's label, in words, and its name."""
    label = row.label
    if isinstance(label, str) and label.strip():
        return "text", label.strip()
    if isinstance(label, bool):
        return "true or false", str(label).lower()
    if isinstance(label, int | float) and label == label and label == int(label):
        return "a number", str(int(label))
    if isinstance(label, int | float) and label == label:
        raise TaskError(
            f"{source}, {row.place}: the label is {label}, a number with a fraction; labels are classes, and "
            "regression is not supported: give whole numbers or names"
        )
    if label is None or isinstance(label, str | float):
        raise TaskError(f"{source}, {row.place}: the label is missing; delete the row, or give it a label")
    raise TaskError(f"{source}, {row.place}: the label is {label!r:.60}; give a name or a whole number")
