import pytest

from astro_sim.sweep import InProcess
from benchmarks import sweep


@pytest.mark.slow
def test_the_benchmark_measures_every_method(monkeypatch):
    monkeypatch.setattr(sweep, "LocalProcesses", lambda _: InProcess())
    monkeypatch.setattr(sweep, "ALONE", 1)
    seconds = sweep.measure(points=3, workers=2)
    assert len(seconds) == 4
    assert all(value > 0 for value in seconds.values())
