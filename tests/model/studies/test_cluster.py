"""Trainings of a study on a Dask cluster: the scores of this machine's processes, stops and errors in plain words."""

import dataclasses
import math
import time
from contextlib import contextmanager

import pytest

from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.studies.cluster import run_on_cluster
from model.studies.presets import PRESETS, Preset
from model.studies.runner import complete, without_data
from model.studies.study import Study, runs_of
from model.tasks.diagnostics import NeedleParameters
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder
from rmaat.base.errors import Interrupted, OutOfTime, UsageError

distributed = pytest.importorskip("distributed")
STUDY = Study("Two models", ("needle",), ("rmt", "rmaat"))


@contextmanager
def cluster(threads=1):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=threads, processes=False, protocol="tcp", host="127.0.0.1",
        dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as started:  # fmt: skip
        yield started.scheduler_address


def ignore(fraction, note=""):
    pass


@pytest.fixture
def runs(tmp_path, monkeypatch):
    task = NeedleParameters(length=20, gap=5, train_size=60, validation_size=20, test_size=30)
    model = ModelParameters(
        vocabulary=21, classes=10, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=5, segments=4,
        memory_tokens=2,
    )  # fmt: skip
    training = TrainingParameters(steps=4, batch_size=8, warmup_steps=1, validate_every=2, device="cpu", threads=1)
    monkeypatch.setitem(PRESETS["needle"], "tiny", Preset(task, model, training, "for the test"))
    found = runs_of(STUDY, "tiny", 1, tmp_path, ["needle"])
    assert without_data(found, tmp_path / "data", ignore) == {}
    return found


@pytest.mark.slow
def test_a_cluster_trains_to_the_bits_of_this_process(runs, tmp_path):
    shown = []
    with cluster() as address:
        run_on_cluster(runs, tmp_path / "data", address, math.inf, lambda share, note: shown.append((share, note)))
    assert all(run.is_done() for run in runs)
    assert shown[-1] == (1.0, "2 of 2 runs")
    here = dataclasses.replace(runs[0], place=tmp_path / "here" / "rmt" / "seed-0")
    complete(here, tmp_path / "data", math.inf, lambda: False)
    one, other = (RunFolder(run.place).read_evaluation() for run in (runs[0], here))
    assert (one.loss, one.accuracy) == (other.loss, other.accuracy)
    # Nothing is left to do, so no cluster is needed.
    run_on_cluster(runs, tmp_path / "data", "tcp://127.0.0.1:9", math.inf, ignore)


@pytest.mark.slow
def test_a_cluster_stops_on_time_and_continues(runs, tmp_path):
    with cluster() as address:
        with pytest.raises(OutOfTime, match=r"out of time with 2 runs to go"):
            run_on_cluster(runs, tmp_path / "data", address, time.monotonic() - 1, ignore)
        run_on_cluster(runs[:1], tmp_path / "data", address, math.inf, ignore)
    assert [run.is_done() for run in runs] == [True, False]


@pytest.mark.slow
def test_an_interrupt_ends_trainings_on_the_cluster_with_a_checkpoint(runs, tmp_path):
    endless = dataclasses.replace(runs[0].preset.training, steps=10**6)
    run = dataclasses.replace(runs[0], preset=dataclasses.replace(runs[0].preset, training=endless))

    def interrupt(*_):
        if RunFolder(run.place).configuration.exists():
            raise KeyboardInterrupt

    with cluster() as address, pytest.raises(Interrupted, match="the same command continues"):
        run_on_cluster([run], tmp_path / "data", address, math.inf, interrupt)
    assert any(run.place.glob("checkpoint*"))


@pytest.mark.slow
def test_a_run_that_fails_on_the_cluster_is_named(runs, tmp_path):
    runs[0].place.mkdir(parents=True)
    with cluster() as address, pytest.raises(ModelError, match=r"runs failed: needle, rmt, seed 0; .*holds no run"):
        run_on_cluster(runs, tmp_path / "data", address, math.inf, ignore)
    assert runs[1].is_done()


def test_workers_with_several_threads_are_refused(runs, tmp_path):
    with cluster(threads=2) as address, pytest.raises(UsageError, match=r"runs 2 tasks .*dask worker --nthreads 1"):
        run_on_cluster(runs, tmp_path / "data", address, math.inf, ignore)
