import pytest

from benchmarks import options


@pytest.mark.slow
def test_each_option_is_measured_beside_the_plain_model_and_replays_exactly(tmp_path, monkeypatch, run_benchmark):
    monkeypatch.setattr(options, "PLAIN", options.PLAIN | {"width": 8, "segments": 3, "segment_length": 64})
    monkeypatch.setattr(options, "ROUNDS", 1)
    chosen = ("plain", "n-grams of 2 to 5", "local mixing of 3 at 1 and 32, into rows", "patches of 5")
    monkeypatch.setattr(options, "OPTIONS", {name: options.OPTIONS[name] for name in chosen})
    found = run_benchmark(options, tmp_path / "result.json")["options"]
    assert [result["option"] for result in found] == list(chosen)
    assert all(result["same_bits"] for result in found)
    assert found[0]["memory_beside_plain"] == 1
    # Their own parameters have gradients, and the local mixing keeps its inputs.
    assert found[1]["memory_beside_plain"] > 1
    assert found[2]["memory_beside_plain"] > 1
