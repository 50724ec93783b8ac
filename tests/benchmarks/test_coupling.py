import pytest

from astro_sim import simulate
from benchmarks import coupling, other_simulators


@pytest.mark.slow
def test_the_benchmark_measures_growth_and_runs(tmp_path, monkeypatch, run_benchmark):
    # In place of Brian2, whose build takes ten seconds: SciPy's traces, a thousandth too large.
    monkeypatch.setattr(other_simulators, "simulate", lambda parameters, engine="scipy": (
        simulate(parameters) * (1.001 if engine == "brian2" else 1)
    ))  # fmt: skip
    sizes = {
        "SIDES": (8, 16, 24),
        "DENSE_SIDES": (8,),
        "EXTRAPOLATED_SIDES": (8,),
        "LARGE": 24,
        "CYCLES": 1,
        "BRIAN2_SIDES": (3,),
    }
    for name, value in sizes.items():
        monkeypatch.setattr(coupling, name, value)
    monkeypatch.setattr(coupling, "LEAST_SECONDS", 1e-4)
    result = run_benchmark(coupling, tmp_path / "result.json")
    assert result["exponents"].keys() == {"line scan", "city-block scan", "FFT"}
    assert [run["kind"] for run in result["large_runs"]] == ["line scan", "line scan", "FFT", "FFT"]
    assert [run["solver"] for run in result["large_runs"]] == ["lsoda", "dop853"] * 2
    for run in result["large_runs"]:
        dense = result["seconds_per_application"]["dense"]["8"] * 3**4
        fast = result["seconds_per_application"][run["kind"]]["24"]
        assert run["dense_application_seconds"]["8"] == pytest.approx(dense)
        dense_run = run["seconds"] + run["applications"] * (dense - fast)
        assert run["ratio_of_runs"]["8"] == pytest.approx(dense_run / run["seconds"])
    beside_brian2 = result["outside_engines"][0]
    assert beside_brian2["run"] == "3 x 3, a cycle, dense"
    assert beside_brian2["difference"] == pytest.approx(0.001)
