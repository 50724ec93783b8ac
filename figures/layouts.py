"""The short-term process over space for several layouts of the synapses."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from figures.style import MARKERS, MODELS, axis_label, paper_style, units_of

LAYOUTS = ("line", "random", "equal")
"""Layouts whose synapses are in one column, so that their height is their place."""
RESPONSE = ("time", "post", "pre")


@paper_style()
def draw_layouts(responses: Sequence[xr.Dataset]) -> Figure:
    """Short-term process of each synapse at the end of the first stimulus, against the height of the synapse.

    Each layout has its own marker. The label gives the spread, the largest value minus the smallest. Equal distances
    have no places in a plane, so their synapses are drawn at those of the layout `line`. The RMAAT paper states that
    the response depends on the distances; the figure is ours.

    Parameters
    ----------
    responses
        One `response_of` for each layout.
    """
    figure = Figure(figsize=(5.5, 4.2))
    axes = figure.add_subplot()
    for response, marker, color in zip(responses, MARKERS, MODELS, strict=False):
        process = response["short_term_process"].values.ravel()
        label = f"{_layout(response)}, spread {np.ptp(process):.3f}"
        axes.plot(response["height"].values.ravel(), process, marker, color=color, alpha=0.6, label=label)
    axes.set_xlabel(axis_label("height of the synapse", "y", units_of(responses[0]["height"])))
    axes.set_ylabel(axis_label("short-term process", "p^s_{ij}", units_of(responses[0]["short_term_process"])))
    axes.set_title("Short-term process over space at the end of the first stimulus")
    figure.legend(loc="outside lower center", ncols=len(responses))
    return figure


def response_of(traces: xr.Dataset) -> xr.Dataset | None:
    """Height (post, pre) of each synapse and its short-term process at the end of the first stimulus.

    Returns None for traces that the figure cannot show: of another layout, without a stimulus, or of several trials.
    """
    drive, process = traces["presynaptic_drive"], traces["short_term_process"]
    if json.loads(traces.attrs["parameters"]).get("network", {}).get("layout") not in LAYOUTS:
        return None
    if process.dims != RESPONSE or drive.dims != ("time", "pre") or not (drive > 0).any():
        return None
    driven = (drive > 0).any("pre").values
    # The last driven sample before the first pause; a stimulus without a pause ends with the run.
    pauses = np.flatnonzero(~driven & (driven.cumsum() > 0))
    end = int(pauses[0]) - 1 if len(pauses) else -1
    height = traces["synapse_position"].sel(space="y", drop=True)
    process = process.isel(time=end, drop=True)
    # Load now: the file of the traces is closed before the figure is drawn.
    return xr.Dataset({"height": height, "short_term_process": process}, attrs=traces.attrs).load()


def comparable(responses: Mapping[str, xr.Dataset | None]) -> list[xr.Dataset]:
    """Of `responses` by name, those that differ from the first one in the layout alone; empty if there is only one.

    The order is that of `LAYOUTS`; each layout occurs once.
    """
    known = [response for response in responses.values() if response is not None]
    # Reversed, because the last entry of a key wins: the first response of each layout is drawn.
    alike = {_layout(each): each for each in reversed(known) if _others(each) == _others(known[0])}
    return [alike[layout] for layout in LAYOUTS if layout in alike] if len(alike) > 1 else []


def _layout(response: xr.Dataset) -> str:
    return json.loads(response.attrs["parameters"])["network"]["layout"]


def _others(response: xr.Dataset) -> dict[str, object]:
    parameters = json.loads(response.attrs["parameters"])
    return parameters | {"network": parameters["network"] | {"layout": None}}
