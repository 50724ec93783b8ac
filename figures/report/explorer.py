"""Data of the interactive part: the tables' numbers and the parameters of the closed form.

The long-term process is linear, tau dp/dt = -gamma p + drive. If the drive is the same in every cycle, its increments
are geometric: Delta_t = Delta_1 exp(-a (t - 1)) with a = gamma tau_cycle / tau. `distill.retention` has the formulas;
`template/closed_form.js` has them for the page, which compares them with these numbers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from distill import Tables
from figures.report.sources import read_attribute

MOST_SEGMENTS = 256
"""Largest T of the slider."""


def explorer_data(name: str, tables: Tables) -> dict[str, Any]:
    """The curve and the factors in `tables`, the parameters of the simulation, and why the closed form is not exact.

    `weight` and `total` give RF(t, T) = w(t) / W(T) of the variant increment. If the closed form is not exact, its time
    constant is that of the fitted rate.

    Raises
    ------
    FigureError
        The attribute `parameters` is damaged.
    """
    values = read_attribute(tables.dataset.attrs, "parameters", name)
    model, protocol = (_group(values, each) for each in ("model", "protocol"))
    cycle = float(protocol.get("cycle_duration", 1.0))
    reasons = list(_exceptions(values))
    decay, time_constant = 1.0, cycle / tables.increment_rate
    if not reasons:
        decay, time_constant = (float(model[f"long_term_{each}"]) for each in ("decay", "time_constant"))
    weight, total = tables.retention_parts(tables.longest)
    return {
        "name": name,
        "curve": tables.dataset["long_term_curve"].values.tolist(),
        "weight": weight.tolist(),
        "total": total.tolist(),
        "most": min(tables.longest, MOST_SEGMENTS),
        "reasons": reasons,
        "own": {
            "timeConstant": time_constant,
            "decay": decay,
            "cycle": cycle,
            "stimulus": min(float(protocol.get("stimulus_duration", cycle)) / cycle, 1.0),
        },
    }


def _exceptions(values: Mapping[str, Any]) -> Iterator[str]:
    """Why the increments of a simulation with these parameters are not exactly geometric; nothing if they are."""
    model, form, protocol = (_group(values, each) for each in ("model", "form", "protocol"))
    if "long_term_time_constant" not in model or "long_term_decay" not in model:
        yield "the simulated model is not the rate model"
        return
    if form.get("long_term_growth", "linear") != "linear":
        yield f"its growth is {form['long_term_growth']}, not linear"
    if model.get("long_term_feedback", 0):
        yield "the long-term process acts back on facilitation"
    if not protocol.get("restart_fast_variables", True):
        yield "the fast variables do not restart in each cycle"
    yield from _changing_drive(protocol)


def _changing_drive(protocol: Mapping[str, Any]) -> Iterator[str]:
    if protocol.get("kind", "stp_cycles") not in ("stp_cycles", "theta_bursts"):
        yield f"the protocol {protocol['kind']} may drive each cycle differently"
    if protocol.get("stimulus_jitter", 0) or protocol.get("drive_variation", 0):
        yield "the drive varies between cycles"
    if protocol.get("firing", "regular") != "regular":
        yield f"the drive fires at random ({protocol['firing']})"


def _group(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    group = values.get(name, {})
    return group if isinstance(group, Mapping) else {}
