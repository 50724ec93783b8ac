"""The training loop: AdamW, warm-up and cosine, clipping, accumulation, mixed precision, checkpoints, resume.

The order of the data and all random numbers are functions of seed, step and process. So a resumed run continues bit for
bit on the same hardware, and what several processes began, another number of them may go on with.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from distill.tables import Tables, read_tables, write_tables
from model.errors import ModelError
from model.layers.precision import denormals_flushed
from model.memory.differentiation import Amrb, Bptt, Differentiation, LayerwiseAmrb, MemoryBudget, Truncated
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.tasks import BatchPlan, TaskData
from model.tasks.pairs import longest_document
from model.training.checkpoint import (
    BEST,
    CHECKPOINT,
    TrainingState,
    load_model,
    load_optimizer,
    load_state,
    newest,
    save_checkpoint,
)
from model.training.device import Batch, choose_device, load_batch, mixed_precision
from model.training.distributed import Processes, joined_processes, replicated, sharded, whole, without_averaging
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunConfiguration, RunFolder
from model.training.scoring import Score, evaluate_split
from rmaat.base.errors import Interrupted, OutOfTime
from rmaat.base.files import atomic_folder, refuse_existing
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.signals import stop_requested


def train(
    configuration: RunConfiguration,
    task: TaskData,
    tables: Tables,
    out: Path,
    *,
    resume: bool = False,
    is_over: Callable[[], bool] = lambda: False,
    progress: Progress = ignore_progress,
) -> Score:
    """Train a model on `task` and leave a run folder at `out` (see `model.training.run_folder`).

    Returns the best validation score. With `resume`, continue the run that stands there. `is_over` is asked after each
    step whether to stop there, and then the same bits come of the rest, resumed later.

    Raises
    ------
    ModelError
        Settings, data or tables that differ from those of the resumed run, a sequence longer than the model takes, a
        loss that is not finite (the last checkpoint stays).
    FileError
        `out` exists already and `resume` is off, or something cannot be written.
    Interrupted
        After the step under way, with a checkpoint to resume from; `OutOfTime` where `is_over` said so.
    """
    folder = RunFolder(out)
    _check_fit(configuration, task)
    device = choose_device(configuration.training.device)
    with denormals_flushed(), joined_processes(device) as processes:
        torch.manual_seed(configuration.training.seed)
        model = build_model(configuration.model, tables).to(device)
        if configuration.training.compile:
            model.compile_cell()
        run = _Run(folder, configuration.training, model, task, device, processes)
        if resume:
            _check_same_run(folder, configuration, tables)
        else:
            # All look before the first one writes.
            refuse_existing(out, f"resume it with --resume, or choose another --out than {out}")
            processes.wait()
            with _new_run(folder, configuration, tables) if processes.is_first else nullcontext(out) as whole:
                # With its first checkpoint, so that whatever happens later the run can be resumed.
                run.save(whole)
        processes.wait()
        best = run.go(is_over, progress if processes.is_first else _silent)
        processes.wait()
        return best


@contextmanager
def _new_run(folder: RunFolder, configuration: RunConfiguration, tables: Tables) -> Iterator[Path]:
    with atomic_folder(folder.path) as whole:
        RunFolder(whole).write_configuration(configuration)
        write_tables(tables, RunFolder(whole).tables)
        yield whole


def _silent(fraction: float, note: str = "") -> None:
    pass


class _Run:
    """One training under way."""

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainingParameters,
        model: SegmentClassifier,
        task: TaskData,
        device: torch.device,
        processes: Processes,
    ):
        self.folder, self.settings, self.model, self.task, self.device = folder, settings, model, task, device
        self.processes = processes
        spread = sharded if settings.parallel == "shard" and processes.count > 1 else replicated
        self.parallel_model = spread(model, processes)
        self.optimizer = torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay)
        self.plan = BatchPlan(task.train.lengths, settings.batch_size, settings.seed)
        self.state = TrainingState(0, -1.0, 0.0, window=[])
        self.rows: list[dict[str, Any]] = []
        self.earlier_seconds, self.started = 0.0, time.monotonic()

    def go(self, is_over: Callable[[], bool], progress: Progress) -> Score:
        """From the newest checkpoint to the last step, or to where it is told to stop."""
        self._restore()
        with self._board() as board, stop_requested() as is_interrupted:
            for step, batches in self._steps():
                loss, norm = self._step(step, batches)
                # All processes stop after the same step, even if only one of them received a signal.
                interrupted, over = (
                    told > 0 for told in self.processes.sum([is_interrupted(), is_over()], self.device)
                )
                self.state = self._after(step, loss, norm)
                last = step + 1 == self.settings.steps
                if last or (step + 1) % self.settings.validate_every == 0:
                    self._validate(board)
                elif interrupted or over:
                    self.save(self.folder.path)
                if (interrupted or over) and not last:
                    reason, error = ("interrupted", Interrupted) if interrupted else ("out of time", OutOfTime)
                    raise error(
                        f"{reason} after step {step + 1} of {self.settings.steps}; "
                        "continue the same command with --resume"
                    )
                progress((step + 1) / self.settings.steps, self._note())
        return self._best()

    def _board(self) -> AbstractContextManager[SummaryWriter | None]:
        if not self.processes.is_first:
            return nullcontext()
        # TensorBoard drops what was logged from `purge_step` on.
        return SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=self.state.step + 1)

    def _steps(self) -> Iterator[tuple[int, list[tuple[Batch, float]]]]:
        """What is left of the run: each step with the batches it accumulates, and what a sequence weighs in them."""
        count, current, batches = self.settings.accumulation, -1, []
        for step in range(self.state.step, self.settings.steps):
            chosen = []
            for index in range(step * count, (step + 1) * count):
                epoch, place = divmod(index, self.plan.batch_count)
                if epoch != current:
                    current, batches = epoch, self.plan.epoch(epoch)
                own, weight = self.processes.share(batches[place])
                # The mean over the whole batch, whatever each process has of it.
                chosen.append((load_batch(self.task.train, own, self.device), weight / len(batches[place]) / count))
            yield step, chosen

    def _step(self, step: int, batches: list[tuple[Batch, float]]) -> tuple[float, float]:
        """One optimiser step; its loss and gradient norm."""
        torch.manual_seed(step_seed(self.settings.seed, step, self.processes.rank))
        self.parallel_model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.settings)
        self.optimizer.zero_grad()
        total = 0.0
        for place, (batch, weight) in enumerate(batches, start=1):
            with nullcontext() if place == len(batches) else without_averaging(self.parallel_model):
                with mixed_precision(self.settings.precision, self.device):
                    logits = self.parallel_model(batch.tokens, batch.lengths, differentiation(self.settings))
                    loss = functional.cross_entropy(logits, batch.labels, reduction="sum") * weight
                total += loss.item()
                # Gradients are averaged over processes, and are to be summed.
                (loss * self.processes.count).backward()
        (total,) = self.processes.sum([total], self.device)
        norm = whole(nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)).item()
        if math.isfinite(total + norm):
            self.optimizer.step()
        return total, norm

    def _after(self, step: int, loss: float, norm: float) -> TrainingState:
        """The state after a step, which was left undone if its loss or gradient is not finite."""
        if math.isfinite(loss + norm):
            return replace(self.state, step=step + 1, window=[*self.state.window, [loss, norm]])
        skip = self.settings.not_finite == "skip"
        # Where nothing since the last validation was finite, nothing later will be.
        if not skip or (not self.state.window and (step + 1) % self.settings.validate_every == 0):
            raise ModelError(
                f"the loss is {loss} and its gradient's norm {norm} at step {step + 1}"
                f"{', as at all since the last validation' if skip else ''}; lower the learning rate "
                f"(now {self.settings.learning_rate:g}) and train again; "
                f"the last checkpoint is of step {load_state(newest(self.folder.path, CHECKPOINT)).step}"
            )
        return replace(self.state, step=step + 1, skipped=self.state.skipped + 1)

    def _validate(self, board: SummaryWriter | None) -> None:
        score = evaluate_split(self.parallel_model, self.task.validation, self.settings, processes=self.processes)
        # A last stretch of steps may all have been skipped.
        loss, norm = np.mean(self.state.window or [[math.nan] * 2], axis=0).tolist()
        step = self.state.step
        row = {
            "step": step,
            "epoch": step * self.settings.accumulation / self.plan.batch_count,
            "train_loss": loss,
            "learning_rate": learning_rate(step - 1, self.settings),
            "gradient_norm": norm,
            "validation_loss": score.loss,
            "validation_accuracy": score.accuracy,
            "seconds": self._seconds(),
            "skipped_steps": self.state.skipped,
        }
        self.rows.append(row)
        if board is not None:
            for name, value in row.items():
                board.add_scalar(name, value, step)
            self.folder.write_metrics(self.rows)
        self.state = replace(self.state, window=[])
        if score.accuracy > self.state.best_accuracy:
            self.state = replace(self.state, best_accuracy=score.accuracy)
            is_first = self.processes.is_first
            save_checkpoint(self.folder.path, BEST, self.model, None, self.state, is_first=is_first)
        self.save(self.folder.path)

    def save(self, path: Path) -> None:
        """Add a checkpoint to the run folder at `path`."""
        self.state = replace(self.state, seconds=self._seconds())
        is_first = self.processes.is_first
        save_checkpoint(path, CHECKPOINT, self.model, self.optimizer, self.state, is_first=is_first)

    def _restore(self) -> None:
        place = newest(self.folder.path, CHECKPOINT)
        self.state = load_state(place)
        load_model(place, self.model)
        load_optimizer(place, self.optimizer)
        self.rows = [row for row in self.folder.read_metrics() if row["step"] <= self.state.step]
        self.earlier_seconds, self.started = self.state.seconds, time.monotonic()

    def _seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.started

    def _note(self) -> str:
        losses = [loss for loss, _ in self.state.window] or [row["train_loss"] for row in self.rows] or [math.nan]
        best = f", best validation accuracy {self.state.best_accuracy:.1%}" if self.rows else ""
        skipped = f", {self.state.skipped} steps skipped" if self.state.skipped else ""
        return f"loss {losses[-1]:.3f}{best}{skipped}"

    def _best(self) -> Score:
        accuracy = self.state.best_accuracy
        # A user may have removed the rows of earlier validations; the state remembers the best.
        losses = [row["validation_loss"] for row in self.rows if row["validation_accuracy"] == accuracy]
        return Score(losses[0] if losses else math.nan, accuracy)


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of the random numbers that a process draws in a step: no two processes or steps share one."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def learning_rate(step: int, settings: TrainingParameters) -> float:
    """Linear warm-up to the peak, then half a cosine that ends at zero after the last step; `step` counts from 0.

    The warm-up takes no more than half of the steps.
    """
    warmup = min(settings.warmup_steps, settings.steps // 2)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / (settings.steps - warmup)
    return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2


def differentiation(settings: TrainingParameters) -> Differentiation:
    """The way to differentiate that `settings` name."""
    if settings.memory_budget and settings.differentiation == "amrb":
        return MemoryBudget(settings.memory_budget)
    ways: dict[str, Differentiation] = {
        "amrb": Amrb(settings.keep_graphs),
        "layerwise": LayerwiseAmrb(settings.keep_graphs),
        "bptt": Bptt(),
        "truncated": Truncated(settings.truncate_after, settings.keep_graphs),
    }
    return ways[settings.differentiation]


def _check_fit(configuration: RunConfiguration, task: TaskData) -> None:
    record = configuration.model
    if task.sha256() != configuration.data_sha256:
        raise ModelError(f"the configuration names other data than {task.origin}; make it for these data")
    if (record.vocabulary, record.classes) != (task.vocabulary, task.classes):
        raise ModelError(
            f"the model knows {record.vocabulary} tokens and {record.classes} labels, "
            f"the task has {task.vocabulary} and {task.classes}"
        )
    if record.separator and record.separator != task.separator:
        raise ModelError(
            f"the model encodes documents on both sides of token {record.separator} apart, but "
            f"{task.name} {_separated(task)}; set separator to {task.separator or 0}"
        )
    longest, what = (longest_document(task), "document") if record.separator else (task.longest, "sequence")
    if longest > record.longest_sequence:
        raise ModelError(
            f"the longest {what} has {longest} tokens, more than {record.segments} segments of "
            f"{record.segment_length}; set segment_length to {-(-longest // record.segments)} "
            f"or segments to {-(-longest // record.segment_length)}"
        )


def _separated(task: TaskData) -> str:
    return "has one document a sequence" if task.separator is None else f"parts them by token {task.separator}"


def _check_same_run(folder: RunFolder, configuration: RunConfiguration, tables: Tables) -> None:
    differences = folder.read_configuration().differences(configuration)
    if not tables.dataset.identical(read_tables(folder.tables).dataset):
        differences.append("tables file")
    if differences:
        raise ModelError(
            f"{folder.path} was trained with another {', '.join(differences)}; resume with the same settings"
        )
