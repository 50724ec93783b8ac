"""Training: it learns, stops and resumes to the bit, and leaves a whole run folder."""

import csv
import errno
import json
import math
import os
import shutil
import signal
import threading
from dataclasses import replace
from itertools import pairwise

import pytest
import safetensors.torch
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from distill import Tables
from model.errors import ModelError
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb, MemoryBudget, Truncated
from model.tasks import TokenDataset
from model.training import evaluation, loop
from model.training.checkpoint import BEST, CHECKPOINT, load_model, load_state, newest
from model.training.device import choose_device
from model.training.evaluation import evaluate, load_run, measure_cost
from model.training.loop import train
from model.training.method import differentiation
from model.training.parameters import TrainingParameters
from model.training.run_folder import METRICS, RunFolder
from model.training.schedule import learning_rate
from model.training.scoring import Score, evaluate_split
from rmaat.base.errors import Interrupted, OutOfTime
from rmaat.base.files import FileError, locked_folder
from rmaat.base.records import ParameterError

STATE = ("step", "best_accuracy", "seconds", "window", "skipped")


def weights(folder, file="model.safetensors"):
    return safetensors.torch.load((newest(folder, CHECKPOINT) / file).read_bytes())


def assert_same_weights(first, second):
    first, second = weights(first), weights(second)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.fixture(scope="module")
def finished(task, configuration, tables, tmp_path_factory):
    """The folder of one finished training, which no test may change, and its best score."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, train(configuration, task, tables, folder)


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run's folder."""
    return shutil.copytree(finished[0], tmp_path / "run")


class InterruptAfter:
    """A progress callable that sends an interrupt once, at a step."""

    def __init__(self, step, steps):
        self.fraction = step / steps

    def __call__(self, fraction, note=""):  # noqa: ARG002
        if math.isclose(fraction, self.fraction):
            # To this thread, and handled before the call returns.
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_training_learns_to_carry_the_first_token_through_memory(task, configuration, tables, tmp_path):
    longer = replace(
        configuration,
        model=replace(configuration.model, dropout=0.0),
        training=replace(configuration.training, steps=250, accumulation=1, learning_rate=1e-2, validate_every=50),
    )
    assert train(longer, task, tables, tmp_path / "run").accuracy > 0.9
    evaluation = evaluate(tmp_path / "run", task)
    assert evaluation.accuracy > 0.9
    assert evaluation.trivial_levels["root operator alone"] == 1.0
    assert evaluation.trivial_levels["commonest label"] < 0.6
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["accuracy"] == evaluation.accuracy


def test_amrb_and_bptt_train_to_the_same_weights(run, task, configuration, tables, tmp_path):
    assert configuration.training.differentiation == "amrb"
    changed = replace(configuration, training=replace(configuration.training, differentiation="bptt"))
    train(changed, task, tables, tmp_path / "bptt")
    assert_same_weights(run, tmp_path / "bptt")


@pytest.mark.parametrize("step", [3, 4, 9])
def test_an_interrupted_run_resumes_to_the_same_weights_as_one_that_was_not(
    run, task, configuration, tables, tmp_path, step
):
    with pytest.raises(Interrupted, match=f"after step {step + 1} of 12; continue the same command with --resume"):
        train(configuration, task, tables, tmp_path / "cut", progress=InterruptAfter(step, 12))
    train(configuration, task, tables, tmp_path / "cut", resume=True)
    assert_same_weights(run, tmp_path / "cut")
    whole, cut = (RunFolder(folder).read_metrics() for folder in (run, tmp_path / "cut"))
    for row in (*whole, *cut):
        del row["seconds"]
    assert whole == cut


def test_slices_of_a_run_end_on_time_and_give_the_bits_of_one_run(run, task, configuration, tables, tmp_path):
    for end in (5, 10):
        # Asked after every step, the fifth time it is over.
        asked = iter([False] * 4 + [True])
        with pytest.raises(OutOfTime, match=f"out of time after step {end} of 12"):
            train(configuration, task, tables, tmp_path / "cut", resume=end > 5, is_over=asked.__next__)
    train(configuration, task, tables, tmp_path / "cut", resume=True)
    assert_same_weights(run, tmp_path / "cut")


