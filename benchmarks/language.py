"""Compare language models on film reviews, byte by byte: bits per byte after equal steps on equal batches.

python -m benchmarks.language [--source PATH] [--steps 240] [--seeds 1] [--out benchmarks/results/small/language.json]

- Data: reviews of Text of at least 2,049 bytes, cut to that length, so that every model reads 8 segments of 256 bytes
  and predicts 2,048 bytes. `--source` takes IMDb's files or a folder of `rmaat data prepare`.
- All models have one width and depth. Those that are not recurrent read the text as one segment.
- The learning rate of each contender is that of `RATES` which has the lowest validation loss after `--try-steps`.
- The test split is scored once, after training. Errors are standard errors over documents; they leave the seed out.
- `--runs` keeps the result of each training. A repeated command skips finished ones; `--only` computes one part.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.byte_levels import compressed_bits, ngram_bits
from benchmarks.report import RESULTS, option_parser, write_report
from distill.tables import default_tables
from model.layers.precision import denormals_flushed
from model.memory.differentiation import Bptt
from model.networks.build import build_language_model
from model.networks.language_model import LanguageModel
from model.networks.parameters import ModelParameters
from model.tasks import BatchPlan, TokenDataset
from model.tasks.library import load_task
from model.tasks.text import TextParameters
from model.training.optimizer import build_optimizer
from model.training.parameters import TrainingParameters
from model.training.schedule import learning_rate
from model.training.scoring import scored_rows
from rmaat.base.files import read_text, write_text
from rmaat.base.provenance import processor
from rmaat.base.text import table

SEGMENTS, SEGMENT_LENGTH = 8, 256
RECURRENT = ModelParameters(
    vocabulary=257, width=64, layers=2, segments=SEGMENTS, segment_length=SEGMENT_LENGTH, retention="streaming"
)
RATES = (4e-3, 8e-3)
SCHEDULE = TrainingParameters(batch_size=8, decayed="matrices")
VALIDATED = 64
"""Documents of the validation split that are scored for the curve and the choice of the learning rate."""
ORDERS = (0, 1, 2, 3, 5)
LEVELS = "levels"


@dataclass(frozen=True)
class Contender:
    """One language model, as its differences from `RECURRENT`."""

    title: str
    architecture: str = "rmaat"
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> ModelParameters:
        """Its settings."""
        return RECURRENT.as_architecture(self.architecture).override(self.changes)


CONTENDERS = {
    "rmaat": Contender("RMAAT"),
    "rmaat_no_memory": Contender("RMAAT without memory", changes={"memory_tokens": 0}),
    "rmt": Contender("RMT", "rmt"),
    "linear_transformer": Contender("Linear Transformer, whole context", "linear_transformer"),
}


@dataclass(frozen=True)
class Texts:
    """Token ids of documents of equal length, (document, token)."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def main() -> None:
    """Train, score, print a table and write JSON."""
    options = _options()
    texts = read_texts(options.source, options.data, options.scored)
    levels = trivial_levels(texts, options.runs) if options.only in (None, LEVELS) else {}
    chosen = {name: contender for name, contender in CONTENDERS.items() if options.only in (None, name)}
    found = {name: _results(name, contender, texts, options) for name, contender in chosen.items()}
    rows = [(CONTENDERS[name].title, f"{mean(results):.3f} ± {error(results):.3f}") for name, results in found.items()]
    print(table([*rows, *((name, f"{bits:.3f}") for name, bits in levels.items())], ("model", "bits per byte")))
    if options.only:
        return
    content = {
        "data": {name: len(getattr(texts, name)) for name in ("train", "validation", "test")},
        "predicted_bytes": SEGMENTS * SEGMENT_LENGTH,
        "model": RECURRENT.to_dict(),
        "training": dataclasses.replace(SCHEDULE, steps=options.steps).to_dict(),
        "try_steps": options.try_steps,
        "seeds": options.seeds,
        "levels": levels,
        "contenders": {name: _summary(results, found["rmaat"]) for name, results in found.items()},
    }
    write_report(options.out, _command(options), f"{processor()}, 1 thread", ("torch", "numpy"), content)


