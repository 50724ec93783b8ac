import json
import sys
from dataclasses import replace

from benchmarks import runs
from distill import default_tables
from model.networks.parameters import ModelParameters
from model.tasks import SHORT
from model.tasks.listops import generate
from model.training.evaluation import evaluate
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunConfiguration


def test_a_scored_run_is_collected_with_its_settings_score_and_curve(tmp_path, monkeypatch):
    parameters = replace(SHORT, train_size=32, validation_size=8, test_size=8)
    task = generate(parameters)
    model = ModelParameters(width=8, heads=2, layers=1, feed_forward_width=8)
    training = TrainingParameters(steps=4, batch_size=8, validate_every=2, device="cpu")
    configuration = RunConfiguration("listops", parameters, None, task.sha256(), model, training)
    train(configuration, task, default_tables(), tmp_path / "run")
    score = evaluate(tmp_path / "run", task)
    monkeypatch.setattr(sys, "argv", ["runs", f"first={tmp_path / 'run'}", "--out", str(tmp_path / "result.json")])
    runs.main()
    found = json.loads((tmp_path / "result.json").read_text())["runs"]["first"]
    assert (found["accuracy"], found["trivial_levels"]) == (score.accuracy, score.trivial_levels)
    assert found["settings"].items() >= {"steps": 4, "width": 8, "device": "cpu"}.items()
    assert found["task"]["train_size"] == 32
    assert found["sequences"] == 32
    assert list(found["validation_accuracy"]) == ["2", "4"]
