"""The classifier: segments, memory, retention, masking, readout and compilation."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from distill import default_tables
from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, Truncated
from model.networks.build import build_model
from model.networks.cell import PassedSegment, split_segments
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ARCHITECTURES, ModelParameters
from rmaat.base.records import ParameterError

ROOT = Path(__file__).parents[3]
RECURRENT = [name for name, family in ARCHITECTURES.items() if family.recurrent]
ALL = list(ARCHITECTURES)
ABLATIONS = [
    {"retention": "none"},
    {"retention": "streaming"},
    {"relative_positions": "none"},
    {"relative_positions": "learned"},
    {"relative_positions": "measured"},
    {"relative_positions": "identity"},
    {"relative_positions": "random"},
    {"position_embedding": "none"},
    {"exponent": "one"},
    {"exponent": "learned"},
    {"write_scale": "one"},
    {"memory_tokens": 0},
    {"norm": "pre"},
]


@pytest.fixture
def make_any(make_model):
    def make(architecture, **changes):
        if not ARCHITECTURES[architecture].recurrent:
            changes = {"segments": 1, "segment_length": 50, "memory_tokens": 0} | changes
        return make_model(architecture=architecture, **changes)

    return make


def test_split_segments_cuts_a_batch_and_marks_padding():
    tokens = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]])
    segments = split_segments(tokens, torch.tensor([5, 2]), 2)
    assert [segment[0].tolist() for segment in segments] == [[[1, 2], [6, 7]], [[3, 4], [0, 0]], [[5], [0]]]
    assert [segment[1].sum().item() for segment in segments] == [4, 2, 1]


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("architecture", ALL)
def test_a_sample_does_not_depend_on_the_others_of_its_batch_nor_on_padding(
    make_any, ragged_batch, architecture, readout
):
    model = make_any(architecture, readout=readout)
    tokens, lengths, _ = ragged_batch
    together = model(tokens, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone = model(tokens[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("architecture", RECURRENT)
def test_memory_carries_the_first_segment_to_the_last_readout(make_any, ragged_batch, architecture):
    model = make_any(architecture)
    tokens, lengths, _ = ragged_batch
    changed = tokens.clone()
    changed[:, 0] = 1 + changed[:, 0] % 15
    assert (model(tokens, lengths) - model(changed, lengths)).abs().min() > 1e-9


def test_without_memory_tokens_the_first_segment_is_forgotten(make_any, ragged_batch):
    model = make_any("rmaat", memory_tokens=0)
    tokens, lengths, _ = ragged_batch
    changed = tokens.clone()
    changed[:, 0] = 1 + changed[:, 0] % 15
    same = (model(tokens, lengths) == model(changed, lengths)).all(dim=1)
    assert same.tolist() == (lengths > 10).tolist()


def by_hand(model, sample):
    """One sequence through the cell, segment by segment, with retention factors directly from the tables."""
    record = model.parameters_record
    pieces = sample.split(record.segment_length)
    memory = model.initial_memory[None]
    for index, piece in enumerate(pieces):
        padded = functional.pad(piece, (0, record.segment_length - len(piece)))[None]
        present = torch.arange(record.segment_length)[None] < len(piece)
        factor = model.retention(index + 1, torch.tensor([len(pieces)]))[index]
        summary, memory = model.cell((padded, present), memory, factor, model.cell.shared())
    return model.head(summary / (len(pieces[-1]) + record.memory_tokens))


@pytest.mark.parametrize("architecture", RECURRENT)
def test_logits_equal_those_of_the_cell_run_by_hand_over_one_sequence(make_any, ragged_batch, architecture):
    model = make_any(architecture)
    tokens, lengths, _ = ragged_batch
    for index, length in enumerate(lengths.tolist()):
        expected = by_hand(model, tokens[index, :length])
        torch.testing.assert_close(model(tokens, lengths)[index : index + 1], expected, rtol=1e-10, atol=1e-12)


def test_memory_is_multiplied_by_the_factor_of_segment_and_length(make_any, tables):
    model = make_any("rmaat")
    for segments in range(1, 6):
        found = model.retention(segments, torch.tensor([segments]))[:, 0]
        torch.testing.assert_close(found, torch.from_numpy(tables.retention(segments)), rtol=1e-6, atol=0)
    segment = (torch.ones(1, 10, dtype=torch.int64), torch.ones(1, 10, dtype=torch.bool))
    memory = model.initial_memory[None]
    _, whole = model.cell(segment, memory, torch.ones(1), model.cell.shared())
    _, part = model.cell(segment, memory, torch.tensor([0.25]), model.cell.shared())
    torch.testing.assert_close(part, whole * 0.25)


def test_the_baseline_rmt_keeps_all_of_its_memory(make_any):
    model = make_any("rmt")
    assert model.retention(5, torch.tensor([5])).tolist() == [[1.0]] * 5


def test_every_parameter_of_every_architecture_learns(make_any, ragged_batch):
    tokens, lengths, labels = ragged_batch
    for architecture in ALL:
        model = make_any(architecture)
        functional.cross_entropy(model(tokens, lengths, Bptt()), labels).backward()
        idle = [name for name, parameter in model.named_parameters() if parameter.numel() and not parameter.grad.any()]
        assert idle == []


def test_saved_weights_include_the_values_from_the_tables(make_any, tables):
    state = make_any("rmaat").state_dict()
    assert state["cell.blocks.0.attention.exponent"] == pytest.approx(tables.exponent)
    assert state["cell.blocks.1.attention.positions.kernel.decay"] == pytest.approx(tables.decay_per_token)


@pytest.mark.parametrize(
    ("tokens", "lengths", "message"),
    [
        (
            torch.ones(1, 51, dtype=torch.int64),
            [51],
            "51 tokens is longer than 5 segments of 10; make a model with segments=6",
        ),
        (torch.full((1, 5), 16), [5], "token 16 is out of range; the vocabulary is 0 to 15"),
        (torch.full((1, 5), -1), [5], "token -1 is out of range"),
        (torch.ones(1, 0, dtype=torch.int64), [0], "at least one token"),
        (torch.ones(1, 5, dtype=torch.int64, device="meta"), [5], "tokens are on meta, the model on cpu"),
        (torch.ones(1, 5, dtype=torch.int64), [0], "lengths must lie between 1 and 5"),
        (torch.ones(1, 5, dtype=torch.int64), [6], "lengths must lie between 1 and 5"),
    ],
)
def test_input_out_of_range_is_refused(make_any, tokens, lengths, message):
    with pytest.raises(ModelError, match=message):
        make_any("rmaat")(tokens, torch.tensor(lengths), Amrb())


@pytest.mark.parametrize(
    ("tokens", "lengths", "message"),
    [
        (torch.ones(1, 5), torch.tensor([5]), "tokens are torch.float32"),
        (torch.ones(1, dtype=torch.int64), torch.tensor([5]), r"of shape \(1,\)"),
        (torch.ones(1, 5, dtype=torch.int64), torch.tensor([5.0]), "lengths are torch.float32"),
        (torch.ones(1, 5, dtype=torch.int64), torch.tensor([[5]]), r"lengths are torch.int64 of shape \(1, 1\)"),
    ],
)
def test_input_of_another_type_or_shape_is_refused(make_any, tokens, lengths, message):
    # Bypass the checks of annotations, which would raise first.
    with pytest.raises(ModelError, match=message):
        make_any("rmaat")._check(tokens, lengths)


def test_lengths_that_do_not_match_the_batch_are_refused(make_any):
    for count in (0, 2):
        with pytest.raises(ModelError, match=f"1 sequences came with {count} lengths"):
            make_any("rmaat")._check(torch.ones(1, 5, dtype=torch.int64), torch.full((count,), 5))


def test_a_transformer_with_several_segments_is_refused():
    for name in set(ALL) - set(RECURRENT):
        with pytest.raises(ParameterError, match=f"a {name} reads the whole sequence as one segment"):
            ModelParameters(architecture=name)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ParameterError, match="3 heads do not divide a width of 64"):
        ModelParameters(heads=3)


def test_the_transformer_sees_the_whole_sequence_at_once():
    record = ModelParameters(segments=4, segment_length=50).as_architecture("transformer")
    assert (record.segments, record.segment_length, record.memory_tokens) == (1, 200, 0)


@pytest.mark.parametrize("setting", ["exponent", "relative_positions", "write_scale", "retention"])
def test_an_astrocytic_setting_is_refused_for_a_model_without_astrocytes(setting):
    value = {"exponent": "one", "write_scale": "one"}.get(setting, "none")
    for name in ("rmt", "rlt"):
        with pytest.raises(ParameterError, match=f"{setting} is {value}, which means nothing to a {name}"):
            ModelParameters.from_dict({"architecture": name, setting: value})
    changed = ModelParameters.from_dict({setting: value})
    assert changed.as_architecture("rmt") == ModelParameters().as_architecture("rmt")


@pytest.mark.parametrize(("given", "used"), [("0.25", 0.25), ("one", 1.0), ("tables", default_tables().exponent)])
def test_the_exponent_is_a_number_or_a_word_for_one(given, used):
    model = build_model(ModelParameters().override({"exponent": given}), default_tables())
    assert [float(block.attention.exponent) for block in model.cell.blocks] == pytest.approx([used] * 2)


def test_an_unknown_architecture_is_refused_with_similar_names():
    with pytest.raises(ParameterError, match="perhaps you meant rmaat"):
        ModelParameters().as_architecture("rmat")


def test_architectures_have_the_same_size_except_for_astrocytic_positions(make_any):
    sizes = {name: sum(p.numel() for p in make_any(name).parameters()) for name in ALL}
    assert sizes["rmt"] == sizes["rlt"]
    assert sizes["rmaat"] - sizes["rlt"] == 2 * 16 * (3 + 10)
    assert sizes["transformer"] == sizes["linear_transformer"]
    assert sizes["astromorphic_transformer"] - sizes["transformer"] == 2 * 16 * 50


@pytest.mark.parametrize("readout", ["last", "every"])
def test_rmaat_without_its_astrocytic_parts_is_rlt(make_any, ragged_batch, readout):
    changes = {"retention": "none", "relative_positions": "none", "exponent": "one", "write_scale": "one"}
    plain, rlt = make_any("rmaat", readout=readout, **changes), make_any("rlt", readout=readout)
    rlt.load_state_dict(plain.state_dict())
    assert torch.equal(plain(*ragged_batch[:2]), rlt(*ragged_batch[:2]))


@pytest.mark.parametrize("changes", ABLATIONS, ids=str)
def test_each_ablation_changes_the_model_and_keeps_the_gradient_of_replay(make_any, ragged_batch, changes):
    tokens, lengths, labels = ragged_batch
    model, found = make_any("rmaat", **changes), []
    for way in (Bptt(), Amrb()):
        model.zero_grad()
        functional.cross_entropy(model(tokens, lengths, way), labels).backward()
        found.append([p.grad for p in model.parameters() if p.numel()])
    assert all(torch.equal(one, other) and other.any() for one, other in zip(*found, strict=True))
    # Learned values start at those of the tables.
    same = torch.allclose(model(tokens, lengths), make_any("rmaat")(tokens, lengths))
    assert same == ("learned" in changes.values())


@pytest.mark.parametrize(
    ("changes", "sees_order"),
    [
        ({"position_embedding": "none", "relative_positions": "none"}, False),
        ({"position_embedding": "none", "relative_positions": "identity"}, True),
        ({"position_embedding": "learned", "relative_positions": "none"}, True),
    ],
    ids=["no positions", "identity kernel", "learned positions"],
)
def test_the_astrocytic_write_is_a_position_code_even_without_coupling(make_any, changes, sees_order):
    model, tokens, length = make_any("rmaat", **changes), torch.arange(1, 11)[None], torch.tensor([10])
    same = torch.allclose(model(tokens, length), model(tokens.flip(1), length), rtol=1e-9)
    assert same != sees_order


def test_without_learned_positions_all_other_weights_of_a_seed_are_the_same(make_any):
    plain, changed = make_any("rmaat").state_dict(), make_any("rmaat", position_embedding="none").state_dict()
    assert set(plain) - set(changed) == {"cell.positions"}
    assert all(torch.equal(plain[name], values) for name, values in changed.items())


def all_rows(model):
    """Make the model compute every row of every segment, needed or not."""
    return model.cell.register_forward_pre_hook(lambda _, given: (tuple(given[0]), *given[1:]))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("architecture", RECURRENT)
def test_leaving_out_rows_that_do_not_reach_the_loss_changes_no_value_and_no_gradient(
    make_any, ragged_batch, architecture, norm
):
    model, found = make_any(architecture, norm=norm), []
    tokens, lengths, labels = (part[[0, 5]] for part in ragged_batch)
    for _ in range(2):
        model.zero_grad()
        logits = model(tokens, lengths, Bptt())
        functional.cross_entropy(logits, labels).backward()
        found.append([logits.detach(), *(p.grad.clone() for p in model.parameters())])
        all_rows(model)
    for part, whole in zip(*found, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-9, atol=1e-12)


def test_the_last_layer_computes_only_memory_rows_of_passed_segments(make_any, ragged_batch):
    tokens, lengths, _ = (part[[0, 1]] for part in ragged_batch)  # the 5th and the 2nd segment are read
    for readout, expected in (("last", [3, 13, 3, 3, 13]), ("every", [13] * 5)):
        model, seen = make_any("rmaat", readout=readout), []
        model.cell.blocks[-1].feed_forward.register_forward_hook(
            lambda *given, seen=seen: seen.append(len(given[2][0]))
        )
        model(tokens, lengths)
        assert seen == expected


def test_passed_segments_cost_nothing_without_memory_tokens(make_any, ragged_batch):
    model, seen = make_any("rmaat", memory_tokens=0), []
    model.cell.embedding.register_forward_hook(lambda *given: seen.append(given))
    model(ragged_batch[0][:1], ragged_batch[1][:1])
    assert len(seen) == 1
    segment = PassedSegment(torch.ones(1, 10, dtype=torch.int64), torch.ones(1, 10, dtype=torch.bool))
    summary, _ = model.cell(segment, torch.zeros(1, 0, 16).double(), torch.ones(1), model.cell.shared())
    assert not summary.any()


COMPILED = """
import json
import sys
import torch
from torch._dynamo.utils import counters
from torch.nn import functional
from distill import default_tables
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.memory.differentiation import Amrb, Bptt

