"""Options of the model that are ours: what each computes, and that replay keeps the gradient to the bit."""

import pytest
import torch
from torch.nn import functional

from model.errors import ModelError
from model.layers.local_mixing import LocalMixing
from model.layers.pixels import MIDDLE, SPREAD
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.memory.retention import next_memory
from model.networks.parameters import ARCHITECTURES, ModelParameters
from rmaat.base.records import ParameterError

WAYS = (Bptt(), Amrb(), Amrb(keep=0), LayerwiseAmrb(), LayerwiseAmrb(keep=0))
OPTIONS = [
    {"readout": "token"},
    {"memory_rule": "share"},
    {"memory_rule": "gated", "initial_memory_scale": 1.0},
    {"memory_norm": True, "norm": "pre"},
    {"memory_rule": "share", "memory_norm": True, "readout": "token"},
    {"local_mixing": 3},
    {"local_mixing": 4, "local_side": "past", "local_dilations": (1, 3), "norm": "pre"},
    {"local_mixing": 5, "local_dilations": (1, 4), "memory_tokens": 0},
    {"local_mixing": 3, "local_into": "rows"},
    {"local_mixing": 3, "local_into": "rows", "norm": "pre", "local_side": "past"},
    {"read": "rms"},
    {"plasticity_count": "normalised"},
    {"plasticity_count": "normalised", "exponent": "learned"},
    {"pixels": "continuous", "vocabulary": 257},
    {"pixels": "continuous", "vocabulary": 257, "pixel_patch": 3, "picture_width": 4},
    {"ngrams": (2, 4), "ngram_buckets": 50},
    {"row_block": 4},
    {"row_block": 5, "norm": "pre", "local_mixing": 3, "plasticity_count": "normalised", "exponent": "learned"},
    {"row_block": 3, "read": "rms", "local_mixing": 3, "local_into": "rows", "readout": "token"},
]
"""Settings that every test of gradients, streams and costs takes."""
OF_LANGUAGE_MODELS = [
    changes for changes in OPTIONS if set(changes) != {"readout"} and not {"pixel_patch", "row_block"} & set(changes)
]


