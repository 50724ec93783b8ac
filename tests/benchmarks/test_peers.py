from importlib.metadata import PackageNotFoundError

import pytest

from benchmarks import peers
from benchmarks.peer_models import Size


def test_a_missing_package_is_named_and_its_model_skipped(monkeypatch):
    monkeypatch.setattr(peers, "version", missing_package)
    found = peers.compare(["idiap fast-transformers, linear"], Size(), 1)
    assert found == {"idiap fast-transformers, linear": {"left_out": "pytorch-fast-transformers is not installed"}}


def missing_package(name):
    raise PackageNotFoundError(name)


def test_one_of_our_models_is_measured():
    size = Size(length=64, segment_length=16, width=16, layers=1, heads=2, memory_tokens=2)
    result = peers.measure(peers.CONTENDERS["RMAAT, AMRB"], size)
    assert result["parameters"] > 0
    assert result["peak_bytes"] > 0
    assert result["tokens_per_second"] > 0


def test_the_bound_of_the_speed_is_the_ratio_of_the_layers_products():
    size = Size(length=8192, segment_length=512, width=128, layers=4, heads=4, memory_tokens=16)
    rows, width, features = 528, 128, 32
    rmt, rmaat = 12 * width**2 + 2 * width * rows, 12 * width**2 + 2 * width * features
    assert peers.speed_bound(size) == pytest.approx(rmt / rmaat)
    ours, theirs = next(iter(peers.PAIRS.items()))
    shown = peers.bound_table({512: {ours: {"seconds": 1.0}, theirs: {"seconds": 1.3}}}, size)
    assert "1.30   1.62    80%" in shown
