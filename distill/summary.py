"""Tables as text for the terminal."""

import json
from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from distill.schema import FORMS
from distill.tables import Tables
from rmaat.base.text import decimal, table

PARENT_EXPONENT = 0.25
"""alpha of the parent paper (AT, arXiv 2312.10925), printed for comparison"""

MOST_ROWS = 16
"""With more segments than this only the first and the last are printed."""


def summarize(tables: Tables, segments: int, variant: str = "increment") -> str:
    """The curve, the factors for T = `segments` and their effect, the coupling and the exponent, as text.

    Raises
    ------
    TableError
        The tables do not serve that many segments, or lack the variant.
    """
    last = (*_coupling(tables), *_law(tables), *_left_out(tables))
    return "\n".join([*_curve(tables), "", *_factors(tables, segments, variant), "", *last])


def provenance(tables: Tables) -> str:
    """Schema, engine, versions and digests of the tables, as text."""
    attributes = tables.dataset.attrs
    versions = json.loads(attributes["versions"])
    rows = [
        ("schema", f"{attributes['schema']} version {attributes['schema_version']}"),
        ("serves", f"1 to {tables.longest} segments"),
        ("engine", f"{attributes['engine']}, seed {attributes['seed']}"),
        ("simulated with", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("SHA-256 of traces", str(attributes["traces_sha256"])),
        ("SHA-256 of content", str(attributes.get("content_sha256", "none yet"))),
    ]
    return "\n".join(f"{name}: {value}" for name, value in rows)


def variants(tables: Tables, segments: int) -> str:
    """The first factors of every variant for T = `segments`, side by side; raises as `summarize`."""
    shown = min(segments, 8)
    rows = [
        (name, *(decimal(factor, 4) for factor in tables.retention(segments, name)[:shown])) for name in tables.variants
    ]
    return table(rows, (f"RF(t, {segments})", *(f"t = {segment}" for segment in range(1, shown + 1))))


def _curve(tables: Tables) -> Iterator[str]:
    data = tables.dataset
    low, high = data["increment_rate_interval"].values
    yield (
        f"increments fall by exp(-a) a cycle, a = {tables.increment_rate:.4f} ({low:.4f} to {high:.4f}); "
        f"the curve departs from this law by {float(data['increment_residual']):.1e} of its end at most"
    )
    errors = _listed(data["law"].values, data["law_prediction_error"].values, ".1e")
    yield f"error at cycles left out of the fit: {errors}; law taken: {data['law_share'].attrs['law']}"
    if "source" in data["increment"].attrs:
        yield f"increments are {data['increment'].attrs['source']}"


def _factors(tables: Tables, segments: int, variant: str) -> Iterator[str]:
    factors, remaining = (method(segments, variant) for method in (tables.retention, tables.remaining))
    shown = np.arange(segments)
    if segments > MOST_ROWS:
        shown = np.concatenate([shown[: MOST_ROWS // 2], shown[-MOST_ROWS // 4 :]])
    yield f"retention factors, variant {variant}, T = {segments}; left: of segment t's writing when the last one reads"
    rows = [(f"{place + 1}", decimal(factors[place], 4), f"{remaining[place]:.2e}") for place in shown]
    lines = table(rows, ("t", "factor", "left")).splitlines()
    if segments > MOST_ROWS:
        # After two lines of head: the names of the columns, and the rule below them.
        lines.insert(2 + MOST_ROWS // 2, "...")
    yield from lines
    if FORMS[variant] == FORMS["horizon"] and "method" in tables.dataset["horizon_cycles"].attrs:
        yield f"horizon: {tables.dataset['horizon_cycles'].attrs['method']}"
    law = int((tables.dataset["increment_simulated"].values[:segments] == 0).sum())
    if law:
        # In units of the first increment, the largest of a curve whose increments decrease.
        error = tables.dataset["increment_error"].values[:segments] / tables.dataset["increment"].values[0]
        source = "continue the last simulated ones" if "tail_rate" in tables.dataset else "are the law's"
        yield f"{law} of {segments} increments {source}; their standard error is {error.max():.1e} of the first"


def _coupling(tables: Tables) -> Iterator[str]:
    data = tables.dataset
    if "influence" not in data:
        return
    low, high = data["influence_scale_interval"].values
    yield (
        f"influence falls with {float(data['influence_scale']):.3f} ({low:.3f} to {high:.3f}) per synapse spacing, "
        f"residual {float(data['influence_residual']):.1%}; {_coupling_put_in(data)}"
    )
    if "influence_driven" in data:
        share = float(data["influence_driven_amplitude"] / data["influence_amplitude"])
        yield (
            f"in the driven steady state with {float(data['influence_driven_scale']):.3f}, at {share:.2f} of the "
            "amplitude; the model takes that at rest, which depends on the network alone"
        )
    spacing = float(data["token_spacing"])
    yield (
        f"neighbouring tokens are {spacing:g} spacing{'' if spacing == 1 else 's'} apart, "
        f"so that attention decays with {tables.decay_per_token:.3f} per token"
    )
    criterion = data["influence_kernel_criterion"].values
    # Only differences of Akaike's criterion have a meaning.
    shown = _listed(data["kernel"].values, criterion - criterion.min(), "+.1f")
    yield f"Akaike's criterion of the influence above the best: {shown}"
    if int(data["anisotropy_directions"]) < 3:
        yield "all synapses lie on one line or nearly so, so that isotropy cannot be tested"
    else:
        yield f"anisotropy of the decay {float(data['anisotropy']):.3f} (p = {float(data['anisotropy_p_value']):.2g})"


def _coupling_put_in(data: xr.Dataset) -> str:
    return (
        f"the coupling put in with {float(data['coupling_scale']):.3f}" if "coupling_scale" in data else "as measured"
    )


def _law(tables: Tables) -> Iterator[str]:
    data = tables.dataset
    if "exponent" not in data:
        return
    if "exponent_interval" not in data:
        yield f"presynaptic exponent {tables.exponent:g}, given, not fitted; the parent paper has {PARENT_EXPONENT:g}"
        return
    low, high = data["exponent_interval"].values
    start, end = data["exponent_range"].values
    yield (
        f"presynaptic exponent {tables.exponent:.3f} ({low:.3f} to {high:.3f}) over {start:.3g} to {end:.3g} s of "
        f"activity; the parent paper has {PARENT_EXPONENT:g}"
    )
    first, last = data["exponent_local"].values
    yield (
        f"the exponent of the first quarter of that range is {first:.2f}, of the last {last:.2f}: it is no constant, "
        "but falls with a later start of the range and with a longer stimulus"
    )


def _left_out(tables: Tables) -> Iterator[str]:
    # A fit that was not wanted is no loss, and a failed one has the reason of its exponent.
    for part, reason in tables.left_out.items():
        if part != "exponent_fit":
            yield f"left out: {part.replace('_', ' ')}: {reason}"


def _listed(names: Iterable[str], values: Iterable[float], form: str) -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in zip(names, values, strict=True))
