"""Classify texts with a trained model: `load_classifier(run)(["..."])` returns labels and probabilities.

One pass without a graph, in batches, with the precision of the training.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from model.errors import ModelError
from model.layers.precision import denormals_flushed
from model.prediction.pretrained import Pretrained, find_pretrained
from model.tasks.data.dataset import TaskError
from model.tasks.library import TASKS, Task
from model.training.device import choose_device, mixed_precision


@dataclass(frozen=True)
class Prediction:
    """The answer for one text."""

    label: str
    """name of the likeliest label"""
    probabilities: dict[str, float]
    """probability of each label by name; they add up to 1"""
    cut: bool
    """whether the text is longer than the model reads, so that its end was not read"""


class TextClassifier(Pretrained):
    """A trained classifier of texts; call it with texts. `model` is its torch module."""

    def __call__(self, texts: Iterable[str], batch_size: int = 32) -> list[Prediction]:
        """Classify `texts`, in their order.

        Raises
        ------
        ModelError
            The model was not trained on texts; a text is empty, or too long for a task that cannot be cut.
        """
        return list(self.stream(texts, batch_size))

    def stream(self, texts: Iterable[str], batch_size: int = 32) -> Iterator[Prediction]:
        """Classify `texts` as they arrive, `batch_size` at a time; raises as `__call__`."""
        if isinstance(texts, str):
            raise ModelError("texts is one string; give a list of texts, such as [text]")
        if batch_size < 1:
            raise ModelError(f"batch_size is {batch_size}; it must be at least 1")
        task = self._task()
        numbered = enumerate(texts, start=1)
        while batch := list(itertools.islice(numbered, batch_size)):
            yield from self._classify([self._encode(task, number, text) for number, text in batch])

    def _task(self) -> Task:
        task = TASKS[self.configuration.task_parameters.kind]
        if task.encode is None:
            names = ", ".join(other.name for other in TASKS.values() if other.encode)
            raise ModelError(f"a model of {task.title} reads no texts; use one that was trained on {names}")
        return task

    def _encode(self, task: Task, number: int, text: str) -> tuple[bytes, bool]:
        """The token ids that the model reads, one per byte, and whether the end of the text is left out."""
        parameters, longest = self.configuration.task_parameters, self.configuration.model.longest_sequence
        assert task.encode is not None
        try:
            tokens = task.encode(parameters, text)
        except TaskError as error:
            raise ModelError(f"text {number}: {error}") from error
        if task.is_cut:
            # Reading may have cut the texts of the training to fewer tokens than the model takes.
            longest = min(longest, getattr(parameters, "longest_length", longest))
        elif len(tokens) > longest:
            raise ModelError(f"text {number} has {len(tokens):,} tokens; the model reads at most {longest:,}")
        return tokens[:longest], len(tokens) > longest

    def _classify(self, encoded: list[tuple[bytes, bool]]) -> list[Prediction]:
        device = self.model.initial_memory.device
        lengths = torch.tensor([len(tokens) for tokens, _ in encoded])
        padded = torch.zeros(len(encoded), int(lengths.max()), dtype=torch.int64)
        for row, (tokens, _) in zip(padded, encoded, strict=True):
            row[: len(tokens)] = torch.frombuffer(bytearray(tokens), dtype=torch.uint8)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), denormals_flushed(), mixed_precision(self.configuration.training.precision, device):
                logits = self.model(padded.to(device), lengths.to(device))
        finally:
            self.model.train(was_training)
        shares = torch.softmax(logits.float(), dim=1).tolist()
        named = [dict(zip(self.labels, row, strict=True)) for row in shares]
        return [
            Prediction(max(row, key=row.__getitem__), row, cut) for row, (_, cut) in zip(named, encoded, strict=True)
        ]


def load_classifier(name: str | Path, device: str = "auto") -> TextClassifier:
    """The classifier of a run folder, of a folder from `rmaat export`, or of a packaged model by its name.

    Raises
    ------
    ModelError
        There is no such model, its files are damaged, or the device is missing.
    """
    found = TextClassifier.read(find_pretrained(name))
    found.model.to(choose_device(device))
    return found
