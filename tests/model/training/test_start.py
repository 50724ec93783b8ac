"""A training that starts from the weights of another run."""

from dataclasses import replace

import pytest
import torch

from model.errors import ModelError
from model.training.checkpoint import BEST, newest, weights_sha256
from model.training.evaluation import load_run
from model.training.loop import train
from model.training.run_folder import RunFolder


@pytest.fixture
def short(configuration):
    return replace(configuration, training=replace(configuration.training, steps=4, validate_every=2))


@pytest.fixture
def earlier(short, task, tables, tmp_path):
    train(short, task, tables, tmp_path / "earlier")
    return tmp_path / "earlier"


def test_the_first_weights_are_the_best_of_the_earlier_run_also_with_other_segments(
    short, task, tables, tmp_path, earlier
):
    still = replace(short.training, steps=1, learning_rate=1e-9, weight_decay=0.0)
    more = replace(short, training=still, model=replace(short.model, segments=short.model.segments + 2))
    train(more, task, tables, tmp_path / "later", start=earlier)
    first, second = (load_run(RunFolder(folder)) for folder in (earlier, tmp_path / "later"))
    for name, tensor in first.named_parameters():
        torch.testing.assert_close(second.get_parameter(name), tensor, rtol=0, atol=1e-8)


def test_the_run_states_the_digest_of_its_start_and_resumes_with_it_alone(short, task, tables, tmp_path, earlier):
    train(short, task, tables, tmp_path / "later", start=earlier)
    digest = weights_sha256(newest(earlier, BEST))
    assert RunFolder(tmp_path / "later").read_configuration().start_sha256 == digest
    train(short, task, tables, tmp_path / "later", start=earlier, resume=True)
    with pytest.raises(ModelError, match="another start_sha256"):
        train(short, task, tables, tmp_path / "later", resume=True)


def test_weights_of_another_size_are_refused_before_a_folder_is_made(short, task, tables, tmp_path, earlier):
    wider = replace(short, model=replace(short.model, feed_forward_width=short.model.feed_forward_width + 1))
    with pytest.raises(ModelError, match="feed_forward"):
        train(wider, task, tables, tmp_path / "later", start=earlier)
    assert not (tmp_path / "later").exists()
