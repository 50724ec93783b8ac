"""The optimizer of a training: AdamW, with the parameters that decay as the settings say."""

import torch
from torch import nn

from model.training.parameters import TrainingParameters


def build_optimizer(model: nn.Module, settings: TrainingParameters) -> torch.optim.AdamW:
    """AdamW over the parameters of `model`, with the settings' weight decay."""
    if settings.decayed == "all":
        return torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay)
    matrices = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    groups = [
        {"params": [parameter for parameter in model.parameters() if id(parameter) in matrices]},
        {
            "params": [parameter for parameter in model.parameters() if id(parameter) not in matrices],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
