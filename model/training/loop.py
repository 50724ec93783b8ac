"""The training loop: AdamW, warm-up and cosine, clipping, accumulation, mixed precision, checkpoints, resume.

The order of the data and all random numbers are functions of seed, step and process. So a resumed run continues bit for
bit on the same hardware. Another number of processes may resume a run.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from distill.learned import with_learned
from distill.tables import Tables, write_tables
from model.errors import ModelError
from model.layers.precision import denormals_flushed
from model.memory.learned_retention import LearnedRetention
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.tasks import BatchPlan, TaskData
from model.training.checkpoint import (
    BEST,
    CHECKPOINT,
    TrainingState,
    load_model,
    load_optimizer,
    load_parameters,
    load_state,
    newest,
    save_checkpoint,
    weights_sha256,
)
from model.training.checks import as_read, check_fit, check_same_run
from model.training.device import Batch, choose_device, load_batch, mixed_precision
from model.training.distributed import Processes, joined_processes, replicated, sharded, whole, without_averaging
from model.training.log import Log, ignore_log
from model.training.method import differentiation
from model.training.optimizer import build_optimizer
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunConfiguration, RunFolder
from model.training.schedule import learning_rate, step_seed
from model.training.scoring import Score, evaluate_split
from model.training.threads import cpu_threads, thread_count
from rmaat.base.errors import Interrupted, OutOfTime
from rmaat.base.files import FileError, atomic_folder, locked_folder, refuse_existing
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.signals import stop_requested


def train(
    configuration: RunConfiguration,
    task: TaskData,
    tables: Tables,
    out: str | Path,
    *,
    resume: bool = False,
    start: str | Path | None = None,
    is_over: Callable[[], bool] = lambda: False,
    log: Log = ignore_log,
    progress: Progress = ignore_progress,
) -> Score:
    """Train a model on `task`, write a run folder at `out`, and return the best validation score.

    `model.training.run_folder` describes the folder. With `resume`, continue the run at `out`. `is_over` is called
    after each step; if it returns true, the training stops. A resumed run gives the same bits as one without a stop.
    `log` is called after each validation.

    A new run begins with the best weights of the run at `start`, if one is given. Its model may have another number of
    segments, and all else must be equal.

    Raises
    ------
    ModelError
        The data do not fit the model, the settings differ from those of the resumed run, the weights of `start` do not
        fit, or the loss is not finite. The last checkpoint stays.
    FileError
        `out` exists already and `resume` is off, another process is training there, or a file cannot be written.
    Interrupted
        Ctrl-C or SIGTERM, after the current step and with a checkpoint; `OutOfTime` if `is_over` returned true.
    """
    out = Path(out)
    folder = RunFolder(out)
    check_fit(configuration, task)
    task = as_read(configuration, task)
    device = choose_device(configuration.training.device)
    if start is not None:
        configuration = replace(configuration, start_sha256=weights_sha256(newest(Path(start), BEST)))
    if resume:
        threads = check_same_run(folder, configuration, tables).training.threads
    else:
        threads = thread_count(configuration.training, configuration.model)
    configuration = replace(configuration, training=replace(configuration.training, threads=threads))
    with denormals_flushed(), cpu_threads(threads), joined_processes(device) as processes:
        torch.manual_seed(configuration.training.seed)
        model = build_model(configuration.model, tables).to(device)
        # A resumed run takes its weights from its own checkpoint.
        if start is not None and not resume:
            load_parameters(newest(Path(start), BEST), model)
        if configuration.training.compile:
            model.compile_cell()
        run = _Run(folder, configuration.training, model, tables, task, device, processes)
        if not resume:
            # Every process checks before rank 0 writes.
            refuse_existing(out, f"resume it with --resume, or choose another --out than {out}")
            processes.wait()
            with _new_run(folder, configuration, tables) if processes.is_first else nullcontext(out) as whole:
                # Write a first checkpoint with the folder, so that the run can be resumed whatever happens later.
                run.save(whole)
        processes.wait()
        # Two processes that resume one run would write over each other's checkpoints.
        with locked_folder(out) if processes.is_first else nullcontext():
            best = run.go(is_over, log, progress if processes.is_first else ignore_progress)
            processes.wait()
        return best


@contextmanager
def _new_run(folder: RunFolder, configuration: RunConfiguration, tables: Tables) -> Iterator[Path]:
    with atomic_folder(folder.path) as whole:
        RunFolder(whole).write_configuration(configuration)
        write_tables(tables, RunFolder(whole).tables)
        yield whole


class _Run:
    """One training under way."""

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainingParameters,
        model: SegmentClassifier,
        tables: Tables,
        task: TaskData,
        device: torch.device,
        processes: Processes,
    ):
        self.folder, self.settings, self.model, self.task, self.device = folder, settings, model, task, device
        self.processes, self.tables = processes, tables
        spread = sharded if settings.parallel == "shard" and processes.count > 1 else replicated
        self.parallel_model = spread(model, processes)
        self.optimizer = build_optimizer(model, settings)
        self.plan = BatchPlan(task.train.lengths, settings.batch_size, settings.seed)
        self.state = TrainingState(0, -1.0, 0.0, window=[])
        self.rows: list[dict[str, Any]] = []
        self.earlier_seconds, self.started = 0.0, time.monotonic()

    def go(self, is_over: Callable[[], bool], log: Log, progress: Progress) -> Score:
        """Train from the newest checkpoint to the last step, or until a stop is requested."""
        self._restore()
        with self._board() as board, stop_requested() as is_interrupted:
            for step, batches in self._steps():
                loss, norm = self._step(step, batches)
                # All processes stop after the same step, even if only one of them received a signal.
                interrupted, over = (
                    count > 0 for count in self.processes.sum([is_interrupted(), is_over()], self.device)
                )
                self.state = self._after(step, loss, norm)
                last = step + 1 == self.settings.steps
                if last or (step + 1) % self.settings.validate_every == 0:
                    self._validate(board, log)
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

    @contextmanager
    def _board(self) -> Iterator[SummaryWriter | None]:
        if not self.processes.is_first:
            yield None
            return
        place = self.folder.path / "tensorboard"
        try:
            # TensorBoard drops values that an interrupted run logged from `purge_step` on.
            with SummaryWriter(str(place), purge_step=self.state.step + 1) as board:
                yield board
        # TensorBoard writes in a thread of its own; a full disk shows at a later value or at the end.
        except OSError as error:
            raise FileError(
                f"cannot write {place}: {error.strerror or error}; the last checkpoint stays, continue with --resume"
            ) from error

    def _steps(self) -> Iterator[tuple[int, list[tuple[Batch, float]]]]:
        """Yield the remaining steps: for each the batches that it accumulates, and the weight of a sequence in them."""
        count, current, batches = self.settings.accumulation, -1, []
        for step in range(self.state.step, self.settings.steps):
            chosen = []
            for index in range(step * count, (step + 1) * count):
                epoch, place = divmod(index, self.plan.batch_count)
                if epoch != current:
                    current, batches = epoch, self.plan.epoch(epoch)
                own, weight = self.processes.share(batches[place])
                # The weight makes the loss a mean over the whole batch, however it is split over processes.
                chosen.append((load_batch(self.task.train, own, self.device), weight / len(batches[place]) / count))
            yield step, chosen

    def _step(self, step: int, batches: list[tuple[Batch, float]]) -> tuple[float, float]:
        """Do one optimiser step; return its loss and gradient norm."""
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
                # DDP and FSDP average gradients over processes; the factor turns the average into the sum.
                (loss * self.processes.count).backward()
        (total,) = self.processes.sum([total], self.device)
        norm = whole(nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)).item()
        if math.isfinite(total + norm):
            self.optimizer.step()
        return total, norm

    def _after(self, step: int, loss: float, norm: float) -> TrainingState:
        """The state after a step; a step whose loss or gradient is not finite counts as skipped."""
        if math.isfinite(loss + norm):
            return replace(self.state, step=step + 1, window=[*self.state.window, [loss, norm]])
        skip = self.settings.not_finite == "skip"
        # Stop if no step since the last validation was finite.
        if not skip or (not self.state.window and (step + 1) % self.settings.validate_every == 0):
            raise ModelError(
                f"the loss is {loss} and its gradient's norm {norm} at step {step + 1}"
                f"{', as at every step since the last validation' if skip else ''}; lower the learning rate "
                f"(now {self.settings.learning_rate:g}) and train again; "
                f"the last checkpoint is of step {load_state(newest(self.folder.path, CHECKPOINT)).step}"
            )
        return replace(self.state, step=step + 1, skipped=self.state.skipped + 1)

    def _validate(self, board: SummaryWriter | None, log: Log) -> None:
        score = evaluate_split(self.parallel_model, self.task.validation, self.settings, processes=self.processes)
        # The window is empty if every step since the last validation was skipped.
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
            log(row, step)
        self.state = replace(self.state, window=[])
        if score.accuracy > self.state.best_accuracy:
            self.state = replace(self.state, best_accuracy=score.accuracy)
            is_first = self.processes.is_first
            save_checkpoint(self.folder.path, BEST, self.model, None, self.state, is_first=is_first)
            if is_first and isinstance(self.model.retention, LearnedRetention):
                self._write_learned(self.model.retention)
        self.save(self.folder.path)

    def _write_learned(self, retention: LearnedRetention) -> None:
        """Write the tables with the factors of the best state. A sharded model has no whole factors to write."""
        if self.settings.parallel == "shard" and self.processes.count > 1:
            return
        weight, total = (part.detach().double().cpu().numpy() for part in retention.parts())
        write_tables(with_learned(self.tables, weight, total), self.folder.learned)

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
        best = f", best {self.state.best_accuracy:.1%}" if self.rows else ""
        skipped = f", {self.state.skipped} steps skipped" if self.state.skipped else ""
        return f"loss {losses[-1]:.3f}{best}{skipped}"

    def _best(self) -> Score:
        accuracy = self.state.best_accuracy
        # A user may have removed rows of metrics.csv; the best accuracy is also in the state.
        losses = [row["validation_loss"] for row in self.rows if row["validation_accuracy"] == accuracy]
        return Score(losses[0] if losses else math.nan, accuracy)
