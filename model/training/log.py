"""The callback that a training calls with its numbers, for loggers of others."""

from collections.abc import Mapping
from typing import Protocol


class Log(Protocol):
    """A callback with the numbers of each validation; `mlflow.log_metrics` and `wandb.log` have this form."""

    def __call__(self, values: Mapping[str, float], step: int, /) -> object:
        """`values` are a row of `metrics.csv` by name, after `step` optimiser steps; rank 0 alone calls."""


def ignore_log(values: Mapping[str, float], step: int) -> None:
    """Do nothing; the default value of `log` parameters."""
