"""Named settings of a task, a model and a training that fit together; all are ours, as the paper's are not public.

docs/architecture.md, "Where to add", tells how to add a task. `model/studies/contenders.py` has the models of a
comparison.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.networks.parameters import ModelParameters
from model.studies.settings import RunSettings
from model.tasks.data.dataset import TaskData, TaskParameters
from model.tasks.data.encoding import SEPARATOR
from model.tasks.data.hub import full_name
from model.tasks.diagnostics import CopyParameters, DiagnosticParameters, NeedleParameters, RecallParameters
from model.tasks.documents import DocumentsParameters
from model.tasks.image import ImageParameters
from model.tasks.listops import OFFICIAL, SHORT
from model.tasks.pairs import RetrievalParameters, SameFilmParameters
from model.tasks.pathfinder.task import PathfinderParameters
from model.tasks.text import TextParameters
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunConfiguration
from rmaat.base.provenance import versions


@dataclass(frozen=True)
class Preset:
    """Settings of a task, a model and a training that fit together."""

    task_parameters: TaskParameters
    model: ModelParameters
    training: TrainingParameters
    meaning: str

    def settings(self, source: Path | None = None) -> RunSettings:
        """The settings as a file has them, for data at `source`."""
        return RunSettings(self.task_parameters, self.model, self.training, str(source or ""))

    def with_settings(self, settings: RunSettings) -> "Preset":
        """A copy with `settings` in place of its own."""
        return Preset(settings.task_parameters, settings.model, settings.training, self.meaning)

    def configuration(self, task: TaskData, source: Path | None = None) -> RunConfiguration:
        """The configuration of a run of these settings on `task`, whose files are at `source`."""
        return RunConfiguration(
            self.task_parameters.kind,
            self.task_parameters,
            full_name(source) if source else None,
            task.sha256(),
            self.model,
            self.training,
            versions("torch", "numpy"),
            labels=task.labels,
        )


def _small(vocabulary: int, classes: int, segments: int, segment_length: int) -> ModelParameters:
    """32 wide, two layers, 8 memory tokens: two CPU cores train it in minutes."""
    return ModelParameters(
        vocabulary=vocabulary,
        classes=classes,
        segments=segments,
        segment_length=segment_length,
        width=32,
        heads=2,
        feed_forward_width=64,
        readout="every",
    )


def _paper(vocabulary: int, classes: int, segments: int, segment_length: int) -> ModelParameters:
    """128 wide, four layers, 16 memory tokens, with the paper's number of segments; its own sizes are not public."""
    return ModelParameters(
        vocabulary=vocabulary,
        classes=classes,
        segments=segments,
        segment_length=segment_length,
        width=128,
        layers=4,
        feed_forward_width=512,
        memory_tokens=16,
        dropout=0.1,
        readout="every",
    )


def _diagnostic(parameters: DiagnosticParameters, vocabulary: int) -> dict[str, Preset]:
    """Presets of a diagnostic, with the answer and the question in different segments of 16 tokens.

    Each setting that differs from the other presets is one without which copy or recall stays at the guess among the
    values shown (docs/reproduce.md): the last token's readout, shorter sequences in training, memory rows that start
    apart, and a convolution that lets a value see its key.
    """
    training = TrainingParameters(steps=1500, batch_size=32, learning_rate=4e-3, decayed="matrices", validate_every=500)
    return {
        "small": _of_segments(parameters, vocabulary, 4, training),
        "long": _of_segments(parameters, vocabulary, 16, dataclasses.replace(training, steps=2000)),
        "brief": _brief(_of_segments(parameters, vocabulary, 4, training)),
    }


