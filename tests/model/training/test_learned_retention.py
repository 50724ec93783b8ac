"""A training with learned retention writes the learned curve as tables, resumes to the bit, and can be exported."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from distill import read_tables
from distill.comparison import compare
from distill.learned import learned_from
from distill.summary import summarize, variants
from model.networks.streaming import ClassifierStream, LanguageModelStream
from model.prediction.pretrained import Pretrained, export_run, import_run
from model.training.evaluation import evaluate, load_run
from model.training.loop import train
from model.training.run_folder import RunFolder
from rmaat.base.errors import OutOfTime


@pytest.fixture(scope="module")
def learning(configuration):
    """The settings of a training that learns an increment per segment."""
    training = replace(configuration.training, learning_rate=0.05)
    return replace(configuration, model=replace(configuration.model, retention="learned"), training=training)


@pytest.fixture(scope="module")
def finished(task, learning, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned") / "run"
    train(learning, task, tables, folder)
    return folder


def test_the_run_folder_holds_the_tables_of_the_best_state(finished, tables):
    folder = RunFolder(finished)
    learned, segments = read_tables(folder.learned), folder.read_configuration().model.segments
    assert learned.longest == segments
    factors = learned.retention(segments, "learned")
    model = load_run(folder)
    expected = model.retention(segments, torch.tensor([segments]))[:, 0].detach()
    np.testing.assert_allclose(factors, expected, rtol=1e-6)
    assert np.abs(factors - tables.retention(segments)).max() > 1e-3
    # All distilled variants are those of the tables that the training started from.
    for variant in tables.variants:
        np.testing.assert_allclose(learned.retention(segments, variant), tables.retention(segments, variant), rtol=1e-9)


def test_the_learned_tables_are_shown_and_compared(finished, tables):
    learned = read_tables(RunFolder(finished).learned)
    assert "variant learned, T = 4" in summarize(learned, 4, "learned")
    assert "learned" in variants(learned, 4)
    differences = [difference for difference in compare(learned, tables) if difference.matters]
    assert [str(difference) for difference in differences] == [
        "most segments: 4 | 64",
        "retention learned: present | left out",
    ]
    assert learned_from(learned, 4).sum() == pytest.approx(1)


def test_a_stopped_run_resumes_to_the_same_learned_curve(finished, learning, task, tables, tmp_path):
    calls = iter(range(100))
    with pytest.raises(OutOfTime):
        train(learning, task, tables, tmp_path / "run", is_over=lambda: next(calls) == 6)
    train(learning, task, tables, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").learned.read_bytes() == RunFolder(finished).learned.read_bytes()


def test_an_exported_model_keeps_its_learned_factors(finished, task, tmp_path):
    export_run(finished, tmp_path / "model")
    found = Pretrained.read(tmp_path / "model").model.retention.state_dict()
    expected = load_run(RunFolder(finished)).retention.state_dict()
    assert found.keys() == expected.keys() == {"log_increment"}
    assert torch.equal(found["log_increment"], expected["log_increment"])
    import_run(tmp_path / "model", tmp_path / "again")
    assert evaluate(tmp_path / "again", task).loss == evaluate(finished, task).loss


def test_a_stream_with_learned_factors_gives_the_logits_of_whole_sequences(make_model):
    model = make_model(retention="learned_saturation", memory_rule="share").eval()
    tokens = torch.randint(1, 16, (2, 37), generator=torch.Generator().manual_seed(4))
    stream = ClassifierStream(model, batch=2)
    stream.feed(tokens)
    with torch.no_grad():
        expected = model(tokens, torch.tensor([37, 37]))
    torch.testing.assert_close(stream.logits(), expected)


def test_a_language_model_learns_its_factors(make_language_model):
    model = make_language_model(retention="learned_saturation")
    tokens = torch.randint(1, 16, (2, 45), generator=torch.Generator().manual_seed(4))
    loss, _ = model.loss(tokens)
    loss.backward()
    assert bool((model.retention.logit.grad[:4] != 0).all())
    with torch.no_grad():
        expected, _ = model(tokens)
    torch.testing.assert_close(LanguageModelStream(model, 2).feed(tokens), expected)
