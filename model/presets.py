"""Named settings: a task, a model and a training that fit together. All are ours; the paper's are not public."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from model.parameters import ModelParameters, TrainingParameters
from model.run_folder import RunConfiguration
from model.tasks.dataset import TaskData
from model.tasks.diagnostics import CopyParameters, DiagnosticParameters, NeedleParameters, RecallParameters
from model.tasks.encoding import SEPARATOR
from model.tasks.hub import full_name
from model.tasks.image import ImageParameters
from model.tasks.listops import OFFICIAL, SHORT
from model.tasks.pairs import RetrievalParameters, SameFilmParameters
from model.tasks.pathfinder import PathfinderParameters
from model.tasks.settings import TaskParameters
from model.tasks.text import TextParameters
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
            full_name(source) if source else None,
            task.sha256(),
            self.model,
            self.training,
            versions("torch", "numpy"),
        )


def _model(vocabulary: int, classes: int, segments: int, segment_length: int) -> ModelParameters:
    """The small model: 64 wide, two layers, 8 memory tokens."""
    return ModelParameters(
        vocabulary=vocabulary, classes=classes, segments=segments, segment_length=segment_length, readout="every"
    )


def _diagnostic(parameters: DiagnosticParameters, vocabulary: int) -> Preset:
    """Four segments, the answer and the question in different ones."""
    model = dataclasses.replace(_model(vocabulary, parameters.values, 4, parameters.length // 4), readout="last")
    training = TrainingParameters(steps=2000, batch_size=32, validate_every=200)
    return Preset(parameters, model, training, "512 tokens in 4 segments, 20,000 samples: minutes on 2 CPU cores")


def _two_encodings(documents: str) -> tuple[ModelParameters, TrainingParameters, str]:
    """Two documents apart, each in 8 segments of 512."""
    model = dataclasses.replace(_model(256, 2, 8, 512), separator=SEPARATOR)
    training = dataclasses.replace(_LONG, batch_size=8)
    return model, training, f"two {documents} of up to 4,000 bytes encoded apart, each in 8 segments of 512"


_LONG = TrainingParameters(steps=3000, batch_size=16, learning_rate=1e-3, validate_every=300)
_PIXELS = TrainingParameters(steps=4000, batch_size=32, learning_rate=1e-3, validate_every=400)

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
        "small": Preset(
            dataclasses.replace(OFFICIAL, train_size=20_000),
            _model(16, 10, 8, 250),
            _LONG,
            "LRA's lengths, 20,000 samples, 8 segments of 250: up to an hour on 2 CPU cores",
        ),
    },
    "text": {
        "small": Preset(
            TextParameters(),
            _model(257, 2, 8, 500),
            _LONG,
            "reviews of up to 4,000 bytes, 8 segments of 500: up to an hour on 2 CPU cores",
        )
    },
    "retrieval": {
        "small": Preset(
            RetrievalParameters(),
            _model(256, 2, 16, 512),
            dataclasses.replace(_LONG, batch_size=8),
            "two papers of up to 4,000 bytes one after the other, 16 segments of 512: about an hour on 2 CPU cores",
        ),
        "two_encodings": Preset(RetrievalParameters(), *_two_encodings("papers")),
    },
    "same_film": {
        "small": Preset(
            SameFilmParameters(),
            _model(256, 2, 16, 512),
            dataclasses.replace(_LONG, batch_size=8),
            "two reviews of up to 4,000 bytes one after the other, 16 segments of 512: about an hour on 2 CPU cores",
        ),
        "two_encodings": Preset(SameFilmParameters(), *_two_encodings("reviews")),
    },
    "image": {
        "small": Preset(
            ImageParameters(),
            _model(257, 10, 2, 512),
            _PIXELS,
            "2 segments of 512 pixels: up to an hour on 2 cores",
        )
    },
    "pathfinder": {
        "small": Preset(
            PathfinderParameters(train_size=20_000, validation_size=2_000, test_size=2_000),
            _model(257, 2, 4, 256),
            _PIXELS,
            "20,000 images, 4 segments of 256 pixels: up to an hour on 2 CPU cores",
        )
    },
    "copy": {"small": _diagnostic(CopyParameters(), 29)},
    "recall": {"small": _diagnostic(RecallParameters(), 29)},
    "needle": {"small": _diagnostic(NeedleParameters(), 21)},
}
"""By task, then by name; the first of a task is its default."""
