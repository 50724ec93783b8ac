"""Read data sets of the Hugging Face hub by name, from their parquet files, or from a folder of `save_to_disk`.

    hf:stanfordnlp/imdb        a folder with train-*.parquet and test-*.parquet        a folder with dataset_dict.json

Needs the extra `hub`. Only parquet and Arrow files are read, so nothing in a repository is run or unpickled.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.tasks.data.dataset import TaskError
from rmaat.base.errors import UsageError
from rmaat.base.extras import require
from rmaat.base.progress import Progress, ignore_progress

PREFIX = "hf:"
SPLITS = ("train", "test")
FORMS = "parquet files or a folder of save_to_disk (extra hub)"
"""for texts that list what `--source` may be"""

_FIRST_SAFE = 4
"""The first version of `datasets` that cannot run a repository's own script."""
_SAVED = "dataset_dict.json"
_BATCH = 1000
_FORMATS = ("parquet", "csv", "json", "text", "arrow", "cache")
"""Formats of `datasets` that hold data only, and its local cache."""


def is_hub(source: Path) -> bool:
    """Whether `source` is a name on the hub, or a folder in one of its formats."""
    return _name(source) is not None or (source / _SAVED).exists() or _has_parquet(source)


def origin(source: Path) -> str:
    """The origin of data from `source`, for reports."""
    return "Hugging Face files" if is_hub(source) else "official files"


def full_name(source: Path) -> str:
    """A name for `source` that is valid from any folder: its name on the hub, or its absolute path."""
    return str(source) if _name(source) is not None else str(source.resolve())


def read_texts(source: Path, progress: Progress = ignore_progress) -> dict[str, list[tuple[bytes, int]]]:
    """Read the columns `text`, in UTF-8, and `label` of both splits, in the order of the files.

    Raises
    ------
    TaskError
        The data cannot be read, a split or column is missing, or a row has no text or label.
    UsageError
        The library `datasets` is missing, or too old to be safe.
    """
    datasets = _library()
    splits = _read(source, "text", datasets.Value("string"), progress)
    return {split: [(value.encode(), label) for value, label in rows] for split, rows in splits.items()}


def read_images(source: Path, progress: Progress = ignore_progress) -> dict[str, list[tuple[bytes, int]]]:
    """Read the columns `img`, as the bytes of a picture file, and `label` of both splits; raises as `read_texts`."""
    datasets = _library()
    splits = _read(source, "img", datasets.Image(decode=False), progress)
    found = {split: [(value["bytes"], label) for value, label in rows] for split, rows in splits.items()}
    for split, rows in found.items():
        if any(content is None for content, _ in rows):
            # Do not follow paths: they could name any file of this machine.
            raise TaskError(
                f"{source} has paths of pictures in its {split} split, not the pictures; download the pictures too"
            )
    return found


def read_splits(
    source: Path, text: str, label: str, progress: Progress = ignore_progress
) -> dict[str, list[tuple[Any, Any]]]:
    """Read the columns `text` and `label` of the splits train, validation and test that `source` has, unchecked.

    Labels that have names become them. A split without labels is left out. A single split of another name is `train`.

    Raises
    ------
    TaskError
        The data cannot be read, lack a column, or have no split to learn from.
    UsageError
        The library `datasets` is missing, or too old to be safe.
    """
    try:
        splits = _open_any(source)
    # The library, its file systems and the network can raise any exception.
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise TaskError(f"cannot read {source} ({what:.300})") from error
    if len(splits) == 1:
        splits = {"train": next(iter(splits.values()))}
    if "train" not in splits:
        raise TaskError(f"{source} has the splits {', '.join(splits)}, and none is called train; save it with one")
    found = {}
    for split in ("train", "validation", "test"):
        if split in splits:
            rows = _pairs(source, splits[split], text, label)
            if split == "train" or any(name is not None for _, name in rows):
                found[split] = rows
        progress((len(found) + 1) / 4)
    return found


