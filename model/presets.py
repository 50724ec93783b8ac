"""Named settings: a task, a model and a training that fit together. All are ours; the paper's are not public."""

from dataclasses import dataclass
from pathlib import Path

from model.parameters import ModelParameters, TrainingParameters
from model.run_folder import RunConfiguration
from model.tasks.dataset import TaskData
from model.tasks.listops import OFFICIAL, SHORT
from model.tasks.settings import TaskParameters
from rmaat.versions import versions


@dataclass(frozen=True)
class Preset:
    """Settings that fit together."""

    task_parameters: TaskParameters
    model: ModelParameters
    training: TrainingParameters
    meaning: str

    def configuration(self, task: TaskData, source: Path | None = None) -> RunConfiguration:
        """What decides a run of these settings on `task`."""
        return RunConfiguration(
            self.task_parameters.kind,
            self.task_parameters,
            str(source.resolve()) if source else None,
            task.sha256(),
            self.model,
            self.training,
            versions("torch", "numpy"),
        )


PRESETS: dict[str, dict[str, Preset]] = {
    "listops": {
        "short": Preset(
            SHORT,
            ModelParameters(),
            TrainingParameters(),
            "expressions of 20 to 200 tokens in 4 segments: minutes on 2 CPU cores",
        ),
        "official": Preset(
            OFFICIAL,
            ModelParameters(
                width=128,
                layers=4,
                feed_forward_width=512,
                segment_length=250,
                segments=8,
                memory_tokens=16,
                dropout=0.1,
            ),
            TrainingParameters(steps=30_000, batch_size=64, learning_rate=1e-3, warmup_steps=1000, validate_every=1000),
            "LRA's setting, 500 to 2,000 tokens in 8 segments: hours on a GPU; not run by us yet",
        ),
    },
}
"""By task, then by name; the first of a task is its default."""
