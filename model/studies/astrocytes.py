"""The findings of studies of astrocytes: accuracy beside what the model takes from each."""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.tables import Tables, default_tables, read_tables
from model.errors import ModelError
from model.studies.contenders import CONTENDERS
from model.studies.report import Finding
from model.studies.study import CONTROLS
from model.tasks.library import TASKS
from rmaat.base.files import read_text, write_text

SEGMENTS = 4
"""Segments of the presets `brief`, for which retention factors are shown."""

DRAW = "draw_"
"""How the names of points with drawn tables begin."""


@dataclass(frozen=True)
class Point:
    """One astrocyte, control or learned retention, with its accuracies."""

    name: str
    title: str
    kind: str
    """astrocyte, control or learned"""
    accuracies: Mapping[str, Sequence[float]]
    """in %, one for each seed, by task"""
    rate: float = math.nan
    """a of the increments, per cycle; NaN without an astrocyte"""
    reach: float = math.nan
    """tokens over which the measured influence falls by e; NaN without an astrocyte"""
    exponent: float = math.nan
    retention: Sequence[float] = ()
    """RF(t, T) for T = `SEGMENTS`; empty if it is learned"""

    def accuracy(self, task: str) -> float:
        """Mean over the seeds, in %."""
        return statistics.mean(self.accuracies[task])

    def spread(self, task: str) -> float:
        """Standard deviation over the seeds in %, 0 for one seed."""
        return statistics.stdev(self.accuracies[task]) if len(self.accuracies[task]) > 1 else 0.0


def points(found: Sequence[Finding], astrocytes: Mapping[str, Path], titles: Mapping[str, str]) -> list[Point]:
    """The points of the study, astrocytes first; `astrocytes` and `titles` are by name.

    Raises
    ------
    TableError, FileError
        The tables of an astrocyte cannot be read.
    """
    names = dict.fromkeys([*astrocytes, *(finding.contender for finding in found)])
    by_name = {name: [finding for finding in found if finding.contender == name] for name in names}
    return [
        _astrocyte(name, titles[name], own, read_tables(astrocytes[name])) if name in astrocytes else _other(name, own)
        for name, own in by_name.items()
        if own
    ]


def _astrocyte(name: str, title: str, found: Sequence[Finding], tables: Tables) -> Point:
    return Point(
        name,
        title,
        "astrocyte",
        _by_task(found),
        tables.increment_rate,
        1 / tables.decay_per_token,
        tables.exponent,
        tuple(tables.retention(SEGMENTS).tolist()),
    )


def _other(name: str, found: Sequence[Finding]) -> Point:
    title, variant = CONTENDERS[name].title.removeprefix("RMAAT, "), name.removeprefix("retention_")
    if name not in CONTROLS:
        return Point(name, title, "learned", _by_task(found))
    factors = tuple(default_tables().retention(SEGMENTS, variant).tolist())
    return Point(name, title, "control", _by_task(found), retention=factors)


def _by_task(found: Sequence[Finding]) -> dict[str, tuple[float, ...]]:
    return {finding.task: tuple(finding.accuracies.values()) for finding in found}


@dataclass(frozen=True)
class DrawSpread:
    """Standard deviations of the accuracy on one task, in %."""

    over_draws: float
    """of models with one seed and different tables; root mean square over the seeds"""
    over_seeds: float
    """of models with the same tables and different seeds; root mean square over the tables"""


def draw_spreads(shown: Sequence[Point]) -> dict[str, DrawSpread]:
    """What drawn tables change and what the seed changes, by task; for points whose names begin with `DRAW`.

    A task needs two points and two seeds, with every seed done for every point; others are left out.
    """
    draws = [point for point in shown if point.name.startswith(DRAW)]
    by_task: dict[str, DrawSpread] = {}
    for task in dict.fromkeys(task for point in draws for task in point.accuracies):
        rows = [list(point.accuracies.get(task, ())) for point in draws]
        if len(rows) > 1 and {len(row) for row in rows} == {len(rows[0])} and len(rows[0]) > 1:
            over_seeds = [statistics.variance(row) for row in rows]
            over_draws = [statistics.variance(column) for column in zip(*rows, strict=True)]
            by_task[task] = DrawSpread(statistics.mean(over_draws) ** 0.5, statistics.mean(over_seeds) ** 0.5)
    return by_task


def write_spreads(path: Path, spreads: Mapping[str, DrawSpread]) -> None:
    """Write a row for each task; raises `FileError`."""
    rows = [f"{task},{found.over_draws:.3f},{found.over_seeds:.3f}" for task, found in spreads.items()]
    write_text(path, "\n".join(["task,over_draws,over_seeds", *rows]) + "\n")


