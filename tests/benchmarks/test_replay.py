import pytest
import torch

from benchmarks import replay


@pytest.mark.slow
def test_the_benchmark_measures_exactness_and_costs(tmp_path, monkeypatch, run_benchmark):
    monkeypatch.setattr(replay, "SEGMENT_LENGTH", 16)
    monkeypatch.setattr(replay, "CASES", [(2, 1, "last"), (2, 1, "every")])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    result = run_benchmark(replay, tmp_path / "result.json")
    assert [entry["relative_error"] for entry in result["exactness"]] == [0, 0, 0, 0]
    assert {entry["way"] for entry in result["costs"]} == {
        "BPTT",
        *(f"AMRB, keep {keep}" for keep in range(3)),
        "layerwise AMRB, keep 1",
        "truncated after 2",
    }
