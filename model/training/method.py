"""The differentiation method that the settings of a training name."""

from model.memory.differentiation import Amrb, Bptt, Differentiation, LayerwiseAmrb, MemoryBudget, Truncated
from model.training.parameters import TrainingParameters


def differentiation(settings: TrainingParameters) -> Differentiation:
    """The method of `model.memory.differentiation` that `settings` name."""
    if settings.memory_budget and settings.differentiation == "amrb":
        return MemoryBudget(settings.memory_budget)
    methods: dict[str, Differentiation] = {
        "amrb": Amrb(settings.keep_graphs),
        "layerwise": LayerwiseAmrb(settings.keep_graphs),
        "bptt": Bptt(),
        "truncated": Truncated(settings.truncate_after, settings.keep_graphs),
    }
    return methods[settings.differentiation]