def write_csv(path: Path, shown: Sequence[Point], found: Sequence[Finding]) -> None:
    """Write a row for each point and task; accuracies and spreads in %, seconds of all seeds; raises `FileError`."""
    by_key = {(finding.contender, finding.task): finding for finding in found}
    rows = [_csv_row(point, by_key[point.name, task]) for point in shown for task in point.accuracies]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[Point]:
    """Read the points of a file of `write_csv`.

    Raises
    ------
    ModelError
        The file is damaged.
    FileError
        It cannot be read.
    """
    found: dict[str, Point] = {}
    try:
        for row in csv.DictReader(io.StringIO(read_text(path))):
            accuracies = tuple(map(float, row["accuracies"].split()))
            earlier = found[row["astrocyte"]].accuracies if row["astrocyte"] in found else {}
            rate, reach, exponent = (float(row[name] or "nan") for name in ("rate", "reach", "exponent"))
            factors = tuple(map(float, row["retention"].split()))
            found[row["astrocyte"]] = Point(
                row["astrocyte"],
                row["title"],
                row["kind"],
                {**earlier, row["task"]: accuracies},
                rate,
                reach,
                exponent,
                factors,
            )
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ModelError(f"{path} is damaged ({error!r}); write it again with rmaat reproduce astrocyte") from error
    return list(found.values())


def _csv_row(point: Point, finding: Finding) -> dict[str, Any]:
    known = point.kind == "astrocyte"
    return {
        "astrocyte": point.name,
        "title": point.title,
        "kind": point.kind,
        "task": finding.task,
        "rate": point.rate if known else "",
        "reach": point.reach if known else "",
        "exponent": point.exponent if known else "",
        "retention": " ".join(f"{factor:.4f}" for factor in point.retention),
        "seeds": len(finding.accuracies),
        "accuracy": finding.accuracy,
        "spread": finding.spread,
        "accuracies": " ".join(f"{accuracy:.2f}" for accuracy in finding.accuracies.values()),
        "steps": finding.steps,
        "batch_size": finding.batch_size,
        "seconds": sum(finding.seconds.values()),
        "test_sequences": finding.test_sequences,
        "levels": "; ".join(f"{name}: {level:.1f}" for name, level in finding.levels.items()),
        "made": ", ".join(finding.made),
    }


def markdown(
    shown: Sequence[Point], found: Sequence[Finding], command: str, planned: int, left_out: Mapping[str, str]
) -> str:
    """Write the study as a page; `left_out` gives the reason for each astrocyte or task that is missing."""
    by_task = {finding.task: finding for finding in reversed(found)}
    tasks = list(dict.fromkeys(finding.task for finding in found))
    done = sum(len(finding.accuracies) for finding in found)
    made = ", ".join(sorted({word for finding in found for word in finding.made}))
    header = ["astrocyte", "a (1 / cycle)", "reach (tokens)", "alpha", f"RF(t, {SEGMENTS})"]
    levels = dict.fromkeys(name for finding in by_task.values() for name in finding.levels)
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
        *[_row([*_words(point), *(_accuracy(point, task) for task in tasks)]) for point in shown],
        *[_row([f"no model: {name}", *[""] * (len(header) - 1), *_level(name, by_task, tasks)]) for name in levels],
        "",
        *[f"- {TASKS[task].title}: {_origin(by_task[task])}" for task in tasks],
        *[
            f"- {TASKS[task].title}: the standard deviation is {spread.over_draws:.1f} over drawn tables (one seed) "
            f"and {spread.over_seeds:.1f} over seeds (the same tables)"
            for task, spread in draw_spreads(shown).items()
        ],
        *[f"- {name}: left out; {reason}" for name, reason in left_out.items()],
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _words(point: Point) -> list[str]:
    factors = ", ".join(f"{factor:.2f}" for factor in point.retention)
    if point.kind != "astrocyte":
        return [f"*{point.title}*", "", "", "", factors]
    return [point.title, f"{point.rate:.3f}", f"{point.reach:.2f}", f"{point.exponent:.2f}", factors]


def _accuracy(point: Point, task: str) -> str:
    seeds = len(point.accuracies.get(task, ()))
    if not seeds:
        return ""
    spread = f" ± {point.spread(task):.1f}" if seeds > 1 else ""
    return f"{point.accuracy(task):.1f}{spread} ({seeds})"


def _level(name: str, found: Mapping[str, Finding], tasks: Sequence[str]) -> list[str]:
    return [f"{found[task].levels[name]:.1f}" if name in found[task].levels else "" for task in tasks]


def _origin(finding: Finding) -> str:
    return f"{finding.origin}; {finding.test_sequences:,} test sequences; {finding.steps} steps x {finding.batch_size}"
