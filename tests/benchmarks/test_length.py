import torch

from benchmarks import length


def test_the_benchmark_measures_at_least_one_step(monkeypatch):
    monkeypatch.setattr(length, "SEGMENT_LENGTH", 16)
    monkeypatch.setattr(length, "SIZE", length.SIZE | {"width": 16, "layers": 1, "feed_forward_width": 16})
    monkeypatch.setattr(length, "LEAST_SECONDS", 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    result = length.measure(16 * 70)
    assert result["tokens"] == 1120
    assert result["resident_bytes"] > 1e7