def test_numbers_below_the_normal_range_are_zero_in_training_and_not_after(task, configuration, tables, tmp_path):
    seen = set()

    def smallest(*_):
        seen.add((torch.full((1,), 1e-30) * 1e-10).item())

    train(configuration, task, tables, tmp_path / "run", progress=smallest)
    assert seen == {0.0}
    smallest()
    assert max(seen) > 0


def test_the_cost_of_a_training_is_its_time_and_a_steps_memory(task, configuration, run):
    cost = measure_cost(run, task)
    assert cost == RunFolder(run).read_cost()
    assert cost.seconds == load_state(newest(run, CHECKPOINT)).seconds > 0
    rows = 16 * 20 * configuration.model.width * 4
    assert rows < cost.peak_bytes < 100 * rows


def test_a_run_folder_holds_what_ordinary_tools_read(configuration, run):
    folder = RunFolder(run)
    assert folder.read_configuration() == replace(configuration, training=replace(configuration.training, threads=1))
    rows = list(csv.DictReader(folder.metrics.read_text().splitlines()))
    assert list(rows[0]) == list(METRICS)
    assert [int(row["step"]) for row in rows] == [4, 8, 12]
    assert list((run / "tensorboard").glob("events*"))
    assert not list(run.rglob(".*"))


def test_the_best_weights_give_the_best_validation_score(finished, task, configuration):
    run, best = finished
    score = evaluate_split(load_run(RunFolder(run)), task.validation, configuration.training)
    assert score == best
    assert score.accuracy == max(row["validation_accuracy"] for row in RunFolder(run).read_metrics())


def test_a_warm_up_takes_no_more_than_half_of_the_steps():
    settings = TrainingParameters(steps=10, warmup_steps=100, learning_rate=1.0)
    assert [learning_rate(step, settings) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert learning_rate(5, settings) == 1.0
    assert learning_rate(10, settings) == pytest.approx(0, abs=1e-12)


def test_a_finished_run_keeps_its_best_score_where_its_metrics_are_gone(finished, run, task, configuration, tables):
    metrics = RunFolder(run).metrics
    metrics.write_text("step,epoch\n")
    with pytest.raises(ModelError, match=r"metrics\.csv is damaged \(no column"):
        train(configuration, task, tables, run, resume=True)
    metrics.unlink()
    again = train(configuration, task, tables, run, resume=True)
    assert again.accuracy == finished[1].accuracy
    assert math.isnan(again.loss)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    settings = TrainingParameters(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))


