import sys

import pytest

from astro_sim import SimulationError, SimulationParameters
from astro_sim.sweep import Cluster, Each, GridDesign, InProcess, LocalProcesses, Span, run_sweep
from rmaat.base.errors import UsageError

distributed = pytest.importorskip("distributed")


def steady_facilitation(parameters):
    import numpy as np

    return {"value": np.tanh(parameters.network.coupling_strength), "threads": float(parameters.network.seed)}


def run(folder, workers):
    design = GridDesign({"coupling_strength": Span(0.0, 1.0, count=7)})
    return run_sweep(SimulationParameters(), design, Each(steady_facilitation), folder, workers, batch_size=2)


@pytest.mark.parametrize("count", [1, 2])
def test_processes_give_the_bits_of_this_one_and_listen_on_loopback_only(tmp_path, monkeypatch, count):
    options = {}
    cluster = distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", lambda **given: options.update(given) or cluster(**given))
    assert run(tmp_path / "many", LocalProcesses(count)).identical(run(tmp_path / "one", InProcess()))
    assert options["host"] == "127.0.0.1"
    assert options["dashboard_address"] is None


def test_a_cluster_elsewhere_is_used_by_its_address(tmp_path):
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as cluster:  # fmt: skip
        found = run(tmp_path / "many", Cluster(cluster.scheduler_address))
    assert found.identical(run(tmp_path / "one", InProcess()))


def test_where_nobody_answers_the_address_is_named(tmp_path):
    with pytest.raises(SimulationError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(tmp_path, Cluster("tcp://127.0.0.1:9", timeout=0.2))


@pytest.mark.parametrize("workers", [LocalProcesses(2), Cluster("tcp://127.0.0.1:9")])
def test_without_dask_the_extra_is_named(tmp_path, monkeypatch, workers):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"rmaat-toolkit\[sweep\]"):
        run(tmp_path, workers)
    assert run(tmp_path, InProcess()).sizes["point"] == 7
