import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate, write_traces
from figures import draw_all, draw_layouts
from figures.layouts import comparable, response_of

SHORT = {"run_duration": 60.0, "cycle_duration": 30.0, "stimulus_duration": 20.0, "recording_interval": 1.0}
SAME_DRIVE = {"drive_strongest": 1.0, "drive_weakest": 1.0}


def traces_of(layout, **changes):
    return simulate(SimulationParameters().override(SHORT | SAME_DRIVE | {"layout": layout} | changes))


@pytest.fixture(scope="module")
def traces():
    return {layout: traces_of(layout) for layout in ("random", "equal", "line")}


@pytest.fixture(scope="module")
def figure(traces):
    return draw_layouts(comparable({name: response_of(each) for name, each in traces.items()}))


def test_points_are_the_short_term_process_of_all_synapses_at_the_end_of_the_stimulus(figure, traces):
    lines = figure.axes[0].lines
    for line, layout in zip(lines, ("line", "random", "equal"), strict=True):
        # The drive ends at 20 s.
        expected = traces[layout]["short_term_process"].sel(time=20.0).values
        np.testing.assert_array_equal(line.get_ydata(), expected.ravel())
        heights = traces[layout]["synapse_position"].values[..., 1]
        np.testing.assert_array_equal(line.get_xdata(), heights.ravel())


def test_equal_distances_respond_alike_and_places_on_a_line_do_not(figure):
    line, _, equal = (each.get_ydata() for each in figure.axes[0].lines)
    assert np.ptp(equal) < 1e-9 < 0.01 < np.ptp(line)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == f"line, spread {np.ptp(line):.3f}"
    assert labels[2] == "equal, spread 0.000"


def test_runs_that_differ_in_more_than_the_layout_or_show_no_response_are_left_out(traces):
    responses = {name: response_of(each) for name, each in traces.items()}
    other = response_of(traces_of("random", coupling_strength=0.01))
    assert comparable({"line": responses["line"], "other": other}) == []
    assert comparable({"line": responses["line"]}) == []
    assert response_of(traces_of("grid")) is None
    assert response_of(traces["line"].assign(presynaptic_drive=0 * traces["line"].presynaptic_drive)) is None


def test_a_folder_with_several_layouts_gets_the_figure(traces, tmp_path):
    for name in ("line", "equal"):
        write_traces(traces[name], tmp_path / f"{name}.nc")
    assert tmp_path / "figures" / "layouts.png" in draw_all(tmp_path, tmp_path / "figures")
