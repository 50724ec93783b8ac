"""Documents: texts of your own with labels of your own, read byte by byte.

Any file that `model.tasks.data.labelled` reads will do. If the source has no splits, a part of the documents of each
label is held out for validation and test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.tasks.data import hub
from model.tasks.data.dataset import TaskData, TaskError, TaskParameters, TokenDataset
from model.tasks.data.encoding import BYTE_SYMBOLS, from_bytes
from model.tasks.data.labelled import FORMS, LabelledText, read_labelled
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import ParameterError, parameter

LEVELS = ("commonest_label", "naive_bayes_any_script")
SOURCES = f"your own texts: {FORMS}"

_SHOWN = 5
"""Labels that a message names at most."""


@dataclass(frozen=True)
class DocumentsParameters(TaskParameters):
    """Where the texts and labels are in the source, and how much is held out.

    Raises
    ------
    ParameterError
        As `Record`, or nothing would be left to learn from.
    """

    kind: ClassVar[str] = "documents"

    text: str = parameter("text", "column of the texts; unused if the source is a folder per label")
    label: str = parameter("label", "column of the labels; unused if the source is a folder per label")
    validation_share: float = parameter(
        0.1, "share of the documents held out for validation, if the source has no such split", low=0.001, high=0.9
    )
    test_share: float = parameter(
        0.1, "share of the documents held out for the test, if the source has no such split", low=0.001, high=0.9
    )
    data_seed: int = parameter(0, "seed of the choice of held-out documents", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_share + self.test_share > 0.9:
            raise ParameterError(
                f"validation_share {self.validation_share:g} and test_share {self.test_share:g} leave less than 0.1 "
                "of the documents to learn from; lower one"
            )


def read(parameters: DocumentsParameters, source: Path, progress: Progress = ignore_progress) -> TaskData:
    """Read the task from `source`, which `SOURCES` describes; labels are in the order of their names or numbers.

    Raises
    ------
    TaskError
        As `read_labelled`; or there is only one label, or a label has too few documents for the splits.
    """
    found = read_labelled(source, parameters.text, parameters.label, progress)
    labels = _label_names({row.label for rows in found.values() for row in rows}, source)
    number = {name: index for index, name in enumerate(labels)}
    splits = {
        split: TokenDataset.from_sequences(
            [from_bytes(row.text, len(row.text)) for row in rows], [number[row.label] for row in rows]
        )
        for split, rows in _with_held_out(found, parameters, source).items()
    }
    # The name alone: a path would tell readers of a published model about the folders of its author.
    name = str(source) if str(source).startswith(hub.PREFIX) else source.name
    origin = f"{name}, split by seed {parameters.data_seed}" if len(found) < 3 else f"{name} in its own splits"
    return TaskData(
        "Documents", origin, BYTE_SYMBOLS, len(labels), **splits, separator=None, levels=LEVELS, labels=labels
    )


def encode(parameters: DocumentsParameters, text: str) -> bytes:  # noqa: ARG001 (all tasks have one form)
    """The token ids of a document, one per byte; raises `TaskError` if it is empty."""
    content = text.encode(errors="replace")
    return from_bytes(content, len(content))


def _label_names(names: set[str], source: Path) -> tuple[str, ...]:
    if len(names) < 2:
        raise TaskError(f"every document of {source} has the label {min(names)!r}; a classifier needs at least two")
    numbers = all(name.lstrip("-").isdecimal() for name in names)
    return tuple(sorted(names, key=int if numbers else None))


def _with_held_out(
    found: dict[str, list[LabelledText]], parameters: DocumentsParameters, source: Path
) -> dict[str, list[LabelledText]]:
    """The splits of the source, and those that it lacks, drawn from the rows to learn from."""
    rest = found["train"]
    shares = {"test": parameters.test_share, "validation": parameters.validation_share}
    missing = [split for split in shares if split not in found]
    _check_counts(found, 1 + len(missing), source)
    random, left, splits = np.random.default_rng(parameters.data_seed), 1.0, dict(found)
    for split in missing:
        splits[split], rest = hold_out(rest, shares[split] / left, random)
        left -= shares[split]
    return splits | {"train": rest}


def hold_out(
    rows: Sequence[LabelledText], share: float, random: np.random.Generator
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Draw `share` of the `rows` of each label, at least one and not all; return them and the rest, in their order.

    Equal texts stay together: a test on texts that were learned would measure nothing.
    """
    together: dict[bytes, list[int]] = {}
    for index, row in enumerate(rows):
        together.setdefault(row.text, []).append(index)
    by_label: dict[str, list[list[int]]] = {}
    for group in together.values():
        by_label.setdefault(rows[group[0]].label, []).append(group)
    drawn: set[int] = set()
    for _, groups in sorted(by_label.items()):
        count = min(len(groups) - 1, max(1, round(share * len(groups))))
        drawn.update(index for place in random.permutation(len(groups))[:count] for index in groups[place])
    return (
        [row for index, row in enumerate(rows) if index in drawn],
        [row for index, row in enumerate(rows) if index not in drawn],
    )


def _check_counts(found: dict[str, list[LabelledText]], least: int, source: Path) -> None:
    """Refuse labels with fewer than `least` different documents to learn from."""
    first_labels: dict[bytes, str] = {}
    for row in found["train"]:
        first_labels.setdefault(row.text, row.label)
    counts = {row.label: 0 for rows in found.values() for row in rows}
    for label in first_labels.values():
        counts[label] += 1
    if few := sorted(label for label, count in counts.items() if count < least):
        shown = ", ".join(f"{label!r:.40} ({counts[label]})" for label in few[:_SHOWN])
        raise TaskError(
            f"{source}: {len(few)} of {len(counts)} labels have fewer than {least} different documents to learn from: "
            f"{shown}{', ...' if len(few) > _SHOWN else ''}; add documents, or join or drop these labels"
        )
