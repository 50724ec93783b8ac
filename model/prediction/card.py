"""The model card of a trained classifier, written from its settings, score and tables."""

import json
from typing import Any

import yaml

from distill.tables import Tables
from model.networks.parameters import ModelParameters
from model.tasks.library import TASKS
from model.training.checkpoint import TrainingState
from model.training.parameters import TrainingParameters
from model.training.run_folder import Evaluation, RunConfiguration
from rmaat.base.records import Record

_USE = """\
```python
from model import load_classifier

classify = load_classifier("PATH")  # the folder of these files
for prediction in classify(["..."]):
    print(prediction.label, prediction.probabilities)
```"""


def model_card(
    configuration: RunConfiguration,
    labels: tuple[str, ...],
    tables: Tables,
    state: TrainingState,
    evaluation: Evaluation | None,
    is_changed: bool = False,
) -> str:
    """The card as Markdown with the metadata of the Hugging Face hub; `is_changed` weights are no longer the run's."""
    task = TASKS[configuration.task_parameters.kind]
    parts = [
        f"---\n{yaml.safe_dump(_metadata(configuration, evaluation), sort_keys=False, allow_unicode=True)}---",
        f"# {task.title}: {configuration.model.architecture} of RMAAT Toolkit",
        f"A classifier of {_joined(labels)}. It reads up to {configuration.model.longest_sequence:,} tokens, "
        f"{configuration.model.segment_length:,} at a time.",
        *([f"## Use\n\n{_USE}"] if task.encode else []),
        f"## Accuracy\n\n{_scores(evaluation, is_changed)}",
        f"## Limits\n\n{_limits(configuration, evaluation)}",
        f"## Data\n\n{_data(configuration, labels, evaluation)}",
        f"## Training\n\n{_training(configuration, state)}",
        f"## Model\n\n{_changed(configuration.model, ModelParameters())}",
        f"## Astrocytes\n\n{_astrocytes(configuration.model, tables)}",
    ]
    return "\n\n".join(parts) + "\n"


def _limits(configuration: RunConfiguration, evaluation: Evaluation | None) -> str:
    """What the accuracy does not say, and what the model does not read."""
    model = configuration.model
    scored = "of one seed, on data of the same origin as those of the training" if evaluation else "not measured here"
    lines = [
        f"- The accuracy is {scored}. Other data may give a lower one.",
        f"- Only the first {model.longest_sequence:,} tokens are read.",
        "- The probabilities are those of the training's loss; they were not calibrated.",
    ]
    hashed = ["n-grams"] * bool(model.ngrams) + ["words"] * bool(model.word_buckets)
    lines += [f"- The model reads hashed {kind}, and different {kind} can share a row of the table." for kind in hashed]
    return "\n".join(lines)


def _metadata(configuration: RunConfiguration, evaluation: Evaluation | None) -> dict[str, Any]:
    task = TASKS[configuration.task_parameters.kind]
    found: dict[str, Any] = {"library_name": "rmaat-toolkit", "tags": ["rmaat", "long-context", "astrocytes"]}
    if task.encode:
        found["pipeline_tag"] = "text-classification"
    if evaluation is not None:
        result = {
            "task": {"type": found.get("pipeline_tag", "other")},
            "dataset": {"name": evaluation.origin, "type": task.name},
            "metrics": [{"type": "accuracy", "value": round(evaluation.accuracy, 4)}],
        }
        found["model-index"] = [{"name": f"{configuration.model.architecture}-{task.name}", "results": [result]}]
    return found


def _scores(evaluation: Evaluation | None, is_changed: bool) -> str:
    if is_changed:
        return "The weights were changed after the run, so its score does not apply. Score them on data of your own."
    if evaluation is None:
        return "Not scored. `rmaat evaluate` scores a run; export it again afterwards."
    rows = [
        ("this model", f"{evaluation.accuracy:.1%} ± {evaluation.standard_error:.1%}"),
        *((f"{name} (needs no model)", f"{level:.1%}") for name, level in evaluation.trivial_levels.items()),
    ]
    return (
        f"On {evaluation.samples:,} test samples; the error is binomial, of one seed.\n\n"
        f"{_table(('scored', 'accuracy'), rows)}"
    )


def _data(configuration: RunConfiguration, labels: tuple[str, ...], evaluation: Evaluation | None) -> str:
    origin = evaluation.origin if evaluation else configuration.source or "not recorded"
    rows = [
        ("origin", origin),
        ("SHA-256 of all tokens and labels", configuration.data_sha256),
        ("labels", ", ".join(labels)),
        *((name, _plain(value)) for name, value in configuration.task_parameters.to_dict().items() if name != "kind"),
    ]
    return _table(("data", ""), rows)


def _training(configuration: RunConfiguration, state: TrainingState) -> str:
    head = (
        f"The weights are of step {state.step:,} of {configuration.training.steps:,}, the best by validation "
        f"({state.best_accuracy:.1%}). Seed {configuration.training.seed}."
    )
    versions = _table(("software", "version"), list(configuration.versions.items()))
    return f"{head}\n\n{_changed(configuration.training, TrainingParameters())}\n\n{versions}"


def _changed(record: Record, defaults: Record) -> str:
    """The settings of `record` that differ from the defaults."""
    plain = defaults.to_dict()
    rows = [(name, _plain(value)) for name, value in record.to_dict().items() if value != plain[name]]
    return f"Settings that differ from the defaults:\n\n{_table(('setting', 'value'), rows)}" if rows else "Defaults."


def _astrocytes(parameters: ModelParameters, tables: Tables) -> str:
    attributes = tables.dataset.attrs
    names = ("content_sha256", "traces_sha256", "engine", "seed", "solver", "versions")
    rows = [
        ("retention factors", parameters.retention if parameters.family.retains else "none"),
        *((name.replace("_", " "), str(attributes[name])) for name in names if name in attributes),
    ]
    return (
        "The model takes its retention factors, exponent and position decay from `tables.nc`, distilled from a "
        "simulation of astrocytes. All parameters of the simulation are in that file.\n\n"
        f"{_table(('tables', ''), rows)}"
    )


def _table(header: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"| {_cell(left)} | {_cell(right)} |" for left, right in [header, ("---", "---"), *rows])


def _cell(text: str) -> str:
    # Names of labels and files are any text: keep them in their cell, and no markup.
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`").replace("[", "\\[")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _joined(labels: tuple[str, ...]) -> str:
    shown = ", ".join(map(_cell, labels[:8]))
    return f"{len(labels)} labels: {shown}{', ...' if len(labels) > 8 else ''}"