tokens, lengths = torch.randint(1, 16, (3, 24)), torch.tensor([24, 12, 5])
shorter = (tokens[:, :20], torch.tensor([20, 12, 5]))

def answer(model):
    model.eval()
    with torch.no_grad():
        logits = model(*shorter)
    model.train()
    return logits

def gradient(model, way):
    model.zero_grad()
    torch.manual_seed(2)
    functional.cross_entropy(model(tokens, lengths, way), torch.tensor([1, 2, 3])).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

def check(changes):
    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(1)
    sizes = {"width": 8, "heads": 2, "feed_forward_width": 8, "memory_tokens": 2, "segment_length": 6, "segments": 4}
    model = build_model(ModelParameters.from_dict(sizes | {"dropout": 0.1} | changes), default_tables())
    eager, eager_answer = gradient(model, Bptt()), answer(model)
    names = list(model.state_dict())
    model.compile_cell("aot_eager")
    compiled = gradient(model, Bptt())
    assert counters["stats"]["unique_graphs"] == 1, counters
    replayed = gradient(model, Amrb())
    gradient(model, Amrb())
    # One more training graph under replay's autocast state, and those of passes without gradient.
    assert counters["stats"]["unique_graphs"] <= 4, counters
    assert not counters["graph_break"], counters
    assert torch.equal(compiled, replayed)
    torch.testing.assert_close(compiled, eager)
    # The compiled model pads the last segment; the plain model does not.
    torch.testing.assert_close(answer(model), eager_answer)
    assert list(model.state_dict()) == names

