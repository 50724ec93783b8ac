import torch
from torch import nn

from benchmarks import dropout
from model.layers.dropout import Dropout


def test_both_kinds_are_measured_in_every_way(tmp_path, monkeypatch, run_benchmark):
    monkeypatch.setattr(dropout, "SHAPE", (2, 3, 4))
    monkeypatch.setattr(dropout, "ROUNDS", 1)
    # Compiling takes seconds.
    monkeypatch.setattr(torch, "compile", lambda module: module)
    found = run_benchmark(dropout, tmp_path / "result.json")["seconds"]
    assert set(found) == {"bytes", "torch"}
    assert len({tuple(row) for row in found.values()}) == 1
    assert all(seconds >= 0 for row in found.values() for seconds in row.values())


def test_the_kinds_that_are_measured_drop_about_the_same_share():
    rows = torch.ones(100_000)
    shares = [(layer(dropout.PROBABILITY)(rows) == 0).float().mean().item() for layer in (Dropout, nn.Dropout)]
    assert abs(shares[0] - shares[1]) < 0.01
