"""The findings of the study `astrocyte`: accuracy beside what the model takes from each astrocyte."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.tables import Tables, default_tables, read_tables
from model.studies.contenders import CONTENDERS
from model.studies.report import Finding
from model.studies.study import CONTROLS
from model.tasks.library import TASKS
from rmaat.base.files import write_text

SEGMENTS = 4
"""Segments of the presets `brief`, for which retention factors are shown."""


@dataclass(frozen=True)
class Point:
    """One astrocyte, control or learned retention, with its accuracies."""

    name: str
    title: str
    tables: Tables | None
    """what the model takes from the astrocyte; None for a control and for learned retention"""
    findings: Mapping[str, Finding]
    """by task"""

    @property
    def is_control(self) -> bool:
        """Whether its retention is of no astrocyte."""
        return self.name in CONTROLS

    @property
    def rate(self) -> float:
        """The rate a of the increments, per cycle; NaN without an astrocyte."""
        return math.nan if self.tables is None else self.tables.increment_rate

    @property
    def reach(self) -> float:
        """Tokens over which the measured influence falls by e; NaN without an astrocyte."""
        return math.nan if self.tables is None else 1 / self.tables.decay_per_token


def points(found: Sequence[Finding], astrocytes: Mapping[str, Path], titles: Mapping[str, str]) -> list[Point]:
    """The points of the study, astrocytes first; `astrocytes` and `titles` are by name.

    Raises
    ------
    TableError, FileError
        The tables of an astrocyte cannot be read.
    """
    names = dict.fromkeys([*astrocytes, *(finding.contender for finding in found)])
    return [
        Point(
            name,
            titles.get(name) or CONTENDERS[name].title.removeprefix("RMAAT, "),
            read_tables(astrocytes[name]) if name in astrocytes else None,
            {finding.task: finding for finding in found if finding.contender == name},
        )
        for name in names
        if any(finding.contender == name for finding in found)
    ]


def write_csv(path: Path, found: Sequence[Point]) -> None:
    """Write a row for each point and task; accuracies and spreads in %; raises `FileError`."""
    rows = [_csv_row(point, finding) for point in found for finding in point.findings.values()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _csv_row(point: Point, finding: Finding) -> dict[str, Any]:
    return {
        "astrocyte": point.name,
        "title": point.title,
        "kind": _kind(point),
        "task": finding.task,
        "rate": _number(point.rate),
        "reach": _number(point.reach),
        "exponent": "" if point.tables is None else point.tables.exponent,
        "retention": " ".join(f"{factor:.4f}" for factor in _factors(point)),
        "remaining": "" if point.tables is None else point.tables.remaining(SEGMENTS)[0],
        "seeds": len(finding.accuracies),
        "accuracy": finding.accuracy,
        "spread": finding.spread,
        "accuracies": " ".join(f"{accuracy:.2f}" for accuracy in finding.accuracies.values()),
        "seconds": sum(finding.seconds.values()),
        "test_sequences": finding.test_sequences,
        "levels": "; ".join(f"{name}: {level:.1f}" for name, level in finding.levels.items()),
        "made": ", ".join(finding.made),
    }


def _kind(point: Point) -> str:
    if point.tables is not None:
        return "astrocyte"
    return "control" if point.is_control else "learned"


def _number(value: float) -> float | str:
    return "" if math.isnan(value) else value


def _factors(point: Point) -> Sequence[float]:
    if point.tables is not None:
        return point.tables.retention(SEGMENTS).tolist()
    variant = point.name.removeprefix("retention_")
    return default_tables().retention(SEGMENTS, variant).tolist() if point.is_control else []


def markdown(found: Sequence[Point], command: str, done: int, planned: int, left_out: Mapping[str, str]) -> str:
    """Write the study as a page; `left_out` gives the reason for each astrocyte or task that is missing."""
    tasks = list(dict.fromkeys(task for point in found for task in point.findings))
    findings = [finding for point in found for finding in point.findings.values()]
    made = ", ".join(sorted({word for finding in findings for word in finding.made}))
    header = ["astrocyte", "a (1 / cycle)", "reach (tokens)", "alpha", f"RF(t, {SEGMENTS})"]
    lines = [
        "# Accuracy against the astrocyte",
        "",
        f"`{command}`: {done} of {planned} runs are done. {made}.",
        "",
        "Accuracy in % at the best validated step, mean ± standard deviation over seeds (their number). All runs of a "
        "task had the same data, steps and batches; only the tables, or the retention, differ. The reach is the "
        "distance over which the measured influence falls by e. Controls and learned retention take reach and alpha "
        "from the default astrocyte.",
        "",
        _row([*header, *(TASKS[task].title for task in tasks)]),
        _row(["---"] * (len(header) + len(tasks))),
        *[_row([*_words(point), *(_accuracy(point, task) for task in tasks)]) for point in found],
        *[_row([f"no model: {name}", *[""] * (len(header) - 1), *levels]) for name, levels in _levels(found, tasks)],
        "",
        *[f"- {TASKS[task].title}: {_origin(findings, task)}" for task in tasks],
        *[f"- {name}: left out; {reason}" for name, reason in left_out.items()],
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _words(point: Point) -> list[str]:
    factors = ", ".join(f"{factor:.2f}" for factor in _factors(point))
    if point.tables is None:
        return [f"*{point.title}*", "", "", "", factors]
    return [point.title, f"{point.rate:.3f}", f"{point.reach:.2f}", f"{point.tables.exponent:.2f}", factors]


def _accuracy(point: Point, task: str) -> str:
    if task not in point.findings:
        return ""
    finding = point.findings[task]
    spread = "" if finding.spread is None else f" ± {finding.spread:.1f}"
    return f"{finding.accuracy:.1f}{spread} ({len(finding.accuracies)})"


def _levels(found: Sequence[Point], tasks: Sequence[str]) -> list[tuple[str, list[str]]]:
    of_task = {task: point.findings[task].levels for task in tasks for point in found if task in point.findings}
    names = dict.fromkeys(name for levels in of_task.values() for name in levels)
    return [(name, [f"{of_task[task][name]:.1f}" if name in of_task[task] else "" for task in tasks]) for name in names]


def _origin(findings: Sequence[Finding], task: str) -> str:
    finding = next(finding for finding in findings if finding.task == task)
    return f"{finding.origin}; {finding.test_sequences:,} test sequences; {finding.steps} steps x {finding.batch_size}"