def test_accumulated_batches_make_the_step_of_one_large_batch(task, configuration, tables, tmp_path):
    # Sequences of one length and one epoch of as many batches: both see the same sequences in each step.
    same = TokenDataset.from_sequences(
        [bytes([1 + index % 3] * 5) for index in range(32)], [index % 3 for index in range(32)]
    )
    even = replace(task, train=same, validation=same, test=same)
    for name, size, count in (("one", 32, 1), ("two", 16, 2)):
        settings = replace(
            configuration.training, steps=1, batch_size=size, accumulation=count, gradient_clip=1e9, warmup_steps=0
        )
        model = replace(configuration.model, dropout=0.0)
        changed = replace(configuration, model=model, training=settings, data_sha256=even.sha256())
        train(changed, even, tables, tmp_path / name)
    # AdamW's first step is the sign of the gradient, so that its moments are compared instead.
    one, two = (weights(tmp_path / name, "optimizer.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-7)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(task, configuration, tables, tmp_path):
    wild = replace(
        configuration.training, steps=100, learning_rate=10.0, gradient_clip=1e9, warmup_steps=0, validate_every=1
    )
    with pytest.raises(ModelError, match=r"at step \d+; lower the learning rate \(now 10\)") as stopped:
        train(replace(configuration, training=wild), task, tables, tmp_path / "run")
    named = int(str(stopped.value).rsplit(" ", 1)[1])
    assert load_state(newest(tmp_path / "run", CHECKPOINT)).step == named
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())


def test_a_learning_rate_of_a_thousand_is_refused_with_its_bounds():
    with pytest.raises(ParameterError, match=r"learning_rate is 1000\.0; it must lie between 1e-09 and 10"):
        TrainingParameters(learning_rate=1e3)


class OneBadStep(nn.Module):
    """A model whose loss is not a number the `place`-th time it is trained on a batch."""

    def __init__(self, model, places):
        super().__init__()
        self.model, self.places, self.seen = model, places, 0

    def forward(self, *arguments):
        logits = self.model(*arguments)
        self.seen += self.training
        return logits * math.nan if self.training and self.seen in self.places else logits


@pytest.fixture
def make_bad(monkeypatch):
    def make(*places):
        monkeypatch.setattr("model.training.loop.replicated", lambda model, _: OneBadStep(model, places))

    return make


def test_a_step_that_is_not_finite_is_skipped_counted_and_logged_where_asked_for(
    task, configuration, tables, tmp_path, make_bad
):
    make_bad(4, 5)
    settings = replace(configuration.training, accumulation=1, not_finite="skip")
    notes = []
    train(
        replace(configuration, training=settings), task, tables, tmp_path / "run",
        progress=lambda _, note="": notes.append(note),
    )  # fmt: skip
    rows = RunFolder(tmp_path / "run").read_metrics()
    assert [row["skipped_steps"] for row in rows] == [1, 2, 2]
    assert all(math.isfinite(row["train_loss"]) for row in rows)
    assert notes[-1].endswith(", 2 steps skipped")
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())
    counts = {
        float(tensor) for name, tensor in weights(tmp_path / "run", "optimizer.safetensors").items() if "step" in name
    }
    assert counts == {10.0}


def test_skipping_ends_where_no_step_is_finite(task, configuration, tables, tmp_path, make_bad):
    make_bad(*range(5, 100))
    settings = replace(configuration.training, accumulation=1, not_finite="skip")
    with pytest.raises(ModelError, match=r"at step 8, as at every step since the last validation.* is of step 4"):
        train(replace(configuration, training=settings), task, tables, tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        ({}, Amrb(1)),
        ({"keep_graphs": 3}, Amrb(3)),
        ({"memory_budget": 50.0}, MemoryBudget(50.0)),
        ({"differentiation": "layerwise"}, LayerwiseAmrb(1)),
        ({"differentiation": "bptt", "memory_budget": 50.0}, Bptt()),
        ({"differentiation": "truncated", "truncate_after": 2}, Truncated(2)),
    ],
)
def test_settings_name_the_way_to_differentiate(settings, way):
    assert differentiation(TrainingParameters.from_dict(settings)) == way


