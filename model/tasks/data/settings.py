"""What the settings of all tasks have in common."""

from typing import ClassVar

from rmaat.base.records import OneOf


class TaskParameters(OneOf):
    """The family of the tasks' settings; `kind` is the task's name on the command line."""

    default_kind: ClassVar[str] = "listops"
