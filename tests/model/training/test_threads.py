"""The number of threads follows the size of a step, is written into the run, and is kept when it resumes."""

from dataclasses import replace

import pytest
import torch

from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder
from model.training.threads import VALUES_PER_THREAD, cpu_threads, thread_count

SMALL = ModelParameters(width=64, segment_length=56, memory_tokens=8)
"""64 rows of 64 features: 64 sequences are the values of one thread."""


@pytest.fixture
def four_threads():
    with cpu_threads(4):
        yield


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1), (64, 1), (127, 1), (128, 2), (192, 3), (10_000, 4)])
def test_there_is_a_thread_for_each_full_share_of_values_up_to_the_cores(batch_size, expected):
    assert SMALL.segment_rows * SMALL.width * 64 == VALUES_PER_THREAD
    assert thread_count(TrainingParameters(batch_size=batch_size), SMALL) == expected


def test_a_given_number_is_taken_as_it_is():
    assert thread_count(TrainingParameters(batch_size=1, threads=7), SMALL) == 7


def test_torch_has_its_own_number_again_after_the_block():
    before = torch.get_num_threads()
    with cpu_threads(before + 2):
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before


def test_a_run_resumes_with_its_own_number_and_refuses_another(task, configuration, tables, tmp_path):
    def with_threads(count):
        return replace(configuration, training=replace(configuration.training, threads=count, steps=4))

    train(with_threads(2), task, tables, tmp_path / "run")
    train(with_threads(0), task, tables, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").read_configuration().training.threads == 2
    with pytest.raises(ModelError, match="threads"):
        train(with_threads(3), task, tables, tmp_path / "run", resume=True)
