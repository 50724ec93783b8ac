"""Streams give the outputs of the batch form, from constant memory."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill import default_tables
from model.errors import ModelError
from model.networks.build import build_language_model, build_model
from model.networks.parameters import ModelParameters
from model.networks.streaming import ClassifierStream, LanguageModelStream

SIZES = {
    "width": 16, "heads": 2, "layers": 2, "feed_forward_width": 24, "memory_tokens": 3, "segment_length": 10,
    "segments": 6,
}  # fmt: skip
KINDS = [
    {"retention": "streaming"},
    {"retention": "none", "memory_tokens": 0},
    {"retention": "saturation", "norm": "pre", "readout": "every"},
    {"architecture": "rlt"},
    {"retention": "streaming", "memory_rule": "gated", "memory_norm": True, "initial_memory_scale": 1.0},
    {"retention": "saturation", "memory_rule": "share", "readout": "token"},
    {"retention": "streaming", "local_mixing": 3, "local_dilations": [1, 3]},
    {"retention": "streaming", "read": "rms"},
    {"retention": "streaming", "plasticity_count": "normalised", "exponent": "learned"},
    {"retention": "streaming", "pixels": "continuous", "vocabulary": 257},
]


def make(build, changes):
    torch.manual_seed(1)
    return build(ModelParameters.from_dict(SIZES | changes), default_tables()).double().eval()


def pieces(tokens, cuts):
    return tokens.tensor_split(sorted(cuts), dim=1)


CAUSAL_KINDS = [
    *KINDS,
    {"architecture": "rmt"},
    {"architecture": "rmt", "memory_tokens": 0, "local_mixing": 3},
    {"architecture": "transformer", "memory_tokens": 0, "segments": 1, "segment_length": 60},
]
cuts_of_text = st.lists(st.integers(1, 56), max_size=6, unique=True)


@settings(max_examples=12, deadline=None)
@given(kind=st.sampled_from(CAUSAL_KINDS), cuts=cuts_of_text)
def test_a_text_fed_in_pieces_gives_the_logits_of_the_whole_text(kind, cuts):
    model = make(build_language_model, kind)
    tokens = torch.randint(0, 16, (2, 57), generator=torch.Generator().manual_seed(2))
    stream = LanguageModelStream(model, batch=2)
    found = torch.cat([stream.feed(piece) for piece in pieces(tokens, cuts)], dim=1)
    torch.testing.assert_close(found, model(tokens)[0], rtol=1e-9, atol=1e-11)


@settings(max_examples=12, deadline=None)
@given(kind=st.sampled_from([*KINDS, {"architecture": "rmt"}]), cuts=cuts_of_text)
def test_a_sequence_fed_in_pieces_is_classified_at_each_point_as_if_it_ended_there(kind, cuts):
    model = make(build_model, kind)
    tokens = torch.randint(1, 16, (2, 57), generator=torch.Generator().manual_seed(2))
    stream, length = ClassifierStream(model, batch=2), 0
    for piece in pieces(tokens, cuts):
        stream.feed(piece)
        length += piece.shape[1]
        expected = model(tokens[:, :length], torch.tensor([length, length]))
        torch.testing.assert_close(stream.logits(), expected, rtol=1e-9, atol=1e-11)


def held(stream):
    """Bytes of all tensors that a stream owns."""
    found, seen = list(vars(stream).values()), 0
    while found:
        x = found.pop()
        if isinstance(x, torch.Tensor):
            seen += x.untyped_storage().nbytes()
        elif isinstance(x, tuple):
            found.extend(x)
        elif hasattr(x, "memory"):
            found.append(x.memory)
    return seen


def test_a_stream_holds_no_more_after_many_segments_than_after_one():
    language, classifier = (make(build, {"retention": "streaming", "segments": 40}) for build in (
        build_language_model, build_model
    ))  # fmt: skip
    for stream in (LanguageModelStream(language), ClassifierStream(classifier)):
        sizes = []
        for _ in range(38):
            stream.feed(torch.ones(1, 10, dtype=torch.int64))
            sizes.append(held(stream))
        assert sizes[-1] == sizes[1]


@pytest.mark.parametrize("variant", ["increment", "constant"])
def test_a_retention_that_needs_the_length_is_refused(variant):
    with pytest.raises(ModelError, match=f"variant '{variant}' needs the number of segments"):
        ClassifierStream(make(build_model, {"retention": variant}))


def test_a_stream_of_more_segments_than_the_model_has_is_refused():
    tokens = torch.ones(1, 61, dtype=torch.int64)
    with pytest.raises(ModelError, match="longer than 6 segments of 10"):
        ClassifierStream(make(build_model, {"retention": "streaming"})).feed(tokens)
    with pytest.raises(ModelError, match="segment 7 is beyond the 6 segments of the model"):
        LanguageModelStream(make(build_language_model, {"retention": "streaming"})).feed(tokens)


def test_a_stream_refuses_another_batch_size_unknown_tokens_and_logits_before_the_first_token():
    classifier = ClassifierStream(make(build_model, {"retention": "streaming"}))
    language = LanguageModelStream(make(build_language_model, {"retention": "streaming"}))
    with pytest.raises(ModelError, match="no token has been fed"):
        classifier.logits()
    for stream in (classifier, language):
        with pytest.raises(ModelError, match="a stream of 1 sequences"):
            stream.feed(torch.ones(2, 5, dtype=torch.int64))
        with pytest.raises(ModelError, match="token 16 is out of range"):
            stream.feed(torch.full((1, 5), 16))
