"""Every model of a comparison is the preset's RMAAT but for what its name says."""

import dataclasses

import pytest
import torch

from distill import default_tables
from model.networks.build import build_model
from model.networks.parameters import ARCHITECTURES
from model.studies.contenders import ABLATIONS, BASELINES, CONTENDERS, RETENTIONS, SENSITIVITY, Contender
from model.studies.presets import PRESETS
from model.studies.published import ACCURACY, PEAK_GIGABYTES, SPEED_AGAINST_RMT
from model.studies.study import STUDIES
from model.tasks.library import TASKS
from model.tasks.listops import generate
from model.training.method import differentiation
from rmaat.base.records import ParameterError

SMALL = PRESETS["retrieval"]["plain"]


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
        assert all(study.preset in PRESETS[task] for task in study.tasks)
    for figures in (ACCURACY, PEAK_GIGABYTES, SPEED_AGAINST_RMT):
        assert set(figures) <= set(BASELINES) | set(ABLATIONS)
        assert all(set(by_task) <= set(TASKS) - {"same_film"} for by_task in figures.values())


def test_more_segments_than_there_are_cannot_be_joined():
    assert Contender("one", joined_segments=16).change(SMALL).model.segments == 1
    with pytest.raises(ParameterError, match="the preset has 2 segments, fewer than the 4 that it needs"):
        CONTENDERS["joined_by_four"].change(PRESETS["image"]["plain"])


@pytest.mark.parametrize(("name", "factor"), [("decay_sixteenth", 1 / 16), ("decay_fourfold", 4)])
def test_the_decay_of_the_model_is_the_multiple_of_the_tables_that_the_contender_names(name, factor):
    model = build_model(CONTENDERS[name].change(SMALL).model, default_tables())
    found = model.state_dict()["cell.blocks.0.attention.positions.kernel.decay"].item()
    assert found == pytest.approx(factor * default_tables().decay_per_token)


@pytest.mark.parametrize("count", [1, 4, 32])
def test_the_sensitivity_to_memory_tokens_changes_their_number_alone(count):
    changed = CONTENDERS[f"memory_{count}"].change(SMALL)
    assert changed == dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, memory_tokens=count))
    assert build_model(changed.model, default_tables()).initial_memory.shape == (count, SMALL.model.width)


def test_the_sensitivity_study_surrounds_the_presets_own_values():
    decays = [contender.model.get("decay_factor", 1.0) for contender in SENSITIVITY.values()]
    assert min(decays) < 1 < max(decays)
    for preset in ("plain", "paper"):
        counts = {c.change(PRESETS["listops"][preset]).model.memory_tokens for c in SENSITIVITY.values()}
        assert min(counts) < PRESETS["listops"][preset].model.memory_tokens < max(counts)
    assert set(STUDIES["sensitivity"].contenders) == {"rmaat", "no_memory", *SENSITIVITY}


def test_a_decay_that_the_model_does_not_have_is_refused():
    with pytest.raises(
        ParameterError, match="relative_positions identity have no decay; use decaying, learned, random"
    ):
        dataclasses.replace(SMALL.model, relative_positions="identity", decay_factor=2.0)
    with pytest.raises(ParameterError, match=r"decay_factor is 2\.0, which means nothing to a rmt"):
        dataclasses.replace(SMALL.model, architecture="rmt", decay_factor=2.0)


def test_the_8k_preset_of_listops_holds_the_longest_expression_with_brackets():
    preset = PRESETS["listops"]["brackets_8x1024"]
    longest = preset.task_parameters.longest_length - 1
    assert (preset.model.segments, preset.model.segment_length) == (8, 1024)
    assert 3 * longest - 2 == 5995 <= preset.model.longest_sequence == 8192
    small = dataclasses.replace(preset.task_parameters, train_size=4, validation_size=2, test_size=2)
    task = generate(small)
    assert (task.vocabulary, task.classes) == (preset.model.vocabulary, preset.model.classes)
    assert task.longest > 1500
