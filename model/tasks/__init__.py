"""Tasks as token sequences with labels, their trivial levels and their batches; plain NumPy, no torch."""

from model.tasks.data.batches import BatchPlan, collate
from model.tasks.data.dataset import TaskData, TaskError, TaskParameters, TokenDataset
from model.tasks.listops import OFFICIAL, SHORT, ListOpsParameters
from model.tasks.trivial_levels import TrivialLevel, commonest_label, root_operator, trivial_levels

__all__ = [
    "OFFICIAL",
    "SHORT",
    "BatchPlan",
    "ListOpsParameters",
    "TaskData",
    "TaskError",
    "TaskParameters",
    "TokenDataset",
    "TrivialLevel",
    "collate",
    "commonest_label",
    "root_operator",
    "trivial_levels",
]