def _options() -> argparse.Namespace:
    parser = option_parser(__doc__, RESULTS / "small" / "language.json")
    parser.add_argument("--source", type=Path, help="IMDb's files, or a folder with prepared data of Text")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="prepared data [default: runs/data]")
    parser.add_argument("--steps", type=int, default=240, help="steps of a training [default: 240]")
    parser.add_argument("--try-steps", type=int, default=40, help="steps for each learning rate [default: 40]")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each contender [default: 1]")
    parser.add_argument("--scored", type=int, default=256, help="test documents, drawn at random [default: 256]")
    parser.add_argument("--only", choices=(*CONTENDERS, LEVELS), help="compute this part and write no report")
    parser.add_argument("--runs", type=Path, default=Path("runs/language"), help="results of the single trainings")
    return parser.parse_args()


def _command(options: argparse.Namespace) -> str:
    return (
        f"python -m benchmarks.language --source PATH --steps {options.steps} --try-steps {options.try_steps} "
        f"--seeds {options.seeds} --scored {options.scored}"
    )


def read_texts(source: Path | None, data: Path, scored: int) -> Texts:
    """Return the long reviews of each split: all for training, drawn at random for validation and test."""
    task = load_task(TextParameters(), source, data)
    return Texts(
        long_documents(task.train, 0), long_documents(task.validation, VALIDATED), long_documents(task.test, scored)
    )


def long_documents(dataset: TokenDataset, most: int) -> np.ndarray:
    """Return the first tokens of at most `most` documents (0: all) that are long enough, one more than are predicted.

    They are drawn at random, because a split may be sorted by label.
    """
    length = SEGMENTS * SEGMENT_LENGTH + 1
    rows = np.flatnonzero(dataset.lengths >= length)
    rows = rows[scored_rows(len(rows), most)]
    return np.stack([dataset.sequence(int(row))[:length] for row in rows]).astype(np.int64)


