"""A run folder: the files that a training writes, in formats that common tools read; reading it needs no torch.

configuration.json   task, model and training parameters, versions
tables.nc            the tables of the model
metrics.csv          a row per validation
tensorboard/         the same for TensorBoard
checkpoint-*/        the last state, to resume from       model.safetensors, optimizer.safetensors, state.json
best-*/              the best state by validation         model.safetensors, state.json
evaluation.json      accuracy on the test split beside the trivial levels
learned.nc           the tables with the retention factors of the best state, if they are learned
lock                 locked by the process that trains; empty
cost.json            time and memory of the training; written by `rmaat reproduce` only
"""

import csv
import io
import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.tasks.library import TaskParameters
from model.training.parameters import TrainingParameters
from rmaat.base.files import read_json, read_text, write_text
from rmaat.base.nested import flattened
from rmaat.base.provenance import with_digest, without_digest
from rmaat.base.records import ParameterError

METRICS: tuple[str, ...] = (
    "step", "epoch", "train_loss", "learning_rate", "gradient_norm", "validation_loss", "validation_accuracy",
    "seconds", "skipped_steps",
)  # fmt: skip
WHOLE_NUMBERS = ("step", "skipped_steps")


@dataclass(frozen=True)
class RunConfiguration:
    """All settings that determine a run."""

    task: str
    task_parameters: TaskParameters
    source: str | None
    """absolute path of the files of the data, or None if the data are in the data folder"""
    data_sha256: str
    model: ModelParameters
    training: TrainingParameters
    versions: dict[str, str] = field(default_factory=dict)
    start_sha256: str | None = None
    """digest of the weights that the training started from, or None if they were drawn"""
    labels: tuple[str, ...] = ()
    """names of the labels, in their order; empty for numbers"""

    def differences(self, other: "RunConfiguration") -> list[str]:
        """The names of the settings in which two runs differ, apart from versions, source, names and devices.

        If `other` leaves the number of threads open (0), it is equal too.
        """
        mine, theirs = flattened(asdict(self)), flattened(asdict(other))
        # Runs of before labels had names lack them; `data_sha256` holds the labels of all sequences.
        passing = ("versions", "source", "labels", "training.device", "training.parallel")
        if not other.training.threads:
            passing += ("training.threads",)
        return [name for name in mine if mine[name] != theirs.get(name) and not name.startswith(passing)]


@dataclass(frozen=True)
class Evaluation:
    """The score of a run on the test split; accuracies are between 0 and 1."""

    accuracy: float
    standard_error: float
    """binomial, of `accuracy`"""
    loss: float
    trivial_levels: dict[str, float]
    """accuracy of the trivial levels on the whole test split, by name"""
    samples: int
    """sequences of the test split that were scored"""
    parameters: int
    best_step: int
    origin: str
    accuracy_by_distance: dict[str, float] = field(default_factory=dict)
    """accuracy by the tokens from the answer to the end of the sequence; empty except for diagnostics"""


@dataclass(frozen=True)
class Cost:
    """Time and memory of a training, with its device and date."""

    seconds: float
    """time of all steps and validations"""
    step_seconds: float
    """time of one step on the longest sequences, the least of several"""
    peak_bytes: int
    """peak memory of that step, above parameters, gradients and moments"""
    device: str
    date: str


