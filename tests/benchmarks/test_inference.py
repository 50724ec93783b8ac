import pytest

from benchmarks import inference


@pytest.mark.slow
def test_every_model_is_measured_and_a_stream_does_not_grow(tmp_path, monkeypatch, run_benchmark):
    monkeypatch.setattr(inference, "CASES", [(1_000, 1), (2_000, 1)])
    monkeypatch.setattr(inference, "ROUNDS", 1)
    found = run_benchmark(inference, tmp_path / "result.json")["results"]
    ours = {"RMAAT, packaged Text model", "RMAAT", "RMAAT, stream"}
    assert ours <= {row["model"] for row in found}
    short, long = (row["peak_bytes"] for row in found if row["model"] == "RMAAT, stream")
    assert long < 1.1 * short
    assert all(row["bytes_per_second"] > 0 for row in found)
