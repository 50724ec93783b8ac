"""What a study found: one table in Markdown and CSV, ours and the paper's figures side by side and never mixed.

The CSV has a row for each task and contender; accuracies are in %, `spread` is the standard deviation over seeds.
"""

import csv
import datetime
import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from model.contenders import CONTENDERS
from model.errors import ModelError
from model.published import ACCURACY, PEAK_GIGABYTES, SPEED_OF_RMT
from model.run_folder import RunFolder
from model.study import Run, Study
from model.tasks.library import TASKS
from rmaat.files import read_text, write_text
from rmaat.versions import processor, versions


@dataclass(frozen=True)
class Finding:
    """What the seeds of one contender on one task gave."""

    task: str
    contender: str
    seeds: int
    accuracy: float
    spread: float | None
    parameters: int
    steps: int
    batch_size: int
    test_sequences: int
    seconds: float
    """of training, mean over seeds"""
    peak_megabytes: float
    paper_accuracy: float | None
    origin: str
    levels: str
    """the trivial levels on the same data, as name: accuracy in %; ..."""
    accuracies: str
    """of each seed, parted by blanks"""


def findings(runs: Sequence[Run]) -> list[Finding]:
    """A finding for each task and contender of `runs` with at least one finished run.

    Raises
    ------
    ModelError
        An `evaluation.json` is damaged.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.is_done():
            groups.setdefault((run.task, run.contender), []).append(run)
    order = {(run.task, run.contender): None for run in runs}
    return [_finding(groups[key]) for key in order if key in groups]


def _finding(runs: list[Run]) -> Finding:
    scores = [_evaluation(run) for run in runs]
    accuracies = [100 * score["accuracy"] for score in scores]
    first, training = runs[0], runs[0].preset.training
    return Finding(
        first.task,
        first.contender,
        len(runs),
        statistics.mean(accuracies),
        statistics.stdev(accuracies) if len(runs) > 1 else None,
        scores[0]["parameters"],
        training.steps,
        training.batch_size * training.accumulation,
        scores[0]["samples"],
        statistics.mean(score["seconds"] for score in scores),
        max(score["peak_bytes"] for score in scores) / 1e6,
        ACCURACY.get(first.contender, {}).get(first.task),
        scores[0]["origin"],
        "; ".join(f"{name}: {100 * level:.1f}" for name, level in scores[0]["trivial_levels"].items()),
        " ".join(f"{accuracy:.2f}" for accuracy in accuracies),
    )


def _evaluation(run: Run) -> dict:
    path = RunFolder(run.place).evaluation
    try:
        values = json.loads(read_text(path))
        for name in ("accuracy", "parameters", "samples", "seconds", "peak_bytes", "origin", "trivial_levels"):
            values[name]
        return values
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error!r}); delete it and run the same command again") from error


def write_csv(path: Path, found: Sequence[Finding]) -> None:
    """Write `found`; raises `FileError`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [entry.name for entry in fields(Finding)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(finding) for finding in found)
    write_text(path, text.getvalue())


def markdown(study: Study, preset: str, runs: Sequence[Run], found: Sequence[Finding], command: str) -> str:
    """The study as a page: where and how it was run, accuracies, costs, and what is missing."""
    done = sum(run.is_done() for run in runs)
    kept = ", ".join(f"{name} {version}" for name, version in versions("torch", "numpy").items())
    lines = [
        f"# {study.title}, preset `{preset}`",
        "",
        f"`{command}`, {datetime.date.today().isoformat()}, {processor()}, {kept}. "
        f"{done} of {len(runs)} runs are done.",
        "",
        "Accuracy in % of the test split at the best validated step, mean ± standard deviation over seeds (their "
        "number). *Paper*: what the paper prints, of other sizes and budgets. All models of a task had the same data, "
        "steps and batches.",
        "",
        *_accuracy_table(study, found),
        "",
        *_cost_table(found),
        "",
        *[f"- {title}: {origin}" for title, origin in _origins(found).items()],
    ]
    return "\n".join(lines) + "\n"


def _accuracy_table(study: Study, found: Sequence[Finding]) -> list[str]:
    tasks = [task for task in study.tasks if any(finding.task == task for finding in found)]
    by_key = {(finding.task, finding.contender): finding for finding in found}
    header = ["model"]
    for task in tasks:
        header += [TASKS[task].title, "*paper*"]
    rows = []
    for contender in study.contenders:
        row = [CONTENDERS[contender].title]
        for task in tasks:
            finding = by_key.get((task, contender))
            paper = ACCURACY.get(contender, {}).get(task)
            row += ["" if finding is None else _accuracy(finding), "" if paper is None else f"*{paper:g}*"]
        if any(row[1::2]):
            rows.append(row)
    levels = {task: _levels(next(finding for finding in found if finding.task == task)) for task in tasks}
    for name in dict.fromkeys(name for level in levels.values() for name in level):
        row = [f"no model: {name}"]
        for task in tasks:
            row += [levels[task].get(name, ""), ""]
        rows.append(row)
    return _table(header, rows)


def _cost_table(found: Sequence[Finding]) -> list[str]:
    rmt = {finding.task: finding for finding in found if finding.contender == "rmt"}
    header = [
        "task", "model", "parameters", "steps x batch", "training s", "peak MB", "speed / RMT's", "memory / RMT's",
        "*paper: speed / RMT's*", "*paper: GB*",
    ]  # fmt: skip
    rows = []
    for finding in found:
        beside = rmt.get(finding.task)
        speed = SPEED_OF_RMT.get(finding.contender, {}).get(finding.task)
        peak = PEAK_GIGABYTES.get(finding.contender, {}).get(finding.task)
        rows.append(
            [
                TASKS[finding.task].title,
                CONTENDERS[finding.contender].title,
                f"{finding.parameters:,}",
                f"{finding.steps:,} x {finding.batch_size}",
                f"{finding.seconds:.0f}",
                f"{finding.peak_megabytes:.1f}",
                "" if beside is None else f"{beside.seconds / finding.seconds:.2f}",
                "" if beside is None else f"1/{beside.peak_megabytes / finding.peak_megabytes:.1f}",
                "" if speed is None else f"*{speed:g}*",
                "" if peak is None else f"*{peak:g}*",
            ]
        )
    return _table(header, rows)


def _accuracy(finding: Finding) -> str:
    spread = "" if finding.spread is None else f" ± {finding.spread:.1f}"
    return f"{finding.accuracy:.1f}{spread} ({finding.seeds})"


def _levels(finding: Finding) -> dict[str, str]:
    return dict(level.split(": ") for level in finding.levels.split("; ") if level)


def _origins(found: Sequence[Finding]) -> dict[str, str]:
    return {
        TASKS[finding.task].title: f"{finding.origin}; {finding.test_sequences:,} test sequences" for finding in found
    }


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
