"""The report of a study: tables in Markdown and CSV, with our figures and the paper's in separate columns."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.errors import ModelError
from model.studies.contenders import CONTENDERS
from model.studies.published import ACCURACY, PEAK_GIGABYTES, PEAK_GIGABYTES_OVER_TASKS, SPEED_AGAINST_RMT
from model.studies.study import Run, Study
from model.tasks.library import TASKS
from model.training.run_folder import RunFolder
from rmaat.base.files import write_text


@dataclass(frozen=True)
class Finding:
    """The results of one contender on one task over its seeds."""

    task: str
    contender: str
    accuracies: dict[int, float]
    """by seed, in % of the scored test sequences"""
    parameters: int
    steps: int
    batch_size: int
    test_sequences: int
    """number of scored test sequences"""
    seconds: dict[int, float]
    """time of steps and validations, by seed"""
    step_seconds: float
    """time of a training step, of the fastest seed"""
    peak_megabytes: float
    """peak memory of a training step, the highest of all seeds"""
    levels: dict[str, float]
    """accuracy of the trivial levels on the whole test split, in %, by name"""
    by_distance: dict[str, float]
    """mean accuracy in % by the tokens from the answer to the end of the sequence; diagnostics only"""
    origin: str
    made: tuple[str, ...]
    """devices, versions and dates of the trainings"""

    @property
    def accuracy(self) -> float:
        """Mean over seeds, in %."""
        return statistics.mean(self.accuracies.values())

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds in %, or None if there is one seed."""
        return statistics.stdev(self.accuracies.values()) if len(self.accuracies) > 1 else None

    @property
    def paper_accuracy(self) -> float | None:
        """The paper's accuracy in %, or None."""
        return _in_paper(ACCURACY, self.contender, self.task)


def _in_paper(figures: Mapping[str, Mapping[str, float]], contender: str, task: str) -> float | None:
    return figures.get(contender, {}).get(task)


