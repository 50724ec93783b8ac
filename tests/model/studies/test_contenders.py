"""Every model of a comparison is the preset's RMAAT but for what its name says."""

import dataclasses

import pytest
import torch

from distill import default_tables
from model.networks.build import build_model
from model.networks.parameters import ARCHITECTURES
from model.studies.contenders import ABLATIONS, BASELINES, CONTENDERS, RETENTIONS, Contender
from model.studies.presets import PRESETS
from model.studies.published import ACCURACY, PEAK_GIGABYTES, SPEED_OF_RMT
from model.studies.study import STUDIES
from model.tasks.library import TASKS
from model.training.method import differentiation
from rmaat.base.records import ParameterError

SMALL = PRESETS["retrieval"]["small"]


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_builds_and_keeps_data_steps_and_the_sequence_it_can_take(name):
    changed = CONTENDERS[name].change(SMALL)
    assert changed.task_parameters == SMALL.task_parameters
    assert changed.training.steps == SMALL.training.steps
    shares = {"half_length": 2, "quarter_length": 4}
    assert changed.model.longest_sequence * shares.get(name, 1) == SMALL.model.longest_sequence
    model = build_model(changed.model, default_tables())
    tokens = torch.randint(1, 256, (2, 40))
    logits = model(tokens, torch.tensor([40, 3]), differentiation(changed.training))
    assert logits.shape == (2, 2)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("retention_none", "retention", "none"),
        ("no_astrocytic_write", "relative_positions", "none"),
        ("identity_kernel", "relative_positions", "identity"),
        ("random_kernel", "relative_positions", "random"),
        ("no_learned_positions", "position_embedding", "none"),
        ("exponent_one", "exponent", "one"),
        ("exponent_learned", "exponent", "learned"),
        ("no_memory", "memory_tokens", 0),
        ("pre_norm", "norm", "pre"),
    ],
)
def test_an_ablation_changes_one_setting(name, setting, value):
    changed = CONTENDERS[name].change(SMALL)
    assert changed == dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, **{setting: value}))


def test_bptt_changes_the_way_to_differentiate_alone():
    changed = CONTENDERS["bptt"].change(SMALL)
    assert changed.model == SMALL.model
    assert changed.training == dataclasses.replace(SMALL.training, differentiation="bptt")


@pytest.mark.parametrize(("name", "segments", "accuracy"), [("half_length", 8, 71.5), ("quarter_length", 4, 65.3)])
def test_retrieval_is_shortened_to_8_and_4_segments_of_512_as_in_the_paper(name, segments, accuracy):
    changed = CONTENDERS[name].change(SMALL)
    assert (changed.model.segments, changed.model.segment_length) == (segments, 512)
    assert changed.training == dataclasses.replace(SMALL.training, overlong="cut")
    assert ACCURACY[name] == {"retrieval": accuracy}


@pytest.mark.parametrize(("name", "segments", "length"), [("joined_by_two", 8, 1024), ("joined_by_four", 4, 2048)])
def test_joined_segments_keep_the_sequence_and_have_no_number_of_the_paper(name, segments, length):
    changed = CONTENDERS[name].change(SMALL)
    assert (changed.model.segments, changed.model.segment_length) == (segments, length)
    assert changed.training == SMALL.training
    assert name not in ACCURACY


def test_baselines_use_bptt_as_published():
    assert set(BASELINES) == set(ARCHITECTURES)
    for name, contender in BASELINES.items():
        assert contender.change(SMALL).training.differentiation == ("amrb" if name == "rmaat" else "bptt")


def test_all_retention_variants_of_the_tables_are_compared():
    variants = {contender.model["retention"] for contender in RETENTIONS.values()}
    assert variants | {SMALL.model.retention} == set(default_tables().variants)


def test_rlt_with_retention_is_rmaat_reduced_to_linear_attention():
    changed = CONTENDERS["rlt_retention_amrb"].change(SMALL)
    names = ("exponent", "relative_positions", "write_scale", "retention")
    assert [getattr(changed.model, name) for name in names] == ["one", "none", "one", "increment"]


def test_names_in_studies_and_published_figures_exist():
    for study in STUDIES.values():
        assert set(study.contenders) <= set(CONTENDERS)
        assert set(study.tasks) <= set(TASKS)
        assert all("small" in PRESETS[task] for task in study.tasks)
    for figures in (ACCURACY, PEAK_GIGABYTES, SPEED_OF_RMT):
        assert set(figures) <= set(BASELINES) | set(ABLATIONS)
        assert all(set(by_task) <= set(TASKS) - {"same_film"} for by_task in figures.values())


def test_more_segments_than_there_are_cannot_be_joined():
    assert Contender("one", joined_segments=16).change(SMALL).model.segments == 1
    with pytest.raises(ParameterError, match="the preset has 2 segments, fewer than the 4 that it needs"):
        CONTENDERS["joined_by_four"].change(PRESETS["image"]["small"])
