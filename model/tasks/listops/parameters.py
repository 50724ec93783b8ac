"""Settings of ListOps: LRA's own, and short expressions for tests and small machines."""

from dataclasses import dataclass
from typing import ClassVar

from model.tasks.data.dataset import TaskParameters
from rmaat.base.records import ParameterError, Source, parameter

FEWEST_ARGUMENTS = 2
"""of an operator"""


@dataclass(frozen=True)
class ListOpsParameters(TaskParameters):
    """The expressions to generate, and their number; the defaults are LRA's.

    Raises
    ------
    ParameterError
        As `Record`, or no length is strictly between two bounds.
    """

    kind: ClassVar[str] = "listops"

    shortest_length: int = parameter(
        500, "samples are longer than this (LRA: 500)", unit="token", low=0, high=1e6, source=Source.BENCHMARK
    )
    longest_length: int = parameter(
        2000, "samples are shorter than this (LRA: 2000)", unit="token", low=2, high=1e6, source=Source.BENCHMARK
    )
    shortest_training: int = parameter(
        0,
        "half of the training samples are short: longer than this, and not longer than shortest_length; 0 draws none",
        unit="token",
        low=0,
        high=1e6,
    )
    max_depth: int = parameter(
        10, "depth at which every node is a digit, the root has 1 (LRA: 10)", low=1, high=100, source=Source.BENCHMARK
    )
    max_arguments: int = parameter(
        10, "most arguments of an operator (LRA: 10)", low=FEWEST_ARGUMENTS, high=1000, source=Source.BENCHMARK
    )
    operator_probability: float = parameter(
        0.25, "chance that a node is an operator (LRA: 0.25)", low=0, high=1, source=Source.BENCHMARK
    )
    train_size: int = parameter(96_000, "training sequences (LRA: 96,000)", low=1, high=1e8, source=Source.BENCHMARK)
    validation_size: int = parameter(
        2_000, "validation sequences (LRA: 2,000)", low=1, high=1e8, source=Source.BENCHMARK
    )
    test_size: int = parameter(2_000, "test sequences (LRA: 2,000)", low=1, high=1e8, source=Source.BENCHMARK)
    data_seed: int = parameter(0, "seed of the generator (LRA sets none)", low=0, high=2**63 - 1)
    brackets: str = parameter(
        "dropped",
        "LRA's files put each step of an operator in round brackets, which are redundant: n tokens become 3 n - 2; "
        "the lengths above do not count them",
        choices=("dropped", "kept"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest_training >= max(1, self.shortest_length):
            raise ParameterError(
                f"shortest_training is {self.shortest_training}; it must be below shortest_length, "
                f"{self.shortest_length}, or 0"
            )
        if self.longest_length - self.shortest_length < 2:
            raise ParameterError(
                f"no length is strictly between shortest_length {self.shortest_length} and longest_length "
                f"{self.longest_length}; set them at least 2 apart"
            )


OFFICIAL = ListOpsParameters()
SHORT = ListOpsParameters(shortest_length=20, longest_length=200, train_size=40_000, test_size=4_000)
