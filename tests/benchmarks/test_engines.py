import pytest

from astro_sim import simulate
from benchmarks import engines


def test_the_benchmark_measures_the_difference_of_the_engines(tmp_path, monkeypatch, run_benchmark):
    # In place of Brian2, whose builds take ten seconds each: SciPy's traces with an error in proportion to the step.
    # The tests of the engine measure the error of Brian2 itself.
    def simulate_with_an_error(parameters, engine="scipy"):
        traces = simulate(parameters)
        if engine == "brian2":
            for name in engines.VARIABLES:
                traces[name] *= 1 + parameters.solver.time_step
        return traces

    monkeypatch.setattr(engines, "simulate", simulate_with_an_error)
    monkeypatch.setattr(engines, "TIME_STEPS", (0.002, 0.001))
    result = run_benchmark(engines, tmp_path / "result.json", "--cycles", "1")
    assert [found["long_term_process"] for found in result["differences"]] == pytest.approx([0.002, 0.001])
    assert result["seconds"].keys() == {
        "scipy",
        *(f"brian2, {step} s, {build}" for step in (0.002, 0.001) for build in ("with its build", "build kept")),
    }