def _results(name: str, contender: Contender, texts: Texts, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the result of each seed, from `--runs` if it is there."""
    schedule = dataclasses.replace(SCHEDULE, steps=options.steps)
    tries = dataclasses.replace(SCHEDULE, steps=options.try_steps)
    with denormals_flushed():
        torch.set_num_threads(1)
        rate, tried = _kept(
            options.runs / f"{name}-tries.json",
            _identity(contender, tries, texts),
            lambda: choose_rate(contender.parameters, texts, tries),
        )
        results = []
        for seed in range(options.seeds):
            settings = dataclasses.replace(schedule, learning_rate=rate, seed=seed)
            result = _kept(
                options.runs / f"{name}-{seed}.json",
                _identity(contender, settings, texts),
                lambda settings=settings: train_and_score(contender.parameters, texts, settings),
            )
            results.append(result | {"learning_rate": rate, "tries": tried})
    return results


def _identity(contender: Contender, settings: TrainingParameters, texts: Texts) -> dict[str, Any]:
    return {"model": contender.parameters.to_dict(), "training": settings.to_dict(), "texts": _shapes(texts)}


def _shapes(texts: Texts) -> list[list[int]]:
    return [list(part.shape) for part in (texts.train, texts.validation, texts.test)]


def _kept(path: Path, identity: dict[str, Any], compute: Any) -> Any:
    """Return the value at `path` if it was computed with the same settings, else compute and write it."""
    identity = json.loads(json.dumps(identity))
    if path.exists() and (kept := json.loads(read_text(path)))["identity"] == identity:
        return kept["value"]
    value = compute()
    write_text(path, json.dumps({"identity": identity, "value": value}) + "\n")
    return value


def choose_rate(
    parameters: ModelParameters, texts: Texts, settings: TrainingParameters
) -> tuple[float, dict[str, float]]:
    """Return the learning rate of `RATES` with the lowest validation loss, and the bits per byte of each."""
    tried = {}
    for rate in RATES:
        model = new_model(parameters, settings.seed)
        for _ in train(model, texts.train, dataclasses.replace(settings, learning_rate=rate)):
            pass
        tried[rate] = float(bits(model, texts.validation).mean())
    return min(tried, key=tried.__getitem__), {f"{rate:g}": found for rate, found in tried.items()}


def train_and_score(parameters: ModelParameters, texts: Texts, settings: TrainingParameters) -> dict[str, Any]:
    """Train a model; return its validation curve, and its bits per byte of the test documents."""
    model, curve, started = new_model(parameters, settings.seed), [], time.process_time()
    for step, loss in train(model, texts.train, settings):
        if step % max(1, settings.steps // 4) == 0 or step == settings.steps:
            validation = float(bits(model, texts.validation).mean())
            curve.append({"step": step, "train_loss": loss, "validation_bits_per_byte": validation})
            print(f"step {step}: {validation:.3f} bits per byte of validation", flush=True)
    seconds = time.process_time() - started
    found = bits(model, texts.test)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "cpu_seconds": seconds,
        "curve": curve,
        "by_segment": found.reshape(len(found), SEGMENTS, -1).mean(axis=(0, 2)).tolist(),
        "by_document": found.mean(axis=1).tolist(),
    }


def new_model(parameters: ModelParameters, seed: int) -> LanguageModel:
    """Return an untrained model."""
    torch.manual_seed(seed)
    return build_language_model(parameters, default_tables())


def train(model: LanguageModel, texts: np.ndarray, settings: TrainingParameters) -> Iterator[tuple[int, float]]:
    """Train `model`; yield the number of steps done and the loss in nats after each.

    BPTT, because it is fastest; AMRB would give the same bits for less memory.
    """
    optimizer = build_optimizer(model, settings)
    plan = BatchPlan(np.full(len(texts), texts.shape[1]), settings.batch_size, settings.seed)
    for step in range(settings.steps):
        epoch, place = divmod(step, plan.batch_count)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        model.train()
        optimizer.zero_grad()
        loss, _ = model.loss(torch.from_numpy(texts[plan.epoch(epoch)[place]]), differentiation=Bptt())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizer.step()
        yield step + 1, loss.item()


@torch.no_grad()
def bits(model: LanguageModel, texts: np.ndarray) -> np.ndarray:
    """Return the bits of each predicted byte, (document, token - 1)."""
    model.eval()
    found = []
    for batch in torch.from_numpy(texts).split(SCHEDULE.batch_size):
        logits, _ = model(batch[:, :-1])
        found.append(functional.cross_entropy(logits.mT, batch[:, 1:], reduction="none") / np.log(2))
    return torch.cat(found).numpy()


def trivial_levels(texts: Texts, runs: Path) -> dict[str, float]:
    """Return the bits per byte of `compute_levels`, from the folder `runs` if they are there."""
    return _kept(runs / f"{LEVELS}.json", {"texts": _shapes(texts)}, lambda: compute_levels(texts))


def compute_levels(texts: Texts) -> dict[str, float]:
    """Bits per byte of the test documents by n-grams of the training documents, and by compressors."""
    ngrams = {
        f"Kneser-Ney, {order} bytes before" if order else "single bytes": ngram_bits(texts.train, texts.test, order)
        for order in ORDERS
    }
    return {name: float(found.mean()) for name, found in ngrams.items()} | compressed_bits(texts.train, texts.test)


def mean(results: list[dict[str, Any]]) -> float:
    """Return bits per byte over documents and seeds."""
    return float(_by_document(results).mean())


def error(results: list[dict[str, Any]]) -> float:
    """Return the standard error over documents of bits per byte."""
    return standard_error(_by_document(results))


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of `values`."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def _by_document(results: list[dict[str, Any]]) -> np.ndarray:
    return np.mean([result["by_document"] for result in results], axis=0)


def _summary(results: list[dict[str, Any]], reference: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over seeds, and the difference from RMAAT document by document."""
    difference = _by_document(results) - _by_document(reference)
    return {
        "bits_per_byte": mean(results),
        "standard_error": error(results),
        "above_rmaat": float(difference.mean()),
        "above_rmaat_error": standard_error(difference),
        "by_seed": [float(np.mean(result["by_document"])) for result in results],
        "by_segment": np.mean([result["by_segment"] for result in results], axis=0).tolist(),
        "curve": results[0]["curve"],
        **{name: results[0][name] for name in ("parameters", "learning_rate", "tries", "cpu_seconds")},
    }


if __name__ == "__main__":
    main()