def _open_any(source: Path) -> Any:
    """The splits of `source` by name, from the hub, the library's cache, or files on disk."""
    datasets = _library()
    if (source / _SAVED).exists():
        return datasets.load_from_disk(str(source))
    name = _name(source)
    place, _, revision = (str(source.resolve()), "", "") if name is None else name.partition("@")
    builder = datasets.load_dataset_builder(place, revision=revision or None)
    if builder.name not in _FORMATS:
        raise TaskError(f"its format is {builder.name}; only {', '.join(_FORMATS)} are read")
    builder.download_and_prepare()
    return builder.as_dataset()


def _pairs(source: Path, dataset: Any, text: str, label: str) -> list[tuple[Any, Any]]:
    for option, column in (("--text", text), ("--label", label)):
        if column not in dataset.column_names:
            raise TaskError(
                f"{source} has no column {column!r}; name one of {', '.join(dataset.column_names)} with {option}"
            )
    names = getattr(dataset.features[label], "names", None)
    batches = dataset.select_columns([text, label]).iter(_BATCH)
    rows = [pair for batch in batches for pair in zip(batch[text], batch[label], strict=True)]
    if names is None:
        return rows
    # The hub marks a missing label by -1.
    return [(value, None if number in (None, -1) else names[number]) for value, number in rows]


def _library() -> Any:
    datasets: Any = require("datasets", "datasets", "reading files of the Hugging Face hub")
    if int(datasets.__version__.split(".")[0]) < _FIRST_SAFE:
        raise UsageError(
            f"datasets {datasets.__version__} can run programs of a repository; "
            f'install {_FIRST_SAFE}.0 or newer with: pip install "datasets>={_FIRST_SAFE}"'
        )
    return datasets


def _read(source: Path, column: str, kind: Any, progress: Progress) -> dict[str, list[tuple[Any, int]]]:
    """The values of `column`, cast to `kind`, and of `label`, of both splits."""
    found: dict[str, list[tuple[Any, int]]] = {}
    try:
        splits = _open(source)
        for split in SPLITS:
            found[split] = list(_rows(splits[split], column, kind))
            progress(len(found) / len(SPLITS))
    # The library, its file systems and the network can raise any exception.
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise TaskError(
            f"cannot read splits train and test with columns {column} and label from {source} ({what:.200})"
        ) from error
    for split, rows in found.items():
        if any(value is None or label is None for value, label in rows):
            raise TaskError(f"a row of the {split} split of {source} has no {column} or no label; download it again")
    return found


def _open(source: Path) -> Any:
    """The splits of `source`, by name; rows are read when they are used."""
    datasets = _library()
    if (source / _SAVED).exists():
        saved = datasets.load_from_disk(str(source))
        # As a stream: operations on a whole data set would write cache files beside it.
        return {split: saved[split].to_iterable_dataset() for split in SPLITS}
    name = _name(source)
    root = source.resolve().as_posix() if name is None else f"hf://datasets/{name}"
    files = {split: f"{root}/**/{split}-*.parquet" for split in SPLITS}
    # Name the reader: `datasets` would otherwise choose one by the repository's files.
    return datasets.load_dataset("parquet", data_files=files, streaming=True)


def _rows(dataset: Any, column: str, kind: Any) -> Iterator[tuple[Any, int]]:
    datasets = _library()
    # Other columns are not decoded.
    features = datasets.Features({column: kind, "label": datasets.Value("int64")})
    for row in dataset.select_columns([column, "label"]).cast(features):
        yield row[column], row["label"]


def _name(source: Path) -> str | None:
    text = str(source)
    return text.removeprefix(PREFIX) if text.startswith(PREFIX) else None


def _has_parquet(source: Path) -> bool:
    return any(True for pattern in ("*.parquet", "*/*.parquet") for _ in source.glob(pattern))
