"""Two processes train as one does; each sequence is seen once, by one of them; one writes."""

import contextlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.tasks import BatchPlan
from model.tasks.data.store import write_task
from model.training.checkpoint import CHECKPOINT, newest
from model.training.distributed import Processes
from model.training.loop import train
from model.training.run_folder import RunFolder
from model.training.schedule import step_seed

pytestmark = pytest.mark.xdist_group("two processes")
WORKER = Path(__file__).with_name("processes_worker.py")


@given(sequences=st.integers(1, 60), batch_size=st.integers(1, 20), count=st.integers(1, 5), epoch=st.integers(0, 3))
def test_processes_share_an_epoch_without_duplicates_or_gaps(sequences, batch_size, count, epoch):
    plan = BatchPlan(np.arange(1, sequences + 1), batch_size, seed=3)
    seen = []
    for batch in plan.epoch(epoch):
        shares = [Processes(rank, count).share(batch) for rank in range(count)]
        assert all(len(own) for own, _ in shares)
        seen += [int(index) for own, weight in shares if weight for index in own]
    assert sorted(seen) == list(range(sequences))


def test_no_two_steps_or_processes_draw_the_same_numbers():
    seeds = {step_seed(seed, step, rank) for seed in range(3) for step in range(50) for rank in range(4)}
    assert len(seeds) == 3 * 50 * 4


@pytest.fixture(scope="module")
def runs(tmp_path_factory, task, configuration, tables):
    """The run folders that two processes left, and `one`, which one process trained alike."""
    folder = tmp_path_factory.mktemp("runs")
    write_task(task, folder / "task", {})
    RunFolder(folder).write_configuration(configuration)
    workers = []
    with contextlib.ExitStack() as stack:
        for rank in range(2):
            command = [sys.executable, str(WORKER), str(rank), str(folder)]
            worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            workers.append(stack.enter_context(worker))
            stack.callback(worker.kill)
        errors = [worker.communicate(timeout=120)[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], "\n".join(errors)
    train(RunFolder(folder / "replicate").read_configuration(), task, tables, folder / "one")
    return folder


def read(folder, file="model.safetensors"):
    return safetensors.torch.load((newest(folder, CHECKPOINT) / file).read_bytes())


def assert_alike(first, second, **tolerance):
    for file in ("model.safetensors", "optimizer.safetensors"):
        ours, theirs = read(first, file), read(second, file)
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


ROUNDING = {"rtol": 1e-3, "atol": 2e-6}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["replicate", "shard", "bptt"])
def test_two_processes_make_the_weights_and_moments_of_one(runs, way):
    assert_alike(runs / way, runs / "one", **ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["replicate", "shard"])
def test_two_processes_report_the_scores_of_one(runs, way):
    for ours, theirs in zip(*(RunFolder(runs / name).read_metrics() for name in (way, "one")), strict=True):
        for name in ("step", "train_loss", "validation_loss", "validation_accuracy", "gradient_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4)


def test_an_interrupt_of_one_process_stops_both_and_one_process_can_go_on(runs, task, tables):
    assert all((runs / f"cut {rank}").exists() for rank in range(2))
    configuration = RunFolder(runs / "cut").read_configuration()
    train(configuration, task, tables, runs / "cut", resume=True)
    assert_alike(runs / "cut", runs / "one", **ROUNDING)


def test_two_processes_resume_to_the_bit_with_dropout(runs):
    assert_alike(runs / "cut with dropout", runs / "dropout", rtol=0, atol=0)


def test_a_sharded_run_can_be_resumed_as_a_replicated_one(runs):
    sharded, replicated = (RunFolder(runs / name).read_configuration() for name in ("shard", "replicate"))
    assert sharded != replicated
    assert sharded.differences(replicated) == []


def test_one_process_is_all_there_is_without_torchrun(task, configuration, tables, tmp_path):
    settings = replace(configuration.training, parallel="shard", steps=1)
    train(replace(configuration, training=settings), task, tables, tmp_path / "run")
    assert read(tmp_path / "run")
