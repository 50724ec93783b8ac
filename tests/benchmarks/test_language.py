"""The comparison of language models: texts, scores, and a whole run on a text that any of them can learn."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from benchmarks import language
from benchmarks.language import Texts, bits, long_documents, new_model
from model.tasks import TokenDataset

LENGTH = 2 * 8 + 1


@pytest.fixture
def small(monkeypatch):
    """Two segments of 8, width 16, and documents that alternate between two bytes."""
    record = dataclasses.replace(
        language.RECURRENT, width=16, heads=2, layers=1, segments=2, segment_length=8, memory_tokens=2
    )
    monkeypatch.setattr(language, "RECURRENT", record)
    monkeypatch.setattr(language, "SEGMENTS", 2)
    monkeypatch.setattr(language, "SEGMENT_LENGTH", 8)
    monkeypatch.setattr(language, "ORDERS", (0, 1))
    monkeypatch.setattr(language, "RATES", (4e-3, 8e-3))
    chosen = {name: language.CONTENDERS[name] for name in ("rmaat", "linear_transformer")}
    monkeypatch.setattr(language, "CONTENDERS", chosen)
    texts = 98 + (np.arange(LENGTH) + np.arange(40)[:, None]) % 2
    monkeypatch.setattr(language, "read_texts", lambda *_: Texts(texts[:24], texts[24:32], texts[32:]))


@pytest.mark.usefixtures("small")
def test_documents_are_long_ones_and_the_same_in_every_call():
    lengths = np.random.default_rng(1).integers(5, 40, 60)
    sequences = [bytes([1 + row % 200] * length) for row, length in enumerate(lengths)]
    found = long_documents(TokenDataset.from_sequences(sequences, [0] * 60), 10)
    assert found.shape == (10, LENGTH)
    assert (lengths[found[:, 0] - 1] >= LENGTH).all()
    assert np.array_equal(found, long_documents(TokenDataset.from_sequences(sequences, [0] * 60), 10))


@pytest.mark.usefixtures("small")
def test_the_bits_of_a_text_are_the_loss_of_the_model():
    texts = np.random.default_rng(2).integers(1, 257, (3, LENGTH))
    model = new_model(language.RECURRENT, 0)
    loss, _ = model.loss(torch.from_numpy(texts))
    assert bits(model, texts).shape == (3, LENGTH - 1)
    assert bits(model, texts).mean() * np.log(2) == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.usefixtures("small")
def test_contenders_learn_a_text_without_chance_and_a_second_run_trains_nothing(tmp_path, run_benchmark, monkeypatch):
    arguments = ("--steps", "25", "--try-steps", "1", "--scored", "8", "--runs", str(tmp_path / "runs"))
    found = run_benchmark(language, tmp_path / "language.json", *arguments)
    assert found["contenders"].keys() == language.CONTENDERS.keys()
    for contender in found["contenders"].values():
        assert contender["bits_per_byte"] < contender["curve"][0]["validation_bits_per_byte"] < 7
        assert np.mean(contender["by_segment"]) == pytest.approx(contender["bits_per_byte"])
        assert contender["learning_rate"] == float(min(contender["tries"], key=contender["tries"].get))
    assert found["levels"]["Kneser-Ney, 1 bytes before"] < 0.1 < found["levels"]["single bytes"]
    assert found["contenders"]["rmaat"]["above_rmaat"] == 0

    monkeypatch.setattr(language, "train", lambda *_: pytest.fail("trained again"))
    assert run_benchmark(language, tmp_path / "again.json", *arguments)["contenders"] == found["contenders"]


def test_a_kept_result_of_other_settings_is_computed_again(tmp_path):
    path = tmp_path / "kept.json"
    assert language._kept(path, {"steps": 1}, lambda: "first") == "first"
    assert language._kept(path, {"steps": 1}, lambda: "second") == "first"
    assert language._kept(path, {"steps": 2}, lambda: "second") == "second"
    assert json.loads(path.read_text())["value"] == "second"
