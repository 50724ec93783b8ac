"""The optimizer decays the parameters that the settings name."""

import torch

from model.training.optimizer import build_optimizer
from model.training.parameters import TrainingParameters


def decay_of(model, decayed):
    optimizer = build_optimizer(model, TrainingParameters(weight_decay=0.1, decayed=decayed))
    decays = {id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]}
    return {name: decays[id(value)] for name, value in model.named_parameters()}


def test_every_parameter_decays_unless_told_otherwise(make_model):
    assert set(decay_of(make_model(), "all").values()) == {0.1}


def test_only_weights_of_linear_maps_decay_on_request(make_model):
    for name, decay in decay_of(make_model(), "matrices").items():
        linear = name.endswith("weight") and "norm" not in name and "embedding" not in name
        assert decay == (0.1 if linear else 0.0), name


def test_decay_alone_shrinks_a_matrix_and_leaves_a_norm(make_model):
    model = make_model()
    optimizer = build_optimizer(model, TrainingParameters(weight_decay=0.1, decayed="matrices"))
    before = {name: value.clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(model.named_parameters())
    assert torch.equal(after["cell.blocks.0.attention_norm.weight"], before["cell.blocks.0.attention_norm.weight"])
    assert after["head.weight"].norm() < before["head.weight"].norm()
