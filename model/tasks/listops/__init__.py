"""ListOps of the Long Range Arena (LRA): the value of a nested expression of digits and operators."""

from model.tasks.listops.generator import samples, walk
from model.tasks.listops.grammar import CLOSE, evaluate, from_text, to_text, value_of_top, with_brackets
from model.tasks.listops.parameters import OFFICIAL, SHORT, ListOpsParameters
from model.tasks.listops.task import OFFICIAL_FILES, encode, generate, read_official

__all__ = [
    "CLOSE",
    "OFFICIAL",
    "OFFICIAL_FILES",
    "SHORT",
    "ListOpsParameters",
    "encode",
    "evaluate",
    "from_text",
    "generate",
    "read_official",
    "samples",
    "to_text",
    "value_of_top",
    "walk",
    "with_brackets",
]
