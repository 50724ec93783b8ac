import pytest

from benchmarks import engines


@pytest.mark.brian2
def test_the_benchmark_measures_the_difference_of_the_engines(tmp_path, monkeypatch, run_benchmark):
    monkeypatch.setattr(engines, "TIME_STEPS", (0.002, 0.001))
    result = run_benchmark(engines, tmp_path / "result.json", "--cycles", "1")
    coarse, fine = (found["long_term_process"] for found in result["differences"])
    assert 1.8 < coarse / fine < 2.2
