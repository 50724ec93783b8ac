"""Checkpoints travel in files of bounded size and come back as they were."""

import json
import math
from dataclasses import asdict

import pytest
import safetensors.torch
import torch

from model.errors import ModelError
from model.training import checkpoint
from model.training.checkpoint import BEST, TrainingState, load_model, load_state, newest, save_checkpoint

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


@pytest.mark.parametrize("name", ["a@2x2", "a@b@c", "a@2x2@1", "a@2x2@0", "a@0@0@0"])
def test_names_that_are_no_pieces_of_a_tensor_are_refused(tmp_path, name):
    safetensors.torch.save_file({name: torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"pieces of tensors that do not fit .*; copy it again, whole"):
        load_model(tmp_path, model(1))


def test_a_file_of_an_unknown_name_is_refused(tmp_path):
    (tmp_path / "model-some.safetensors").touch()
    with pytest.raises(ModelError, match=r"model-some\.safetensors is not named as a file of a checkpoint"):
        load_model(tmp_path, model(1))


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    damaged = model(1)
    with torch.no_grad():
        damaged[0].bias[3] = math.nan
    save_checkpoint(tmp_path, BEST, damaged, None, STATE)
    with pytest.raises(ModelError, match=r"holds a weight of 0\.bias that is not finite; use another checkpoint"):
        load_model(newest(tmp_path, BEST), model(2))


def test_one_other_bit_of_a_weight_is_found(tmp_path):
    save_checkpoint(tmp_path, BEST, model(1), None, STATE)
    path = newest(tmp_path, BEST) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged \(it was changed after it was written\)"):
        load_model(newest(tmp_path, BEST), model(2))


def test_another_number_in_the_state_is_found(tmp_path):
    save_checkpoint(tmp_path, BEST, model(1), None, STATE)
    place = newest(tmp_path, BEST)
    (place / "state.json").write_text((place / "state.json").read_text().replace("0.5", "0.6"))
    for read in (load_state, lambda place: load_model(place, model(2))):
        with pytest.raises(ModelError, match=r"state\.json is damaged \(it was changed after it was written\)"):
            read(place)


def test_weights_without_digests_of_earlier_versions_are_read(tmp_path):
    save_checkpoint(tmp_path, BEST, model(1), None, STATE)
    place = newest(tmp_path, BEST)
    values = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({name: values[name] for name in asdict(STATE)}))
    load_model(place, model(2))
    assert load_state(place) == STATE
