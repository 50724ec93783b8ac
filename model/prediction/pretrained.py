"""A pretrained model: a folder with the best weights of a run and all that is needed to use them.

README.md            the model card
config.json          what tools of the Hugging Face hub look for: kind, architecture, names of labels
configuration.json   task, model and training parameters, as in a run folder
tables.nc            the tables of the model
model.safetensors    the weights; several files if they are large
state.json           the step of the weights
evaluation.json      accuracy on the test split beside the trivial levels, if the run was scored

`model/pretrained/` holds those that come with the package, by name.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

import torch

from distill.tables import Tables, read_tables, write_tables
from model.errors import ModelError
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.prediction.card import model_card
from model.tasks.data.hub import PREFIX
from model.tasks.library import TASKS
from model.training.checkpoint import BEST, TrainingState, load_model, load_state, newest, write_model, write_state
from model.training.run_folder import Evaluation, RunConfiguration, RunFolder
from rmaat.base.files import atomic_folder, refuse_existing, write_text

CONFIG, CARD = "config.json", "README.md"


@dataclass(eq=False)
class Pretrained:
    """A trained classifier with the settings, tables and score of its run."""

    model: SegmentClassifier
    configuration: RunConfiguration
    tables: Tables
    state: TrainingState
    evaluation: Evaluation | None

    def __post_init__(self) -> None:
        self._trained = _digest(self.model)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the folder of a pretrained model, or the best model of a run folder, on the CPU.

        Raises
        ------
        ModelError
            The folder holds no model, or a file in it is damaged or of another architecture.
        """
        folder = RunFolder(path)
        configuration, tables = folder.read_configuration(), read_tables(folder.tables)
        model = build_model(configuration.model, tables)
        place = path if is_pretrained(path) else newest(path, BEST)
        load_model(place, model)
        evaluation = folder.read_evaluation() if folder.evaluation.exists() else None
        return cls(model, configuration, tables, load_state(place), evaluation)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, in the order of the model's logits."""
        configuration = self.configuration
        numbers = tuple(map(str, range(configuration.model.classes)))
        return configuration.labels or TASKS[configuration.task_parameters.kind].labels or numbers

    @property
    def is_changed(self) -> bool:
        """Whether the weights differ from those of the run, for example because they were trained further."""
        return _digest(self.model) != self._trained

    def write(self, folder: Path) -> None:
        """Write the files of this module into `folder`, which exists; an existing README.md stays.

        The score of the run is left out if the weights have changed since. The configuration does not name folders of
        this machine.
        """
        evaluation = None if self.is_changed else self.evaluation
        _write_run_files(RunFolder(folder), self._published(), self.tables, evaluation)
        write_model(folder, self.model)
        write_state(folder, self.state)
        write_text(folder / CONFIG, json.dumps(self._hub_config(), indent=2) + "\n")
        if not (folder / CARD).exists():
            card = model_card(self.configuration, self.labels, self.tables, self.state, evaluation, self.is_changed)
            write_text(folder / CARD, card)

    def _published(self) -> RunConfiguration:
        source = self.configuration.source
        public = source if source is not None and source.startswith(PREFIX) else None
        return dataclasses.replace(self.configuration, source=public, labels=self.labels)

    def _hub_config(self) -> dict[str, Any]:
        return {
            "model_type": "rmaat-classifier",
            "architectures": [self.configuration.model.architecture],
            "id2label": dict(enumerate(self.labels)),
        }


def is_pretrained(path: Path) -> bool:
    """Whether `path` is the folder of a pretrained model rather than of a run."""
    return any(path.glob("model*.safetensors"))


def export_run(run: str | Path, to: str | Path) -> None:
    """Write the best model of the run folder `run` as the folder `to` of a pretrained model.

    Raises
    ------
    ModelError
        As `Pretrained.read`.
    FileError
        `to` exists already, or cannot be written.
    """
    run, to = Path(run), Path(to)
    refuse_existing(to, "choose another --to")
    pretrained = Pretrained.read(run)
    with atomic_folder(to) as folder:
        pretrained.write(folder)


def import_run(pretrained: Path, to: Path) -> None:
    """Write the folder of a pretrained model as the run folder `to`, to score it or to draw its tables.

    The run cannot be resumed: the optimiser's moments are not part of a pretrained model. Raises as `export_run`.
    """
    refuse_existing(to, "choose another --to")
    found = Pretrained.read(pretrained)
    with atomic_folder(to) as folder:
        _write_run_files(RunFolder(folder), found.configuration, found.tables, found.evaluation)
        best = folder / f"{BEST}-{found.state.step:09d}"
        best.mkdir()
        write_model(best, found.model)
        write_state(best, found.state)


def packaged() -> dict[str, Path]:
    """The folders of the models that come with the package, by name."""
    root = resources.files("model").joinpath("pretrained")
    if not root.is_dir():
        return {}
    return {entry.name: Path(str(entry)) for entry in root.iterdir() if entry.joinpath(CONFIG).is_file()}


def find_pretrained(name: str | Path) -> Path:
    """The folder of the packaged model called `name`, else the folder `name` itself; `./text` is always a folder.

    Raises
    ------
    ModelError
        There is neither.
    """
    own = packaged()
    if str(name) in own and isinstance(name, str):
        return own[name]
    if not Path(name).is_dir():
        known = ", ".join(sorted(own)) or "none"
        raise ModelError(
            f"{name} is neither a run folder, nor a folder from rmaat export, nor a model of this package ({known})"
        )
    return Path(name)


def _write_run_files(
    folder: RunFolder, configuration: RunConfiguration, tables: Tables, evaluation: Evaluation | None
) -> None:
    folder.write_configuration(configuration)
    write_tables(tables, folder.tables)
    if evaluation is not None:
        folder.write_evaluation(evaluation)


def _digest(model: SegmentClassifier) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
