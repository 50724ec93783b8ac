"""`rmaat predict`: classify texts with a trained model."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import UsageError
from rmaat.base.files import read_text
from rmaat.commands.parser import Parser

if TYPE_CHECKING:
    from model.prediction.classifier import TextClassifier

SUMMARY = "Classify texts with a trained model; write labels with probabilities as JSON lines"
EXAMPLE = (
    '  rmaat predict runs/reviews "A wonderful film" "A waste of time"\n'
    "  rmaat predict runs/reviews --file first.txt second.txt\n"
    "  rmaat predict runs/reviews < reviews.jsonl > labels.jsonl"
)


def add_arguments(parser: Parser) -> None:
    """Add the arguments of `rmaat predict`."""
    parser.add_argument(
        "model", help="folder from rmaat train or rmaat export, or the name of a model that comes with the package"
    )
    parser.add_argument("texts", nargs="*", default=[], metavar="TEXT", help="texts to classify")
    parser.rest = "texts"
    parser.add_argument("--file", nargs="+", default=[], type=Path, metavar="PATH", help="files with one text each")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=32,
        help="texts that are read before the first is answered; 1 answers each line of the input at once [default: 32]",
    )
    parser.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="device to run on [default: auto]"
    )
    parser.description = (
        f"{SUMMARY}. Without texts and files, standard input has a text per line: a JSON string, or a JSON object "
        'with "text" (for own documents also with the column of the training).'
    )


def run(options: argparse.Namespace) -> None:
    """Print one JSON object per text, in the order of the texts."""
    from model.prediction.classifier import load_classifier

    if not (options.texts or options.file) and sys.stdin.isatty():
        raise UsageError("no text; give texts, --file PATH, or JSON lines on standard input")
    classifier = load_classifier(options.model, options.device)
    inputs, texts = tee(_inputs(options, classifier))
    predictions = classifier.stream((text for _, text in texts), options.batch_size)
    for (place, _), prediction in zip(inputs, predictions, strict=False):
        answer = {
            **place,
            "label": prediction.label,
            "probabilities": {name: round(share, 6) for name, share in prediction.probabilities.items()},
            "cut": prediction.cut,
        }
        print(json.dumps(answer, ensure_ascii=False), flush=True)


def _inputs(options: argparse.Namespace, classifier: "TextClassifier") -> Iterator[tuple[dict[str, str], str]]:
    """Every text, with the file that it is from."""
    for text in options.texts:
        yield {}, text
    for path in options.file:
        yield {"file": str(path)}, read_text(path)
    if not (options.texts or options.file):
        column = getattr(classifier.configuration.task_parameters, "text", "text")
        for text in _json_texts(sys.stdin, column):
            yield {}, text


def _json_texts(lines: Iterable[str], column: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f'line {number} of standard input is no JSON ({error}); write a string or {{"text": "..."}} per line'
            ) from error
        text = value.get(column, value.get("text")) if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise UsageError(f'line {number} of standard input has no text; write a string or {{"text": "..."}}')
        yield text
