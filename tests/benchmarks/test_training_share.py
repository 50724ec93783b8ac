import dataclasses

import pytest

from benchmarks import training_share
from model.training import loop


def test_the_parts_add_up_to_the_training(tmp_path, monkeypatch, run_benchmark):
    preset = training_share.PRESET
    task = dataclasses.replace(
        preset.task_parameters, longest_length=40, train_size=50, validation_size=20, test_size=10
    )
    training = dataclasses.replace(preset.training, steps=3)
    monkeypatch.setattr(training_share, "PRESET", dataclasses.replace(preset, task_parameters=task, training=training))
    step = loop._Run._step
    found = run_benchmark(training_share, tmp_path / "result.json")
    seconds = found["seconds"]
    assert sum(seconds.values()) == pytest.approx(2 * seconds["all"])
    assert seconds["steps"] > 0
    assert seconds["validation"] > 0
    assert found["beside_the_steps"] == pytest.approx(1 - seconds["steps"] / seconds["all"])
    # The loop is as it was.
    assert loop._Run._step is step
