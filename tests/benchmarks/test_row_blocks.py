import pytest
import torch

from benchmarks import row_blocks


@pytest.mark.slow
def test_blocks_save_memory_and_keep_the_gradient(monkeypatch):
    monkeypatch.setattr(row_blocks, "MODEL_SIZE", row_blocks.MODEL_SIZE | {"layers": 2})
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    cpu = torch.device("cpu")
    results = row_blocks.measure(2048, 2048, cpu)
    assert [result["method"] for result in results] == list(row_blocks.METHODS)
    for result in results:
        assert result["peak_bytes"]["blocks"] < result["peak_bytes"]["at once"]
        assert all(seconds > 0 for seconds in result["seconds"].values())
    found = row_blocks.exactness(cpu)
    assert found["relative_error_of_blocks_in_float64"] < 1e-12
    assert found["replay_has_the_bits_of_bptt"]