def _brief(preset: Preset) -> Preset:
    """A preset for many short trainings: two items, and steps that end while models still differ."""
    parameters, model = preset.task_parameters, preset.model
    if isinstance(parameters, CopyParameters | RecallParameters):
        dropped = parameters.items - 2
        parameters = dataclasses.replace(parameters, items=2)
        # Each item has a token of its own in the question.
        model = dataclasses.replace(model, vocabulary=model.vocabulary - dropped)
    model = dataclasses.replace(model, layers=1)
    sizes = {"train_size": 12_000, "validation_size": 250, "test_size": 500}
    training = dataclasses.replace(preset.training, **_BRIEF)
    meaning = f"{model.longest_sequence} tokens in {model.segments} segments, two items: seconds on a CPU core"
    return Preset(parameters.override(sizes), model, training, meaning)


_BRIEF: dict[str, Any] = {
    "steps": 120, "learning_rate": 1e-2, "warmup_steps": 20, "validate_every": 60, "differentiation": "bptt",
}  # fmt: skip
"""Training of the `brief` presets: BPTT, which has the bits of AMRB, because four small graphs fit anywhere."""


def _of_segments(
    parameters: DiagnosticParameters, vocabulary: int, segments: int, training: TrainingParameters
) -> Preset:
    length = 16 * segments
    model = dataclasses.replace(
        _small(vocabulary, parameters.values, segments, 16),
        readout="token",
        initial_memory_scale=1.0,
        local_mixing=3,
        local_side="past",
    )
    return Preset(
        dataclasses.replace(parameters, length=length, gap=length // 4, shortest_length=16),
        model,
        training,
        f"{length} tokens in {segments} segments, 20,000 samples: one to two minutes on a CPU core",
    )


_PLAIN = TrainingParameters(
    steps=400, batch_size=16, learning_rate=2e-3, warmup_steps=50, validate_every=200, most_scored=2500
)
# On ListOps a model stays on a plateau for hundreds of steps; small batches get it off after fewer sequences.
_PLAIN_LISTOPS = dataclasses.replace(_PLAIN, steps=1200, batch_size=8, warmup_steps=100, validate_every=400)
_PLAIN_PAIRS = dataclasses.replace(_PLAIN, batch_size=8)
_SMALL = TrainingParameters(
    steps=500, batch_size=32, learning_rate=4e-3, decayed="matrices", validate_every=100, most_scored=2500
)


def _hour(steps: int, **changes: Any) -> TrainingParameters:
    """The training of the `hour` presets."""
    return dataclasses.replace(_SMALL, steps=steps, validate_every=400, most_scored=0, **changes)


def _paper_training(steps: int, batch_size: int) -> TrainingParameters:
    """The training of the `paper` presets, for one GPU."""
    return TrainingParameters(
        steps=steps,
        batch_size=batch_size,
        learning_rate=1e-3,
        warmup_steps=1000,
        weight_decay=0.05,
        decayed="matrices",
        validate_every=1000,
        compile=True,
    )


_NOT_RUN = "for one GPU; not run by us yet"

# What each option gives is in docs/reproduce.md.
_OF_BYTES = {"norm": "pre", "ngrams": (2, 3, 4, 5), "ngram_buckets": 12288}
"""Options for text."""
_OF_PICTURES = {
    "norm": "pre",
    "pixels": "continuous",
    "pixel_patch": 5,
    "local_mixing": 3,
    "local_dilations": (1, 32),
    "local_into": "rows",
}
"""Options for pictures of 32 pixels a row: patches, and the neighbours to the left, right, above and below."""
_OF_BRACKETS = {"norm": "pre", "local_mixing": 99}
"""Options for ListOps: brackets far away tell how deep a digit is nested."""
_OF_LRA_BRACKETS = _small(16, 10, 2, 1000).override(_OF_BRACKETS)
"""The model of ListOps on a CPU core; a run can start from another one only if both have it."""


def _pairs(parameters: TaskParameters, documents: str, paper_steps: int) -> dict[str, Preset]:
    """Presets of a task of two documents, which are encoded one after the other, or apart."""
    apart = dataclasses.replace(_small(256, 2, 8, 512), separator=SEPARATOR)
    both = f"two {documents} of up to 4,000 bytes"
    compared = apart.override(_OF_BYTES | {"pair_head": "compared"})
    paper = dataclasses.replace(_paper(256, 2, 8, 512), separator=SEPARATOR)
    return {
        "small": Preset(
            parameters,
            compared,
            dataclasses.replace(_SMALL, batch_size=16),
            f"{both} encoded apart, each in 8 segments of 512: minutes on a CPU core",
        ),
        "paper": Preset(
            parameters,
            paper.override(_OF_BYTES | {"pair_head": "compared"}),
            _paper_training(paper_steps, 32),
            f"{both} encoded apart, each in 8 segments of 512, {_NOT_RUN}",
        ),
        "plain": Preset(
            parameters,
            _small(256, 2, 16, 512),
            _PLAIN_PAIRS,
            f"{both} one after the other, 16 segments of 512, without our options",
        ),
        "two_encodings": Preset(
            parameters, apart, _PLAIN_PAIRS, f"{both} encoded apart, each in 8 segments of 512, without our options"
        ),
    }


PRESETS: dict[str, dict[str, Preset]] = {
    "listops": {
        "short": Preset(
            SHORT,
            ModelParameters(
                segments=2, segment_length=100, norm="pre", readout="every", local_mixing=_OF_BRACKETS["local_mixing"]
            ),
            dataclasses.replace(_SMALL, steps=3200, validate_every=400, most_scored=0),
            "expressions of 20 to 200 tokens in 2 segments: five minutes on a CPU core",
        ),
        "brief": Preset(
            dataclasses.replace(SHORT, longest_length=100, train_size=12_000, validation_size=250, test_size=500),
            dataclasses.replace(_small(16, 10, 4, 25), layers=1, norm="pre", local_mixing=25),
            dataclasses.replace(_SMALL, batch_size=16, **_BRIEF),
            "expressions of 20 to 100 tokens in 4 segments: seconds on a CPU core",
        ),
        # Without short expressions a model stays at the commonest label for a thousand steps.
        "small": Preset(
            dataclasses.replace(OFFICIAL, shortest_training=20, train_size=40_000),
            _OF_LRA_BRACKETS,
            dataclasses.replace(_SMALL, steps=1500, batch_size=16, validate_every=300),
            "LRA's lengths, short expressions in training too, 2 segments of 1,000: minutes on a CPU core",
        ),
        "hour": Preset(
            OFFICIAL,
            _OF_LRA_BRACKETS,
            _hour(6000, batch_size=16, learning_rate=3e-3),
            "as small, to start from a run of hour_start: 45 minutes on a CPU core",
        ),
        "hour_start": Preset(
            dataclasses.replace(SHORT, train_size=160_000),
            _OF_LRA_BRACKETS,
            _hour(10_000, batch_size=32, learning_rate=5e-3),
            "expressions of 20 to 200 tokens, for hour to start from: ten minutes on a CPU core",
        ),
        # The paper counts ListOps as 8K. LRA's expressions have fewer than 2,000 tokens, so brackets are our guess.
        "brackets_8x1024": Preset(
            dataclasses.replace(OFFICIAL, brackets="kept"),
            _paper(18, 10, 8, 1024),
            _paper_training(30_000, 64),
            f"LRA's expressions with their round brackets, up to 5,995 tokens in 8 segments of 1,024, {_NOT_RUN}",
        ),
        "paper": Preset(
            OFFICIAL,
            _paper(16, 10, 2, 1000).override(_OF_BRACKETS),
            _paper_training(30_000, 64),
            f"LRA's setting, 2 segments of 1,000, {_NOT_RUN}",
        ),
        "plain": Preset(
            dataclasses.replace(OFFICIAL, train_size=20_000),
            _small(16, 10, 8, 250),
            _PLAIN_LISTOPS,
            "LRA's lengths, 20,000 samples, 8 segments of 250, without our options",
        ),
    },
    "text": {
        "small": Preset(
            TextParameters(),
            _small(257, 2, 8, 500).override(_OF_BYTES),
            _SMALL,
            "reviews of up to 4,000 bytes, 8 segments of 500: three minutes on a CPU core",
        ),
        "hour": Preset(
            TextParameters(),
            _small(257, 2, 8, 500).override(_OF_BYTES | {"dropout": 0.1}),
            dataclasses.replace(_hour(1600), validate_every=200),
            "as small, for two epochs: a quarter of an hour on a CPU core",
        ),
        "paper": Preset(
            TextParameters(),
            _paper(257, 2, 8, 500).override(_OF_BYTES),
            _paper_training(5_000, 32),
            f"8 segments of 500, {_NOT_RUN}",
        ),
        "plain": Preset(
            TextParameters(),
            _small(257, 2, 8, 500),
            _PLAIN,
            "reviews of up to 4,000 bytes, 8 segments of 500, without our options",
        ),
    },
    "documents": {
        "small": Preset(
            DocumentsParameters(),
            _small(257, 2, 8, 500).override(_OF_BYTES),
            dataclasses.replace(_SMALL, overlong="cut"),
            "your own texts, cut after 4,000 bytes, 8 segments of 500: minutes on a CPU core",
        ),
        "paper": Preset(
            DocumentsParameters(),
            _paper(257, 2, 8, 500).override(_OF_BYTES),
            dataclasses.replace(_paper_training(5_000, 32), overlong="cut"),
            f"your own texts, cut after 4,000 bytes, 8 segments of 500, {_NOT_RUN}",
        ),
    },
    "retrieval": _pairs(RetrievalParameters(), "papers", 30_000),
    "same_film": _pairs(SameFilmParameters(), "reviews", 10_000),
    "image": {
        "small": Preset(
            ImageParameters(),
            _small(257, 10, 2, 512).override(_OF_PICTURES),
            dataclasses.replace(_SMALL, learning_rate=5e-3),
            "2 segments of 512 pixels: three minutes on a CPU core",
        ),
        "hour": Preset(
            ImageParameters(),
            _small(257, 10, 2, 512).override(_OF_PICTURES),
            _hour(5600, learning_rate=5e-3, warmup_steps=200),
            "as small, for four epochs: half an hour on a CPU core",
        ),
        "paper": Preset(
            ImageParameters(),
            _paper(257, 10, 2, 512).override(_OF_PICTURES),
            _paper_training(35_000, 64),
            f"2 segments of 512, {_NOT_RUN}",
        ),
        "plain": Preset(
            ImageParameters(), _small(257, 10, 2, 512), _PLAIN, "2 segments of 512 pixels, without our options"
        ),
    },
    "pathfinder": {
        "small": Preset(
            PathfinderParameters(train_size=20_000, validation_size=2_000, test_size=2_000),
            _small(257, 2, 4, 256).override(_OF_PICTURES),
            _SMALL,
            "20,000 hard images, 4 segments of 256 pixels: minutes on a CPU core, which are too few to learn it",
        ),
        "hour": Preset(
            PathfinderParameters(train_size=80_000, validation_size=2_000, test_size=4_000),
            _small(257, 2, 4, 256).override(_OF_PICTURES),
            _hour(5000),
            "80,000 images, 4 segments of 256 pixels, to start from a run on easy ones: half an hour on a CPU core",
        ),
        "paper": Preset(
            PathfinderParameters(),
            _paper(257, 2, 4, 256).override(_OF_PICTURES),
            _paper_training(62_400, 128),
            f"4 segments of 256, {_NOT_RUN}",
        ),
        "plain": Preset(
            PathfinderParameters(train_size=20_000, validation_size=2_000, test_size=2_000),
            _small(257, 2, 4, 256),
            _PLAIN,
            "20,000 hard images, 4 segments of 256 pixels, without our options",
        ),
    },
    "copy": _diagnostic(CopyParameters(items=4), 25),
    "recall": _diagnostic(RecallParameters(items=4), 25),
    "needle": _diagnostic(NeedleParameters(), 21),
}
"""The presets by task, then by name; the first of a task is its default."""
