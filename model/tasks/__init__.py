"""Tasks as token sequences with labels, their trivial levels and their batches; plain NumPy, no torch."""

from model.tasks.batches import BatchPlan, collate
from model.tasks.dataset import TaskData, TaskError, TokenDataset
from model.tasks.listops import OFFICIAL, SHORT, ListOpsParameters
from model.tasks.settings import TaskParameters
from model.tasks.trivial import TrivialLevel, commonest_label, root_operator, trivial_levels

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