def findings(runs: Sequence[Run]) -> list[Finding]:
    """Collect a finding for each task and contender of `runs` with at least one finished run.

    Raises
    ------
    ModelError
        A file of a run is damaged, or runs of one task were trained on different data.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    data: dict[str, str] = {}
    for run in runs:
        group = groups.setdefault((run.task, run.contender), [])
        if run.is_done():
            group.append(run)
            digest = RunFolder(run.place).read_configuration().data_sha256
            if data.setdefault(run.task, digest) != digest:
                raise ModelError(f"{run.place} was trained on other data than runs beside it; delete it and run again")
    return [_finding(group) for group in groups.values() if group]


def _finding(runs: list[Run]) -> Finding:
    folders = {run.seed: RunFolder(run.place) for run in runs}
    scores = {seed: folder.read_evaluation() for seed, folder in folders.items()}
    costs = {seed: folder.read_cost() for seed, folder in folders.items()}
    configurations = [folder.read_configuration() for folder in folders.values()]
    first, training = scores[runs[0].seed], runs[0].preset.training
    versions = {f"{name} {version}" for found in configurations for name, version in found.versions.items()}
    made = {word for cost in costs.values() for word in (cost.device, cost.date)} | versions
    return Finding(
        runs[0].task,
        runs[0].contender,
        {seed: 100 * score.accuracy for seed, score in scores.items()},
        first.parameters,
        training.steps,
        training.batch_size * training.accumulation,
        first.samples,
        {seed: cost.seconds for seed, cost in costs.items()},
        min(cost.step_seconds for cost in costs.values()),
        max(cost.peak_bytes for cost in costs.values()) / 1e6,
        {name: 100 * level for name, level in first.trivial_levels.items()},
        {
            distance: 100 * statistics.mean(score.accuracy_by_distance[distance] for score in scores.values())
            for distance in first.accuracy_by_distance
            if all(distance in score.accuracy_by_distance for score in scores.values())
        },
        first.origin,
        tuple(sorted(made)),
    )


def write_csv(path: Path, found: Sequence[Finding]) -> None:
    """Write a row for each task and contender; accuracies and spreads are in %, times in s; raises `FileError`."""
    text = io.StringIO()
    rows = [_csv_row(finding) for finding in found]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _csv_row(finding: Finding) -> dict[str, object]:
    return {
        "task": finding.task,
        "contender": finding.contender,
        "seeds": len(finding.accuracies),
        "accuracy": finding.accuracy,
        "spread": finding.spread,
        "paper_accuracy": finding.paper_accuracy,
        "parameters": finding.parameters,
        "steps": finding.steps,
        "batch_size": finding.batch_size,
        "test_sequences": finding.test_sequences,
        "seconds": statistics.mean(finding.seconds.values()),
        "step_seconds": finding.step_seconds,
        "peak_megabytes": finding.peak_megabytes,
        "accuracies": " ".join(f"{accuracy:.2f}" for accuracy in finding.accuracies.values()),
        "levels": "; ".join(f"{name}: {level:.1f}" for name, level in finding.levels.items()),
        "origin": finding.origin,
    }


def markdown(
    study: Study, preset: str, runs: Sequence[Run], found: Sequence[Finding], command: str, left_out: Mapping[str, str]
) -> str:
    """Write the study as a page: how, where and when it was run, accuracies, costs, data, and missing tasks.

    `left_out` gives the reason for each task without data.
    """
    done = sum(len(finding.accuracies) for finding in found)
    made = ", ".join(sorted({word for finding in found for word in finding.made}))
    lines = [
        f"# {study.title}, preset `{preset}`",
        "",
        f"`{command}`: {done} of {len(runs)} runs are done. {made}.",
        "",
        "Accuracy in % at the best validated step, mean ± standard deviation over seeds (their number). All models of "
        "a task had the same data, steps and batches. Trivial levels are of the whole test split. The paper's "
        "results, of other sizes and budgets, have their own columns.",
        "",
        *_accuracy_table(study, found),
        "",
        *_distance_tables(found),
        "Seconds are the wall time of all steps and validations, which includes other load on the machine. A step "
        "is one on the longest sequences, the fastest of several and of all seeds; memory is its peak above "
        "parameters, gradients and moments. Baselines differentiate by BPTT, as they were published, RMAAT and its "
        "ablations by AMRB, unless the name says otherwise: it is AMRB that saves the memory.",
        "",
        *_cost_table(found),
        "",
        *[f"- {title}: {origin}" for title, origin in _origins(found).items()],
        *[f"- {TASKS[task].title}: left out; {reason}" for task, reason in left_out.items()],
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
            paper = _in_paper(ACCURACY, contender, task)
            row += ["" if finding is None else _accuracy(finding), "" if paper is None else f"*{paper:g}*"]
        if any(row[1::2]):
            rows.append(row)
    levels = {finding.task: finding.levels for finding in found}
    for name in dict.fromkeys(name for level in levels.values() for name in level):
        row = [f"no model: {name}"]
        for task in tasks:
            row += [f"{levels[task][name]:.1f}" if name in levels[task] else "", ""]
        rows.append(row)
    return _table(header, rows)


def _distance_tables(found: Sequence[Finding]) -> list[str]:
    """A table of accuracies by distance for each diagnostic with answers at several distances."""
    lines: list[str] = []
    for task in dict.fromkeys(finding.task for finding in found if len(finding.by_distance) > 1):
        of_task = [finding for finding in found if finding.task == task]
        distances = list(of_task[0].by_distance)
        rows = [
            [CONTENDERS[finding.contender].title, *(f"{finding.by_distance[distance]:.1f}" for distance in distances)]
            for finding in of_task
        ]
        lines += [f"{TASKS[task].title}, by the tokens from the answer to the end of the sequence:", ""]
        lines += [*_table(["model", *distances], rows), ""]
    return lines


def _cost_table(found: Sequence[Finding]) -> list[str]:
    rmt = {finding.task: finding for finding in found if finding.contender == "rmt"}
    header = [
        "task", "model", "parameters", "steps x batch", "seconds", "ms a step", "peak MB", "speed / RMT's",
        "memory / RMT's", "*paper: speed / RMT's*", "*paper: GB*",
    ]  # fmt: skip
    rows = []
    for finding in found:
        beside = rmt.get(finding.task)
        speed = _in_paper(SPEED_AGAINST_RMT, finding.contender, finding.task)
        rows.append(
            [
                TASKS[finding.task].title,
                CONTENDERS[finding.contender].title,
                f"{finding.parameters:,}",
                f"{finding.steps:,} x {finding.batch_size}",
                f"{statistics.mean(finding.seconds.values()):.0f}",
                f"{1000 * finding.step_seconds:.0f}",
                f"{finding.peak_megabytes:.1f}",
                "" if beside is None else f"{beside.step_seconds / finding.step_seconds:.2f}",
                "" if beside is None else f"1/{beside.peak_megabytes / finding.peak_megabytes:.1f}",
                "" if speed is None else f"*{speed:g}*",
                _paper_peak(finding),
            ]
        )
    return _table(header, rows)


def _paper_peak(finding: Finding) -> str:
    """The paper's peak memory for this task, or its range over the tasks if it has no other."""
    peak = _in_paper(PEAK_GIGABYTES, finding.contender, finding.task)
    if peak is not None:
        return f"*{peak:g}*"
    bounds = PEAK_GIGABYTES_OVER_TASKS.get(finding.contender)
    if bounds is None or finding.task not in ACCURACY[finding.contender]:
        return ""
    return f"*{bounds[0]:g} to {bounds[1]:g} over tasks*"


def _accuracy(finding: Finding) -> str:
    spread = "" if finding.spread is None else f" ± {finding.spread:.1f}"
    return f"{finding.accuracy:.1f}{spread} ({len(finding.accuracies)})"


def _origins(found: Sequence[Finding]) -> dict[str, str]:
    return {
        TASKS[finding.task].title: f"{finding.origin}; {finding.test_sequences:,} test sequences" for finding in found
    }


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table without its empty columns, such as the paper's of a task it does not report."""
    filled = [place for place in range(len(header)) if any(row[place] for row in rows)]
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line[place] for place in filled) + " |" for line in lines]
