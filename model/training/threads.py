"""The number of CPU threads of a training, by the size of its steps.

Threads share the work of one operation and wait for each other at its end. On two idle cores, two threads are 1.5 times
as fast as one if a layer's input has 200,000 values or more, and as fast as one below 60,000. Beside another busy
process they are slower at every size, up to ten times: a thread that waits for a core keeps the others waiting.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model.networks.parameters import ModelParameters
from model.training.parameters import TrainingParameters

VALUES_PER_THREAD = 2**18
"""Values of a layer's input, batch x rows x width, for each thread."""


def thread_count(training: TrainingParameters, model: ModelParameters) -> int:
    """Threads that a training of `model` uses: those of its settings, or by the size of a step if they give 0."""
    values = training.batch_size * model.segment_rows * model.width
    # Torch's own number is that of the cores, or what OMP_NUM_THREADS says.
    return training.threads or max(1, min(values // VALUES_PER_THREAD, torch.get_num_threads()))


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside the block; 0 leaves its number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
