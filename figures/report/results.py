"""Accuracy of the runs beside the trivial levels, and the numbers of the tables."""

from collections.abc import Iterator, Mapping
from itertools import chain
from xml.etree.ElementTree import Element

from distill import Tables
from figures.report.markup import element, section, table
from model.training.run_folder import Evaluation, RunFolder

MOST_FACTORS = 8
"""Segments T whose factors the tables print."""


def accuracy_section(runs: Mapping[str, RunFolder]) -> Element:
    """Accuracy on the test split of every run, beside the levels that need no model; raises `ModelError`."""
    return section("accuracy", "Accuracy", *(_run(name, run) for name, run in runs.items()))


def tables_section(tables: Mapping[str, Tables]) -> Element:
    """Retention factors, remaining memory and the other distilled numbers of all tables."""
    return section("tables", "Tables", *chain.from_iterable(_tables(name, each) for name, each in tables.items()))


def _run(name: str, run: RunFolder) -> Element:
    if not run.evaluation.exists():
        return element("p", element("code", name), " has no score on the test split; make one with: rmaat evaluate")
    evaluation, configuration = run.read_evaluation(), run.read_configuration()
    caption = f"{name}: {configuration.model.architecture} on {configuration.task}, {evaluation.samples:,} test samples"
    return table(caption, ("scored", "accuracy"), list(_levels(evaluation)))


def _levels(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    for name, level in evaluation.trivial_levels.items():
        yield name, f"{level:.1%}"
    error = evaluation.standard_error
    yield f"this model, {evaluation.parameters:,} parameters", f"{evaluation.accuracy:.1%} ± {error:.1%}"


def _tables(name: str, tables: Tables) -> Iterator[Element]:
    length = min(MOST_FACTORS, tables.longest)
    factors, remaining = tables.retention(length), tables.remaining(length)
    rows = [(f"{t + 1}", f"{factors[t]:.4f}", f"{remaining[t]:.2e}") for t in range(length)]
    yield table(f"{name}: retention factors and remaining memory, T = {length}", ("t", "RF(t, T)", "remaining"), rows)
    header = ("variant", *(f"t = {segment}" for segment in range(1, length + 1)))
    variants = [(each, *(f"{factor:.3f}" for factor in tables.retention(length, each))) for each in tables.variants]
    yield table(f"{name}: RF(t, {length}) of every variant", header, variants)
    yield table(f"{name}: other numbers", ("number", "value", "95 % interval"), list(_numbers(tables)))


def _numbers(tables: Tables) -> Iterator[tuple[str, str, str]]:
    data, left_out = tables.dataset, tables.left_out
    yield "rate a of the geometric law (1 / cycle)", f"{tables.increment_rate:.4f}", _interval(tables, "increment_rate")
    yield "largest distance of the curve from that law", f"{float(data['increment_residual']):.1e} of its end", ""
    if "influence" in data:
        scale = f"{float(data['influence_scale']):.3f}"
        yield "decay of the influence (1 / synapse spacing)", scale, _interval(tables, "influence_scale")
        yield "decay of attention (1 / token)", f"{tables.decay_per_token:.3f}", ""
    if "exponent" in data:
        yield "presynaptic exponent α", f"{tables.exponent:.3f}", _interval(tables, "exponent")
    for part, reason in left_out.items():
        yield f"{part.replace('_', ' ')} is left out", reason, ""


def _interval(tables: Tables, name: str) -> str:
    if f"{name}_interval" not in tables.dataset:
        return ""
    low, high = tables.dataset[f"{name}_interval"].values
    return f"{low:.4f} to {high:.4f}"