def test_an_existing_run_folder_is_refused(task, configuration, tables, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(FileError, match="exists already; resume it with --resume"):
        train(configuration, task, tables, tmp_path / "run")


def test_resuming_with_other_settings_is_refused_by_name(task, configuration, tables, run):
    other = replace(configuration, model=replace(configuration.model, layers=2))
    with pytest.raises(ModelError, match=r"trained with another model\.layers; resume with the same settings"):
        train(other, task, tables, run, resume=True)


def test_resuming_what_is_not_there_is_refused(task, configuration, tables, tmp_path):
    with pytest.raises(ModelError, match="holds no run"):
        train(configuration, task, tables, tmp_path / "run", resume=True)


def test_a_checkpoint_of_another_architecture_is_refused_by_name(make_model, run):
    with pytest.raises(ModelError, match=r"holds another architecture: cell\.blocks\.0"):
        load_model(newest(run, BEST), make_model())


def test_a_damaged_checkpoint_is_refused(task, run):
    place = newest(run, BEST) / "model.safetensors"
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        evaluate(run, task)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segments": 3}, "longest sequence has 20 tokens, more than 3 segments of 5"),
        ({"vocabulary": 9}, "has 9 tokens and 3 labels, the task has 4 and 3"),
    ],
)
def test_a_model_that_does_not_fit_the_task_is_refused_before_any_work(
    task, configuration, tables, tmp_path, change, message
):
    changed = replace(configuration, model=replace(configuration.model, **change))
    with pytest.raises(ModelError, match=message):
        train(changed, task, tables, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_cuts_sequences_is_the_run_on_sequences_cut_by_hand(task, configuration, tables, tmp_path):
    fewer = replace(configuration, model=replace(configuration.model, segments=2))
    first_tokens = {split: [data.sequence(row)[:10].tobytes() for row in range(len(data))]
                    for split, data in task.splits.items()}  # fmt: skip
    by_hand = replace(task, **{split: TokenDataset.from_sequences(sequences, task.splits[split].labels.tolist())
                               for split, sequences in first_tokens.items()})  # fmt: skip
    train(replace(fewer, data_sha256=by_hand.sha256()), by_hand, tables, tmp_path / "by_hand")
    cut = replace(fewer, training=replace(fewer.training, overlong="cut"))
    train(cut, task, tables, tmp_path / "cut")
    assert_same_weights(tmp_path / "by_hand", tmp_path / "cut")
    assert evaluate(tmp_path / "cut", task).accuracy == evaluate(tmp_path / "by_hand", by_hand).accuracy
    assert measure_cost(tmp_path / "cut", task).step_seconds > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_refused():
    with pytest.raises(ModelError, match="torch finds no CUDA device"):
        choose_device("cuda")


def test_gradients_are_clipped_to_the_norm_given(task, configuration, tables, tmp_path):
    settings = replace(configuration.training, steps=1, gradient_clip=1e-3, warmup_steps=0)
    train(replace(configuration, training=settings), task, tables, tmp_path / "run")
    moments = weights(tmp_path / "run", "optimizer.safetensors")
    # AdamW's first mean is a tenth of its first gradient.
    norm = sum((tensor**2).sum() for name, tensor in moments.items() if name.endswith("exp_avg")) ** 0.5
    assert norm.item() == pytest.approx(1e-4, rel=1e-3)


def test_a_run_stopped_before_its_first_step_can_be_resumed(run, task, configuration, tables, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("model.training.loop.SummaryWriter", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(configuration, task, tables, tmp_path / "cut")
    train(configuration, task, tables, tmp_path / "cut", resume=True)
    assert_same_weights(run, tmp_path / "cut")


def test_resuming_a_finished_run_changes_nothing(finished, run, task, configuration, tables):
    before = {path: path.read_bytes() for path in run.rglob("*") if "events" not in path.name and path.is_file()}
    assert train(configuration, task, tables, run, resume=True) == finished[1]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_test_loss_that_is_not_finite_is_no_score(task, run, monkeypatch):
    (run / "evaluation.json").unlink(missing_ok=True)
    monkeypatch.setattr(evaluation, "evaluate_split", lambda *_, **__: Score(math.nan, 0.5))
    with pytest.raises(ModelError, match=r"on the test split is nan; train again with a lower learning rate"):
        evaluate(run, task, "cpu")
    assert not (run / "evaluation.json").exists()


def test_two_processes_cannot_train_in_one_folder(run, task, configuration, tables):
    with locked_folder(run), pytest.raises(FileError, match=f"another process is writing {run}; wait for it"):
        train(configuration, task, tables, run, resume=True)


def test_resuming_removes_what_a_killed_process_left(run, task, configuration, tables):
    left = run / ".checkpoint-000000012.0a1b2c3d.tmp"
    left.mkdir()
    train(configuration, task, tables, run, resume=True)
    assert not left.exists()


def test_times_of_files_in_the_future_change_nothing(run, task, configuration, tables, tmp_path):
    with pytest.raises(Interrupted):
        train(configuration, task, tables, tmp_path / "cut", progress=InterruptAfter(8, 12))
    # As after a clock that ran ahead and was set back. What is oldest by its name is newest by its time.
    newest_first = sorted((tmp_path / "cut").rglob("*"), reverse=True)
    for year, path in enumerate(newest_first, start=2100):
        os.utime(path, (year * 31_556_952 - 62_167_219_200,) * 2)
    train(configuration, task, tables, tmp_path / "cut", resume=True)
    assert_same_weights(run, tmp_path / "cut")


def test_a_folder_that_tensorboard_cannot_write_is_named(run, task, configuration, tables, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loop, "SummaryWriter", refuse)
    with pytest.raises(FileError, match=r"run/tensorboard: No space left on device; the last checkpoint stays"):
        train(configuration, task, tables, run, resume=True)


def test_tensorboard_holds_every_validation_once_after_a_resume(task, configuration, tables, tmp_path):
    with pytest.raises(Interrupted):
        train(configuration, task, tables, tmp_path / "run", progress=InterruptAfter(8, 12))
    train(configuration, task, tables, tmp_path / "run", resume=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("validation_loss")] == [4, 8, 12]


def test_evaluating_before_the_first_validation_says_so(task, configuration, tables, tmp_path):
    with pytest.raises(Interrupted):
        train(configuration, task, tables, tmp_path / "run", progress=InterruptAfter(1, 12))
    with pytest.raises(ModelError, match="has no best weights yet; train it, or continue it with --resume"):
        evaluate(tmp_path / "run", task)


def test_other_data_are_refused_by_training_and_evaluation(task, configuration, tables, run, tmp_path):
    other = replace(task, test=task.validation)
    with pytest.raises(ModelError, match="is for other data than made for the test"):
        train(configuration, other, tables, tmp_path / "other")
    with pytest.raises(ModelError, match="was trained on other data"):
        evaluate(run, other)


def test_resuming_with_other_tables_is_refused(task, configuration, tables, run):
    dataset = tables.dataset.copy(deep=True)
    dataset["token_spacing"].values[()] = 0.5
    with pytest.raises(ModelError, match="was trained with another tables file"):
        train(configuration, task, Tables(dataset), run, resume=True)


@pytest.mark.parametrize(
    ("name", "value"), [("step", "many"), ("skipped", "few"), ("seconds", None), ("novel", 1), ("window", 3)]
)
def test_a_damaged_state_is_refused(task, configuration, tables, run, name, value):
    place = newest(run, CHECKPOINT) / "state.json"
    values = json.loads(place.read_text()) | {name: value}
    # Without its digest, as one of an earlier version.
    del values["sha256"]
    place.write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"state\.json is damaged"):
        train(configuration, task, tables, run, resume=True)


def test_moments_of_another_optimiser_are_refused(task, configuration, tables, run):
    place = newest(run, CHECKPOINT)
    (place / "optimizer.safetensors").write_bytes((place / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"optimizer\.safetensors is damaged \(it was changed after it was written\)"):
        train(configuration, task, tables, run, resume=True)
    # Without digests, as a checkpoint of an earlier version.
    values = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({entry: values[entry] for entry in values if entry in STATE}))
    with pytest.raises(ModelError, match="holds another architecture"):
        train(configuration, task, tables, run, resume=True)


def test_training_works_outside_of_the_main_thread(task, configuration, tables, tmp_path):
    thread = threading.Thread(target=train, args=(configuration, task, tables, tmp_path / "run"))
    thread.start()
    thread.join()
    assert newest(tmp_path / "run", CHECKPOINT).name.endswith("-000000012")


def test_training_under_bfloat16_autocast_stays_near_training_in_float32(task, configuration, tables, tmp_path):
    scores = {}
    for precision in ("float32", "bfloat16"):
        settings = replace(configuration.training, precision=precision, steps=4)
        scores[precision] = train(replace(configuration, training=settings), task, tables, tmp_path / precision)
    assert scores["bfloat16"].loss == pytest.approx(scores["float32"].loss, rel=0.02)
    assert scores["bfloat16"].loss != scores["float32"].loss
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path / "bfloat16").values())
