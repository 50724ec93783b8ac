"""Small models and batches for the tests of `model`."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from distill import default_tables
from model.networks.build import build_language_model, build_model
from model.networks.classifier import SegmentClassifier
from model.networks.language_model import LanguageModel
from model.networks.parameters import ModelParameters
from model.tasks import SHORT, TaskData, TokenDataset
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunConfiguration

SEGMENT_LENGTH, SEGMENTS = 10, 5


LEVELS = ("commonest_label", "root_operator")


@pytest.fixture(scope="session")
def tables():
    return default_tables()


@pytest.fixture
def make_model(tables) -> Callable[..., SegmentClassifier]:
    def make(dtype: torch.dtype = torch.float64, **changes) -> SegmentClassifier:
        torch.manual_seed(1)
        small = {
            "width": 16, "heads": 2, "layers": 2, "feed_forward_width": 24, "memory_tokens": 3,
            "segment_length": SEGMENT_LENGTH, "segments": SEGMENTS,
        }  # fmt: skip
        return build_model(ModelParameters.from_dict(small | changes), tables).to(dtype)

    return make


@pytest.fixture
def make_language_model(tables) -> Callable[..., LanguageModel]:
    def make(dtype: torch.dtype = torch.float64, **changes) -> LanguageModel:
        torch.manual_seed(1)
        small = {
            "width": 16, "heads": 2, "layers": 2, "feed_forward_width": 24, "memory_tokens": 3,
            "segment_length": SEGMENT_LENGTH, "segments": 12, "retention": "streaming",
        }  # fmt: skip
        if changes.get("architecture", "rmaat") != "rmaat":
            del small["retention"]
        return build_language_model(ModelParameters.from_dict(small | changes), tables).to(dtype)

    return make


@pytest.fixture
def ragged_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, lengths and labels of sequences of 1 to 5 segments, most with a partly filled last segment."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.tensor([47, 12, 33, 40, 7, 50])
    tokens = torch.randint(1, 16, (6, 50), generator=generator)
    tokens[torch.arange(50) >= lengths[:, None]] = 0
    return tokens, lengths, torch.randint(0, 10, (6,), generator=generator)


@pytest.fixture(scope="session")
def task() -> TaskData:
    """Classify sequences of 4 to 20 tokens by their first token, one of three."""
    generator = np.random.default_rng(6)

    def split(count):
        sequences = [generator.integers(1, 4, generator.integers(4, 21), dtype=np.uint8) for _ in range(count)]
        return TokenDataset.from_sequences([row.tobytes() for row in sequences], [int(row[0]) - 1 for row in sequences])

    return TaskData(
        "first token", "made for the test", ("", "a", "b", "c"), 3, split(96), split(40), split(40), levels=LEVELS
    )


@pytest.fixture(scope="session")
def configuration(task) -> RunConfiguration:
    model = ModelParameters(
        vocabulary=4, classes=3, width=16, heads=2, layers=1, feed_forward_width=16, segment_length=5, segments=4,
        memory_tokens=2, dropout=0.1,
    )  # fmt: skip
    training = TrainingParameters(
        steps=12, batch_size=16, warmup_steps=2, validate_every=4, accumulation=2, device="cpu"
    )
    return RunConfiguration("first token", SHORT, None, task.sha256(), model, training)
