"""A tiny run on own documents."""

import dataclasses
import json
from pathlib import Path

import pytest

from distill import default_tables
from model.networks.parameters import ModelParameters
from model.studies.presets import Preset
from model.tasks.documents import DocumentsParameters
from model.tasks.library import load_task
from model.training.evaluation import evaluate
from model.training.loop import train
from model.training.parameters import TrainingParameters

WORDS = {"for it": "good", "against | it": "bad"}


@pytest.fixture(scope="session")
def reviews(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("own") / "reviews.jsonl"
    rows = [
        {"review": f"{word} film {number} is {word}", "verdict": label}
        for label, word in WORDS.items()
        for number in range(30)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def scored_run(reviews, tmp_path_factory) -> Path:
    """A run folder of three steps, scored."""
    place = tmp_path_factory.mktemp("run") / "reviews"
    parameters = DocumentsParameters(text="review", label="verdict", test_share=0.3)
    task = load_task(parameters, reviews, place)
    model = ModelParameters(
        vocabulary=257, classes=2, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=6, segments=3,
        memory_tokens=2, dropout=0.1,
    )  # fmt: skip
    training = TrainingParameters(
        steps=3, batch_size=16, warmup_steps=1, validate_every=3, overlong="cut", device="cpu", seed=4
    )
    configuration = Preset(parameters, model, training, "").configuration(task, reviews)
    train(configuration, task, default_tables(), place)
    evaluate(place, task, "cpu")
    return place


@pytest.fixture
def run_of_other_task(scored_run, tmp_path) -> Path:
    """A copy of the run that claims to be of another task."""

    def make(parameters) -> Path:
        from shutil import copytree

        from model.training.run_folder import RunFolder

        folder = RunFolder(copytree(scored_run, tmp_path / parameters.kind))
        configuration = dataclasses.replace(folder.read_configuration(), task_parameters=parameters, labels=())
        folder.write_configuration(configuration)
        return folder.path

    return make
