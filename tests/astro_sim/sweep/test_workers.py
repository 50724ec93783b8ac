import os
import signal
import sys

import pytest

from astro_sim import SimulationError, SimulationParameters
from astro_sim.sweep import Cluster, Each, GridDesign, InProcess, LocalProcesses, Span, run_sweep
from rmaat.base.errors import UsageError


def steady_facilitation(parameters):
    import numpy as np

    return {"value": np.tanh(parameters.network.coupling_strength), "threads": float(parameters.network.seed)}


def kill_this_process(_):
    os.kill(os.getpid(), signal.SIGKILL)


def run(folder, workers):
    design = GridDesign({"coupling_strength": Span(0.0, 1.0, count=7)})
    return run_sweep(SimulationParameters(), design, Each(steady_facilitation), folder, workers, batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_processes_give_the_same_bits_as_this_process(tmp_path, count):
    assert run(tmp_path / "many", LocalProcesses(count)).identical(run(tmp_path / "one", InProcess()))


@pytest.mark.slow
def test_a_killed_worker_ends_the_sweep_with_what_to_do(tmp_path):
    design = GridDesign({"coupling_strength": Span(0.0, 1.0, count=3)})
    with pytest.raises(SimulationError, match=r"a worker was killed, .*give the same command again to continue"):
        run_sweep(SimulationParameters(), design, Each(kill_this_process), tmp_path, LocalProcesses(2))


def test_a_measure_that_cannot_travel_is_refused(tmp_path):
    design = GridDesign({"coupling_strength": Span(0.0, 1.0, count=3)})
    with pytest.raises(UsageError, match=r"cannot be sent to another process .*top level of a module"):
        run_sweep(SimulationParameters(), design, Each(lambda _: {"value": 1.0}), tmp_path, LocalProcesses(2))


def test_a_cluster_is_used_by_its_address(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as cluster:  # fmt: skip
        found = run(tmp_path / "many", Cluster(cluster.scheduler_address))
    assert found.identical(run(tmp_path / "one", InProcess()))


def test_an_address_without_a_scheduler_is_named(tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(tmp_path, Cluster("tcp://127.0.0.1:9", timeout=0.2))


@pytest.mark.slow
def test_a_cluster_without_dask_names_the_extra_and_local_processes_need_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"rmaat-toolkit\[sweep\]"):
        run(tmp_path, Cluster("tcp://127.0.0.1:9"))
    assert run(tmp_path, LocalProcesses(1)).sizes["point"] == 7
