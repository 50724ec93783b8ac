"""Small models and batches for the tests of `model`."""

from collections.abc import Callable

import pytest
import torch

from distill import default_tables
from model.network import SegmentClassifier, build_model
from model.parameters import ModelParameters

SEGMENT_LENGTH, SEGMENTS = 10, 5


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
def ragged_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, lengths and labels: sequences of 1 to 5 segments, most with a last segment that is not full."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.tensor([47, 12, 33, 40, 7, 50])
    tokens = torch.randint(1, 16, (6, 50), generator=generator)
    tokens[torch.arange(50) >= lengths[:, None]] = 0
    return tokens, lengths, torch.randint(0, 10, (6,), generator=generator)
