"""The learning rate and the random seed of each step, as pure functions of the step: resuming needs no other state."""

import math

import numpy as np

from model.training.parameters import TrainingParameters


def learning_rate(step: int, settings: TrainingParameters) -> float:
    """The learning rate of `step`, from 0: a linear warm-up to the peak, then half a cosine down to zero.

    The warm-up takes at most half of the steps.
    """
    warmup = min(settings.warmup_steps, settings.steps // 2)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / (settings.steps - warmup)
    return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of the random numbers of one step in the process `rank`; every step and process has its own."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1))
