"""Settings of a training in one file: those of its task, its model and its training.

    task_parameters:
      longest_length: 4000
    model:
      width: 64
    training:
      steps: 5000

The `configuration.json` of a run folder has the same form, with facts of that run beside the settings.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from model.networks.parameters import ModelParameters
from model.tasks.data.dataset import TaskParameters
from model.training.parameters import TrainingParameters
from rmaat.base.records import ParameterError, Record, parameter
from rmaat.base.records.record import require_mapping

FACTS = ("data_sha256", "versions", "start_sha256", "labels")
"""What the configuration of a run says beside its settings."""


@dataclass(frozen=True)
class RunSettings(Record):
    """The settings of a training, as a file has them."""

    task_parameters: TaskParameters
    model: ModelParameters
    training: TrainingParameters
    source: str = parameter("", "files of the data; empty for those of the data folder")

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As `Record`. Facts of a run are skipped, and another architecture drops the settings that it does not have.

        Raises
        ------
        ParameterError
            As `Record`, or `values` are of another task.
        """
        require_mapping(type(self), values)
        settings = {name: value for name, value in values.items() if name not in FACTS and value is not None}
        self._check_task(settings.pop("task", None), settings.get("task_parameters"))
        base, model = self, settings.get("model")
        if isinstance(model, Mapping) and "architecture" in model:
            base = dataclasses.replace(self, model=self.model.as_architecture(str(model["architecture"])))
        return super(RunSettings, base).changed(settings)

    def _check_task(self, *groups: Any) -> None:
        own = self.task_parameters.kind
        kinds = [group.get("kind", own) if isinstance(group, Mapping) else group or own for group in groups]
        for kind in kinds:
            if kind != own:
                raise ParameterError(f"these are settings of the task {kind}, not of {own}; name that task instead")