@pytest.fixture
def memory():
    return torch.randn(2, 3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def segment(tokens=10):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(1, 16, (2, tokens), generator=generator), torch.ones(2, tokens, dtype=torch.bool)


def test_positions_are_added_to_tokens_and_not_to_memory_rows(make_model, memory):
    cell = make_model().cell
    assert cell.positions.shape == (10, 16)
    rows = cell.segment_rows(segment(), memory)
    assert torch.equal(rows[:, :3], memory)
    torch.testing.assert_close(rows[:, 3:] - cell.embedding(segment()[0]), cell.positions.expand(2, -1, -1))


def test_both_copies_of_the_memory_enter_the_causal_form_without_positions(make_language_model, memory):
    cell = make_language_model().cell
    assert cell.positions.shape == (10, 16)
    rows = cell.segment_rows(segment(), memory)
    assert torch.equal(rows[:, :3], memory)
    assert torch.equal(rows[:, 13:], memory)


def gradients(model, run):
    """The gradients of all parameters by every method, from the same dropout masks."""
    found = []
    for way in WAYS:
        model.zero_grad()
        torch.manual_seed(5)
        run(way).backward()
        found.append([part.grad.clone() for part in model.parameters() if part.numel()])
    return found


def assert_equal_to_the_bit(found):
    for bptt, *replayed in zip(*found, strict=True):
        assert bptt.any()
        assert all(torch.equal(bptt, gradient) for gradient in replayed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_replay_of_a_classifier_has_the_gradient_of_bptt_to_the_bit(make_model, ragged_batch, changes, dtype):
    tokens, lengths, labels = ragged_batch
    model = make_model(dtype, dropout=0.1, **changes)
    found = gradients(model, lambda way: functional.cross_entropy(model(tokens, lengths, way), labels))
    assert_equal_to_the_bit(found)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changes", OF_LANGUAGE_MODELS, ids=str)
def test_replay_of_a_language_model_has_the_gradient_of_bptt_to_the_bit(make_language_model, changes, dtype):
    tokens = torch.randint(1, 16, (2, 37), generator=torch.Generator().manual_seed(3))
    model = make_language_model(dtype, dropout=0.1, **changes)
    assert_equal_to_the_bit(gradients(model, lambda way: model.loss(tokens, differentiation=way)[0]))


@pytest.mark.parametrize("readout", ["last", "token"])
def test_rows_that_the_readout_leaves_out_change_no_value_and_no_gradient(make_model, ragged_batch, readout):
    tokens, lengths, labels = (part[[0, 5]] for part in ragged_batch)
    model, found = make_model(readout=readout), []
    for _ in range(2):
        model.zero_grad()
        logits = model(tokens, lengths)
        functional.cross_entropy(logits, labels).backward()
        found.append([logits.detach(), *(part.grad.clone() for part in model.parameters())])
        # From here on the cell does not know that a segment is passed, and computes all rows.
        model.cell.register_forward_pre_hook(lambda _, given: (tuple(given[0]), *given[1:]))
    for part, whole in zip(*found, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-9, atol=1e-12)


def test_the_readout_token_is_the_final_row_of_the_last_token(make_model, ragged_batch):
    tokens, lengths, _ = ragged_batch
    model, rows, read = make_model(readout="token", norm="pre"), [], []
    model.cell.final_norm.register_forward_hook(lambda *given: rows.append(given[2]))
    model.head.register_forward_hook(lambda *given: read.append(given[1][0]))
    model(tokens, lengths)
    for sample, length in enumerate(lengths.tolist()):
        segment, place = divmod(length - 1, 10)
        torch.testing.assert_close(read[0][sample], rows[segment][sample, 3 + place])


@pytest.mark.parametrize(
    ("rule", "expected"), [("scaled", 0.25 * 8.0), ("share", 4 + 0.25 * 8.0), ("gated", 0.25 * 4 + 0.75 * 8.0)]
)
def test_memory_rules_by_hand(rule, expected):
    old, new = torch.full((1, 1, 1), 4.0), torch.full((1, 1, 1), 8.0)
    assert next_memory(rule, old, new, torch.tensor(0.25)).item() == expected


@pytest.mark.parametrize("rule", ["scaled", "share", "gated"])
def test_the_cell_applies_the_memory_rule_and_samples_that_have_ended_keep_their_memory(make_model, memory, rule):
    cell, (tokens, present) = make_model(memory_rule=rule).cell, segment()
    present = present & torch.tensor([[True], [False]])
    factor = torch.tensor([0.25, 0.5])
    _, found = cell((tokens, present), memory, factor, cell.shared())
    _, new = make_model(memory_rule="scaled").cell((tokens, present), memory, torch.ones(2), cell.shared())
    expected = {"scaled": new / 4, "share": memory + new / 4, "gated": memory / 4 + 0.75 * new}[rule]
    torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=1e-7)
    assert torch.equal(found[1], memory[1])


def test_a_gated_memory_needs_retention_factors():
    for changes in ({"retention": "none"}, {"architecture": "rmt"}, {"architecture": "rlt"}):
        with pytest.raises(ParameterError, match="keeps the initial memory for ever"):
            ModelParameters.from_dict(changes | {"memory_rule": "gated"})
    assert ModelParameters(memory_rule="gated").as_architecture("rmt").memory_rule == "scaled"
    assert ModelParameters(memory_rule="share").as_architecture("rmt").memory_rule == "share"


@pytest.mark.parametrize("name", ["memory_rule", "memory_norm", "initial_memory_scale"])
def test_settings_of_the_memory_are_refused_for_a_model_without_memory(name):
    value = {"memory_rule": "share", "memory_norm": True, "initial_memory_scale": 1.0}[name]
    plain = ModelParameters().as_architecture("transformer")
    with pytest.raises(ParameterError, match=f"{name} is {value}, which means nothing to a transformer"):
        plain.override({name: value})
    assert ModelParameters.from_dict({name: value}).as_architecture("transformer") == plain


def test_the_initial_memory_has_the_given_scale(make_model, make_language_model):
    for make in (make_model, make_language_model):
        small, large = (make(initial_memory_scale=scale).initial_memory for scale in (0.02, 1.0))
        torch.testing.assert_close(large, 50 * small, rtol=1e-6, atol=0)


def test_the_norm_of_the_memory_sees_what_enters_and_the_rule_the_memory_itself(make_model, memory):
    cell = make_model(memory_norm=True, memory_rule="share").cell
    given = segment(), 3 * memory + 1, torch.zeros(2), cell.shared()
    summary, found = cell(*given)
    assert torch.equal(found, 3 * memory + 1)
    torch.testing.assert_close(summary, cell(segment(), memory, *given[2:])[0], rtol=1e-4, atol=1e-4)


def test_local_mixing_by_hand_token_by_token():
    generator = torch.Generator().manual_seed(7)
    rows = torch.randn(2, 12, 4, dtype=torch.float64, generator=generator)
    valid = torch.ones(2, 12, dtype=torch.bool)
    valid[1, 8:] = False
    for one_sided, after in ((False, 0), (True, 0), (True, 3)):
        local = LocalMixing(4, 3, (1, 2), 3, after, one_sided=one_sided).double()
        expected, last = rows.clone(), 12 - after
        for place in range(3, last):
            for weights, dilation in zip(local.weights, local.dilations, strict=True):
                for tap in range(3):
                    other = place + dilation * (tap - (2 if one_sided else 1))
                    if 3 <= other < last:
                        expected[:, place] += weights[:, tap] * rows[:, other] * valid[:, other, None]
        torch.testing.assert_close(local(rows, valid), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_neighbours_reach_the_feed_forward_part_only_if_they_go_into_the_rows(make_model, norm):
    def responds(into):
        block = make_model(local_mixing=3, local_into=into, norm=norm, layers=1, memory_tokens=0).cell.blocks[0]
        # Nothing passes through the attention.
        torch.nn.init.zeros_(block.attention.project_out.weight)
        rows, valid = torch.randn(1, 10, 16, dtype=torch.float64), torch.ones(1, 10, dtype=torch.bool)
        changed = rows.clone()
        changed[:, 5] += torch.randn(16, dtype=torch.float64)
        shared = block.attention.shared()
        return (block(rows, valid, shared, 10) != block(changed, valid, shared, 10)).any(dim=2)[0].nonzero().flatten()

    assert responds("mixing").tolist() == [5]
    assert responds("rows").tolist() == [4, 5, 6]


@pytest.mark.parametrize("norm", [None, torch.nn.LayerNorm(4, dtype=torch.float64)])
def test_local_mixing_advances_from_any_cut(norm):
    tokens = torch.randn(2, 17, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    local = LocalMixing(4, 3, (1, 4), 0, 0, one_sided=True, norm=norm).double()
    whole = local(tokens, torch.ones(2, 17, dtype=torch.bool))
    found, past = [], tokens.new_zeros(2, local.reach, 4)
    for piece in tokens.split([1, 5, 2, 9], dim=1):
        mixed, past = local.advance(piece, past)
        found.append(mixed)
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_local_mixing_of_every_architecture_does_not_see_other_samples_or_padding(
    make_model, ragged_batch, architecture
):
    plain = ModelParameters(segments=5, segment_length=10, memory_tokens=3).as_architecture(architecture)
    sizes = {name: getattr(plain, name) for name in ("segments", "segment_length", "memory_tokens")}
    model = make_model(architecture=architecture, local_mixing=3, local_dilations=(1, 4), readout="token", **sizes)
    assert {len(block.local.weights) for block in model.cell.blocks} == {2}
    tokens, lengths, _ = ragged_batch
    together = model(tokens, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone = model(tokens[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-10, atol=1e-12)


def test_no_token_of_a_language_model_sees_a_later_one_through_local_mixing(make_language_model):
    model = make_language_model(local_mixing=3, local_dilations=(1, 2))
    tokens = torch.randint(1, 16, (2, 25), generator=torch.Generator().manual_seed(3))
    changed = tokens.clone()
    changed[:, 14] = 1 + changed[:, 14] % 15
    logits, other = model(tokens)[0], model(changed)[0]
    assert torch.equal(other[:, :14], logits[:, :14])
    assert (other != logits)[:, 14:20].any(dim=2).all()


def test_a_kernel_without_a_middle_or_without_dilations_is_refused():
    with pytest.raises(ParameterError, match="local_mixing 4 has no middle"):
        ModelParameters(local_mixing=4)
    with pytest.raises(ParameterError, match="local_dilations is empty"):
        ModelParameters(local_mixing=3, local_dilations=())
    assert ModelParameters().override({"local_dilations": "1,32"}).local_dilations == (1, 32)


def test_the_rms_read_is_refused_where_it_means_nothing():
    with pytest.raises(ParameterError, match="read rms has no plasticity"):
        ModelParameters(read="rms", exponent="learned")
    with pytest.raises(ParameterError, match="plasticity_count is normalised, but read rms has no plasticity"):
        ModelParameters(read="rms", plasticity_count="normalised")
    with pytest.raises(ParameterError, match="plasticity_count is normalised, which means nothing to a rlt"):
        ModelParameters(architecture="rlt", retention="increment", plasticity_count="normalised")
    for name in ("rmt", "s4d"):
        plain = ModelParameters().as_architecture(name)
        with pytest.raises(ParameterError, match=f"read is rms, which means nothing to a {name}"):
            plain.override({"read": "rms"})
        assert ModelParameters(read="rms").as_architecture(name) == plain


def test_continuous_pixels_are_linear_in_the_grey_value_and_padding_is_zero(make_model):
    embedding = make_model(pixels="continuous", vocabulary=257).cell.embedding
    black, grey, white, padding = embedding(torch.tensor([[1, 129, 256, 0]]))[0]
    assert not padding.any()
    torch.testing.assert_close(grey, black + (white - black) * 128 / 255)
    every = embedding(torch.arange(1, 257)[None])[0]
    torch.testing.assert_close(every.std(dim=0), embedding.weight[0].abs(), rtol=3e-3, atol=0)


def test_a_patch_of_pixels_by_hand_pixel_by_pixel(make_model):
    options = {"pixels": "continuous", "vocabulary": 257, "pixel_patch": 3, "picture_width": 4}
    embedding = make_model(**options).cell.embedding
    generator = torch.Generator().manual_seed(9)
    # Two whole rows of a picture and half of the third.
    tokens = torch.randint(1, 257, (2, 10), generator=generator)
    grey = (tokens.double() - 1 - MIDDLE) / SPREAD
    expected = embedding.bias.repeat(2, 10, 1)
    for place in range(10):
        row, column = divmod(place, 4)
        for index, (down, right) in enumerate((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)):
            other = 4 * (row + down) + column + right
            if row + down >= 0 and 0 <= column + right < 4 and other < 10:
                expected[:, place] += grey[:, other, None] * embedding.weight[index]
    torch.testing.assert_close(embedding(tokens), expected, rtol=1e-12, atol=1e-12)


def test_patches_are_odd_of_grey_values_and_never_of_a_language_model(make_language_model):
    for changes, reason in (({"pixel_patch": 3}, "needs grey values"), ({"pixel_patch": 2}, "has no middle")):
        with pytest.raises(ParameterError, match=reason):
            ModelParameters.from_dict(changes)
    with pytest.raises(ModelError, match="reads later pixels"):
        make_language_model(pixels="continuous", vocabulary=257, pixel_patch=3)


def test_continuous_pixels_are_refused_for_other_vocabularies():
    for changes in ({"vocabulary": 16}, {"vocabulary": 257, "separator": 255}):
        with pytest.raises(ParameterError, match="is not that of images"):
            ModelParameters.from_dict(changes | {"pixels": "continuous"})
