"""The demo continues where it was interrupted; `make demo` runs it in full."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from model.studies.presets import PRESETS
from model.training import loop
from rmaat.base.errors import Interrupted
from rmaat.cli import main
from rmaat.commands import demo


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    short = PRESETS["listops"]["short"]
    model = replace(short.model, width=8, heads=2, layers=1, feed_forward_width=8, local_mixing=3)
    sizes = replace(short.task_parameters, train_size=40, validation_size=10, test_size=10)
    training = replace(short.training, steps=4, batch_size=8, validate_every=2)
    monkeypatch.setitem(
        PRESETS["listops"], "short", replace(short, model=model, task_parameters=sizes, training=training)
    )
    monkeypatch.setattr(demo, "SEQUENCES", 1)


@pytest.mark.slow
def test_an_interrupted_demo_names_the_command_that_continues_it(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise Interrupted("by the test")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", interrupted)
        assert main(["demo"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "rmaat: interrupted; continue with: rmaat demo --resume --out runs/demo"
    )
    # Simulated and distilled once.
    monkeypatch.setattr("astro_sim.simulate", interrupted)
    # A model this small need not exceed the trivial levels.
    assert main(["demo", "--resume", "--out", "runs/demo"]) in (0, 1)
    shown = capsys.readouterr().out
    assert "ListOps, 10 test samples" in shown
    assert "16 segments, same gradients" in shown
    assert main(["demo", "--resume", "--out", "runs/demo", "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found["evaluation"]["samples"] == 10
    assert found["steps"]["AMRB"]["peak_bytes"] < found["steps"]["BPTT"]["peak_bytes"]
    assert Path(found["report"]).exists()
    shutil.rmtree("runs")