@dataclass(frozen=True)
class RunFolder:
    """The paths of the files of one run, with their readers and writers."""

    path: Path

    @property
    def configuration(self) -> Path:
        """The file of the run's settings."""
        return self.path / "configuration.json"

    @property
    def tables(self) -> Path:
        """The file of the model's tables."""
        return self.path / "tables.nc"

    @property
    def learned(self) -> Path:
        """The file of the tables with the learned retention factors."""
        return self.path / "learned.nc"

    @property
    def metrics(self) -> Path:
        """The file with one row per validation."""
        return self.path / "metrics.csv"

    @property
    def evaluation(self) -> Path:
        """The file of the score on the test split."""
        return self.path / "evaluation.json"

    @property
    def cost(self) -> Path:
        """The file of the time and memory of the training."""
        return self.path / "cost.json"

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Write the score; raises `FileError`."""
        write_text(self.evaluation, json.dumps(with_digest(asdict(evaluation)), indent=2) + "\n")

    def read_evaluation(self) -> Evaluation:
        """Read the score.

        Raises
        ------
        ModelError
            The file is damaged.
        FileError
            The file does not exist.
        """
        hint = f"score the run again with: rmaat evaluate {self.path}"
        values = _read_fields(self.evaluation, Evaluation, hint)
        try:
            for mapping in ("trivial_levels", "accuracy_by_distance"):
                values[mapping] = {str(name): float(share) for name, share in values.get(mapping, {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelError(f"{self.evaluation} is damaged ({error}); {hint}") from error
        return Evaluation(**values)

    def write_cost(self, cost: Cost) -> None:
        """Write the time and memory of the training; raises `FileError`."""
        write_text(self.cost, json.dumps(asdict(cost), indent=2) + "\n")

    def read_cost(self) -> Cost:
        """Read the time and memory of the training; raises as `read_evaluation`."""
        return Cost(**_read_fields(self.cost, Cost, "delete it and run rmaat reproduce again"))

    def write_configuration(self, configuration: RunConfiguration) -> None:
        """Write the settings of the run; raises `FileError`."""
        values = {**asdict(configuration), "task_parameters": configuration.task_parameters.to_dict()}
        write_text(self.configuration, json.dumps(values, indent=2) + "\n")

    def read_configuration(self) -> RunConfiguration:
        """Read the settings of the run.

        Raises
        ------
        ModelError
            The folder holds no run, or its configuration is damaged.
        """
        if not self.configuration.exists():
            raise ModelError(f"{self.path} holds no run; train one with: rmaat train listops --out {self.path}")
        try:
            values = read_json(self.configuration)
            return RunConfiguration(
                task=values["task"],
                task_parameters=TaskParameters.from_dict(values["task_parameters"]),
                source=_text_or_none(values["source"]),
                data_sha256=values["data_sha256"],
                model=ModelParameters.from_dict(values["model"]),
                training=TrainingParameters.from_dict(values["training"]),
                versions=values["versions"],
                start_sha256=_text_or_none(values.get("start_sha256")),
                labels=tuple(map(str, values.get("labels", ()))),
            )
        except (ValueError, KeyError, TypeError, ParameterError) as error:
            raise ModelError(f"{self.configuration} is damaged ({error}); train again in another folder") from error

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace the file of metrics by `rows`; raises `FileError`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, METRICS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics, text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """Read the rows of `metrics.csv`; there are none before the first validation.

        Raises
        ------
        ModelError
            The file is damaged.
        """
        if not self.metrics.exists():
            return []
        try:
            rows = csv.DictReader(io.StringIO(read_text(self.metrics)))
            if missing := set(METRICS).difference(rows.fieldnames or ()):
                raise ValueError(f"no column {', '.join(sorted(missing))}")
            found = [{name: (int if name in WHOLE_NUMBERS else float)(row[name]) for name in METRICS} for row in rows]
            for row in found:
                if not 0 <= row["validation_accuracy"] <= 1:
                    raise ValueError(f"the accuracy of step {row['step']} is {row['validation_accuracy']}")
            return found
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise ModelError(f"{self.metrics} is damaged ({error}); delete it or train again") from error


def _read_fields(path: Path, kind: type, hint: str) -> dict[str, Any]:
    """Read the fields of the dataclass `kind` from a JSON file; fields with a default may be missing."""
    plain: dict[Any, Any] = {float: float, int: int, str: str}
    try:
        values = without_digest(read_json(path))
        return {
            entry.name: plain.get(entry.type, lambda value: value)(values[entry.name])
            for entry in fields(kind)
            if entry.default_factory is MISSING or entry.name in values
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({error!r}); {hint}") from error


def _text_or_none(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is not a path")