for changes in json.loads(sys.argv[1]):
    check(changes)
"""


OPTIONS = {
    "memory_rule": "share", "memory_norm": True, "local_mixing": 3, "local_dilations": [1, 2], "read": "rms",
}  # fmt: skip


@pytest.mark.slow
def test_the_compiled_cell_has_one_training_graph_for_all_segments_and_the_gradient_of_the_plain_one():
    """Run in another process, without the checks of shapes, which torch.compile cannot trace."""
    # One process for both models: loading torch's compiler takes as long as compiling. One layer of each kind, because
    # the time grows with the layers.
    plain = {"readout": "every", "layers": 1}
    command = [sys.executable, "-c", COMPILED, json.dumps([plain, plain | OPTIONS | {"layers": 2}])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_truncation_does_not_replay_segments_that_the_readout_leaves_out(make_any):
    model = make_any("rmaat", segments=4, segment_length=5, readout="last")
    runs = []
    model.cell.register_forward_pre_hook(lambda *_: runs.append(torch.is_grad_enabled()))
    model(torch.ones(2, 20, dtype=torch.int64), torch.tensor([20, 17]), Truncated(1)).sum().backward()
    assert runs == [False, False, False, True]


def test_a_compiled_model_of_one_segment_pads_to_an_eighth_of_its_length_and_gives_the_same(make_any, monkeypatch):
    model = make_any("transformer", segment_length=40).eval()
    seen = []
    model.cell.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0][0].shape[1]))
    tokens, lengths = torch.randint(1, 16, (2, 12)), torch.tensor([12, 7])
    plain = model(tokens, lengths)
    # Pretend to be compiled: torch.compile cannot trace the checks of shapes in tests.
    monkeypatch.setattr(SegmentClassifier, "_is_compiled", True)
    torch.testing.assert_close(model(tokens, lengths), plain)
    assert seen == [12, 15]


def test_a_compiled_cell_is_not_replayed_layer_by_layer(make_any, ragged_batch):
    model = make_any("rmaat")
    model.compile_cell("eager")
    with pytest.raises(ModelError, match="compiled cell cannot be replayed layer by layer"):
        model(*ragged_batch[:2], LayerwiseAmrb())


@pytest.mark.slow
@pytest.mark.usefixtures("without_checks_of_shapes")
def test_an_exported_program_gives_the_logits_of_the_model_for_any_number_of_sequences(make_model):
    model = make_model(torch.float32).eval()
    longest = model.parameters_record.longest_sequence
    tokens, lengths = torch.randint(1, 16, (3, longest)), torch.tensor([longest, 7, 1])
    several = torch.export.Dim("several", max=8)
    with torch.no_grad():
        program = torch.export.export(model, (tokens[:2], lengths[:2]), dynamic_shapes=({0: several}, {0: several}))
        torch.testing.assert_close(program.module()(tokens, lengths), model(tokens, lengths), rtol=0, atol=0)
