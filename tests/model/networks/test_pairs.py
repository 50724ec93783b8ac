"""Pairs of documents: what each encoding depends on, the head, replay, the plan and training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.flop_counter import FlopCounterMode

from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.networks.pairs import PairClassifier, split_pairs
from model.networks.parameters import ARCHITECTURES, ModelParameters
from model.networks.streaming import ClassifierStream
from model.studies.presets import PRESETS
from model.tasks import TaskData, TaskError, TokenDataset
from model.tasks.data.encoding import split_pair
from model.training.evaluation import evaluate
from model.training.loop import train
from model.training.parameter_count import parameter_count
from model.training.peak import peak_memory
from model.training.plan import plan
from model.training.step_flops import forward_flops
from rmaat.base.records import ParameterError

SEPARATOR = 15
LENGTHS = [(20, 3), (1, 38), (17, 12), (10, 10)]


def padded(sequences):
    return pad_sequence(sequences, batch_first=True), torch.tensor([len(sequence) for sequence in sequences])


def joined(firsts, seconds):
    middle = torch.tensor([SEPARATOR])
    return padded([torch.cat([first, middle, second]) for first, second in zip(firsts, seconds, strict=True)])


@pytest.fixture
def documents():
    """First and second documents, of one to four segments."""
    generator = torch.Generator().manual_seed(3)
    sides = zip(*LENGTHS, strict=True)
    return [[torch.randint(1, SEPARATOR, (length,), generator=generator) for length in side] for side in sides]


@pytest.fixture
def make_pairs(make_model):
    def make(architecture="rmaat", **changes):
        if not ARCHITECTURES[architecture].recurrent:
            changes = {"segments": 1, "segment_length": 50, "memory_tokens": 0} | changes
        return make_model(architecture=architecture, separator=SEPARATOR, **changes)

    return make


def read_by_head(model, tokens, lengths):
    """Input of the head: the encodings of both documents, (pair, document, feature)."""
    seen = []
    with model.head.register_forward_pre_hook(lambda _, given: seen.append(given[0])):
        model(tokens, lengths)
    return seen[0].unflatten(1, (2, -1))


token_rows = st.lists(st.integers(1, SEPARATOR - 1), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(token_rows, token_rows), min_size=1, max_size=4), extra=st.integers(0, 3))
def test_pairs_split_into_their_documents_whatever_follows_their_lengths(pairs, extra):
    tokens, lengths = joined(*([torch.tensor(side) for side in sides] for sides in zip(*pairs, strict=True)))
    # Anything after the length of a sequence is padding, even a separator.
    tokens = functional.pad(tokens, (0, extra))
    tokens[torch.arange(tokens.shape[1]) >= lengths[:, None]] = SEPARATOR
    found, found_lengths = split_pairs(tokens, lengths, SEPARATOR)
    wanted = [row for side in zip(*pairs, strict=True) for row in side]
    assert [row[:length].tolist() for row, length in zip(found, found_lengths.tolist(), strict=True)] == wanted
    assert found.shape[1] == max(map(len, wanted))
    assert int(found.count_nonzero()) == sum(map(len, wanted))
    by_sequence = [split_pair(row[:length].numpy(), SEPARATOR) for row, length in zip(tokens, lengths, strict=True)]
    assert [part.tolist() for side in zip(*by_sequence, strict=True) for part in side] == wanted


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_reads_the_encoding_that_each_document_has_by_itself(make_pairs, documents, architecture, readout):
    model = make_pairs(architecture, readout=readout)
    found = read_by_head(model, *joined(*documents))
    stacked = model.encode(*padded([*documents[0], *documents[1]]), Amrb())
    assert torch.equal(found, torch.stack(stacked.chunk(2), dim=1))
    for side in (0, 1):
        for index, document in enumerate(documents[side]):
            alone = model.encode(document[None], torch.tensor([len(document)]), Amrb())
            torch.testing.assert_close(found[index, side], alone[0], rtol=1e-10, atol=1e-12)


def test_swapped_documents_have_swapped_encodings(make_pairs, documents):
    model = make_pairs()
    one, other = joined(*documents), joined(*reversed(documents))
    torch.testing.assert_close(read_by_head(model, *one), read_by_head(model, *other).flip(1), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(model(*one), model(*other))


def test_an_encoding_does_not_depend_on_the_other_document_nor_on_padding(make_pairs, documents):
    model, (firsts, seconds) = make_pairs(), documents
    tokens, lengths = joined(firsts, seconds)
    found = read_by_head(model, tokens, lengths)
    changed = read_by_head(model, *joined(firsts, [document % 14 + 1 for document in seconds]))
    assert torch.equal(found[:, 0], changed[:, 0])
    assert not torch.isclose(found[:, 1], changed[:, 1]).all(dim=1).any()
    longer = read_by_head(model, functional.pad(tokens, (0, 9), value=7), lengths)
    assert torch.equal(found, longer)


def test_a_head_that_compares_reads_normalised_encodings_their_product_and_distance(make_pairs, documents):
    model = make_pairs(pair_head="compared")
    first, second, product, distance = read_by_head(model, *joined(*documents)).flatten(1).chunk(4, dim=1)
    encodings = read_by_head(make_pairs(), *joined(*documents))
    centred = encodings - encodings.mean(dim=2, keepdim=True)
    expected = centred / (centred.square().mean(dim=2, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(torch.stack([first, second], dim=1), expected)
    assert torch.equal(product, first * second)
    assert torch.equal(distance, (first - second).abs())
    assert parameter_count(model.parameters_record) == sum(part.numel() for part in model.parameters())
    with pytest.raises(ParameterError, match="without a separator there is one document"):
        ModelParameters(pair_head="compared")


def test_the_head_is_lras_two_hidden_layers_over_both_encodings(make_pairs, documents):
    model = make_pairs()
    first, second = read_by_head(model, *joined(*documents)).unbind(dim=1)
    weights = dict(model.head.named_parameters())
    rows = torch.cat([first, second], dim=1)
    for layer in (0, 2):
        rows = (rows @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]).clamp(min=0)
    torch.testing.assert_close(model(*joined(*documents)), rows @ weights["4.weight"].T + weights["4.bias"])
    assert [tuple(weights[f"{layer}.weight"].shape) for layer in (0, 2, 4)] == [(24, 32), (12, 24), (10, 12)]


@pytest.mark.parametrize("readout", ["last", "every"])
def test_replay_gives_the_gradient_of_backpropagation_through_time_to_the_bit(make_pairs, documents, readout):
    model, (tokens, lengths), labels = make_pairs(readout=readout, dropout=0.1), joined(*documents), torch.arange(4)

    def gradient(way):
        model.zero_grad()
        torch.manual_seed(5)
        functional.cross_entropy(model(tokens, lengths, way), labels).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    whole = gradient(Bptt())
    for way in (Amrb(), Amrb(0), LayerwiseAmrb(), MemoryBudget(1.0), Truncated(4)):
        assert torch.equal(gradient(way), whole), way
    assert not torch.equal(gradient(Truncated(1)), whole)


def test_every_parameter_learns(make_pairs, documents):
    for architecture in ARCHITECTURES:
        model = make_pairs(architecture)
        functional.cross_entropy(model(*joined(*documents), Bptt()), torch.arange(4)).backward()
        assert [name for name, part in model.named_parameters() if part.numel() and not part.grad.any()] == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 2, 3], "a pair has 0 separators; give two documents with one token 15 between them"),
        ([1, 15, 2, 15, 3], "a pair has 2 separators"),
        ([15, 2], "a document of a pair is empty"),
        ([1, 15], "a document of a pair is empty"),
        ([1, 15, *[2] * 51], "51 tokens is longer than 5 segments of 10; make a model with segments=6"),
        ([1, 15, 16], "token 16 is out of range"),
    ],
)
def test_an_invalid_pair_is_refused(make_pairs, row, message):
    tokens, lengths = padded([torch.tensor([1, 2, 15, 3]), torch.tensor(row)])
    with pytest.raises(ModelError, match=message):
        make_pairs()(tokens, lengths)


def test_a_separator_outside_the_vocabulary_is_refused():
    with pytest.raises(ParameterError, match="the separator is token 16, but the vocabulary is 0 to 15"):
        ModelParameters(vocabulary=16, separator=16)


def test_without_a_separator_the_model_is_the_plain_classifier(make_model):
    assert type(make_model()) is SegmentClassifier
    assert type(make_model(separator=1)) is PairClassifier


def test_a_stream_of_pairs_is_refused(make_pairs):
    with pytest.raises(ModelError, match="encodes the two documents of a pair separately"):
        ClassifierStream(make_pairs(retention="streaming"))


# The plan.


PAIRS = ModelParameters(separator=SEPARATOR, segment_length=64, segments=3, readout="every")


@pytest.mark.parametrize(
    ("architecture", "name", "way"),
    [("rmaat", "bptt", Bptt()), ("rmaat", "amrb", Amrb()), ("transformer", "bptt", Bptt())],
)
def test_a_plan_of_pairs_agrees_with_measurement(tables, architecture, name, way):
    record = PAIRS.as_architecture(architecture)
    model, batch = build_model(record, tables).train(), full_pairs(record)

    def step():
        model(*batch, way).sum().backward()

    step()  # gradients exist from here on
    measured = peak_memory(step, torch.device("cpu")) / 1e6
    assert plan(record, name, batch[0].shape[1], batch=2).megabytes == pytest.approx(measured, rel=0.15)
    assert parameter_count(record) == sum(parameter.numel() for parameter in model.parameters())


def full_pairs(record):
    """Two pairs of the longest documents."""
    length = 2 * record.longest_sequence + 1
    tokens = torch.randint(1, SEPARATOR, (2, length), generator=torch.Generator().manual_seed(4))
    tokens[:, record.longest_sequence] = SEPARATOR
    return tokens, torch.full((2,), length)


def test_arithmetic_of_pairs_is_that_of_twice_as_many_documents(tables):
    record = PAIRS.as_architecture("rlt")
    tokens, lengths = full_pairs(record)
    with FlopCounterMode(display=False) as counter:
        build_model(record, tables)(tokens, lengths, Bptt())
    planned = plan(record, "bptt", tokens.shape[1], batch=2).forward_flops_per_token * tokens.numel()
    assert planned == forward_flops(record, 3, batch=4)
    # The counter includes the products of the head.
    assert planned == pytest.approx(counter.get_total_flops(), rel=2e-3)


def test_a_plan_names_the_longest_document():
    with pytest.raises(ModelError, match="takes 1 to 200 tokens per document, not 201; set more segments"):
        plan(ModelParameters(separator=SEPARATOR), "amrb", 403)


# Training.


@pytest.fixture(scope="module")
def pair_task() -> TaskData:
    """Do two documents of 2 to 20 tokens start with the same token?"""
    generator = np.random.default_rng(6)

    def split(count):
        pairs = [
            [generator.integers(1, 3, generator.integers(2, 21), dtype=np.uint8) for _ in "12"] for _ in range(count)
        ]
        sequences = [first.tobytes() + b"\x03" + second.tobytes() for first, second in pairs]
        return TokenDataset.from_sequences(sequences, [int(first[0] == second[0]) for first, second in pairs])

    return TaskData("same start", "made for the test", ("", "a", "b", "|"), 2, split(64), split(32), split(32), 3)


@pytest.fixture
def pair_configuration(configuration, pair_task):
    model = replace(configuration.model, classes=2, separator=3)
    return replace(configuration, data_sha256=pair_task.sha256(), model=model)


def test_pairs_are_trained_and_scored_in_segments_of_a_document(pair_task, pair_configuration, tables, tmp_path):
    # A pair has up to 41 tokens, and the model 4 segments of 5.
    assert pair_task.longest > pair_configuration.model.longest_sequence
    best = train(pair_configuration, pair_task, tables, tmp_path / "run")
    assert 0 <= best.accuracy <= 1
    evaluation = evaluate(tmp_path / "run", pair_task)
    assert evaluation.parameters == parameter_count(pair_configuration.model)


def without_separator(task):
    return replace(task, separator=None)


def with_an_empty_document(task):
    return replace(task, test=TokenDataset.from_sequences([b"\x03\x01"], [0]))


def with_one_document(task):
    return replace(task, test=TokenDataset.from_sequences([b"\x01\x01"], [0]))


@pytest.mark.parametrize(
    ("change", "spoil", "error", "message"),
    [
        ({}, without_separator, ModelError, "same start has one document a sequence; set separator to 0"),
        ({"separator": 2}, None, ModelError, "token 2 apart, but same start parts them by token 3; set .* to 3"),
        ({"segments": 3}, None, ModelError, "longest document has 20 tokens, more than 3 segments of 5"),
        ({}, with_an_empty_document, TaskError, "sequence 0 of same start has an empty document"),
        ({}, with_one_document, TaskError, "0 separators in a pair of documents"),
    ],
)  # fmt: skip
def test_pairs_that_do_not_fit_the_model_are_refused_before_any_work(
    pair_task, pair_configuration, tables, tmp_path, change, spoil, error, message
):
    task = spoil(pair_task) if spoil else pair_task
    model = replace(pair_configuration.model, **change)
    changed = replace(pair_configuration, model=model, data_sha256=task.sha256())
    with pytest.raises(error, match=message):
        train(changed, task, tables, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_presets_of_two_encodings_take_the_documents_of_their_task():
    for task in ("retrieval", "same_film"):
        preset = PRESETS[task]["two_encodings"]
        assert preset.model.longest_sequence >= preset.task_parameters.longest_document
        assert preset.model.separator == 255
