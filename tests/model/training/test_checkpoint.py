"""Checkpoints travel in files of bounded size and come back as they were."""

import pytest
import safetensors.torch
import torch

from model.errors import ModelError
from model.training import checkpoint
from model.training.checkpoint import BEST, TrainingState, load_model, newest, save_checkpoint

STATE = TrainingState(3, 0.5, 1.0, window=[])


@pytest.fixture
def in_small_files(monkeypatch):
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 3000)
    monkeypatch.setattr(checkpoint, "_HEADER_BYTES", 2000)


def model(seed):
    torch.manual_seed(seed)
    # 1,000 bytes hold neither the first weight nor the second and third together.
    return torch.nn.Sequential(torch.nn.Linear(20, 21), torch.nn.Linear(15, 14), torch.nn.LayerNorm(90))


def test_one_file_where_all_fits(tmp_path):
    save_checkpoint(tmp_path, BEST, model(1), None, STATE)
    assert sorted(path.name for path in newest(tmp_path, BEST).iterdir()) == ["model.safetensors", "state.json"]


@pytest.mark.usefixtures("in_small_files")
def test_several_files_of_bounded_size_give_the_same_weights(tmp_path):
    saved, loaded = model(1), model(2)
    save_checkpoint(tmp_path, BEST, saved, None, STATE)
    files = sorted(newest(tmp_path, BEST).glob("*.safetensors"))
    assert len(files) > 2
    assert all(path.stat().st_size <= 3000 for path in files)
    assert any("0.weight@21x20@1" in safetensors.torch.load(path.read_bytes()) for path in files)
    load_model(newest(tmp_path, BEST), loaded)
    for mine, theirs in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.usefixtures("in_small_files")
def test_a_lost_file_is_named(tmp_path):
    save_checkpoint(tmp_path, BEST, model(1), None, STATE)
    lost = sorted(newest(tmp_path, BEST).glob("*.safetensors"))[0]
    lost.unlink()
    with pytest.raises(ModelError, match=r"best-000000003 has \d of the \d files of model; copy the folder again"):
        load_model(newest(tmp_path, BEST), model(2))
