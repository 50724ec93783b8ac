"""The page in a headless Chromium; skipped where none is installed."""

import json

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate, write_traces
from distill import distil, write_tables
from figures import write_report

pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.xdist_group("browser")]

ARROW_RIGHT = ("ArrowRight", 39)
PLOTS = ("process", "factors", "remaining")
AGREEMENT = "document.getElementById('agreement')"


@pytest.fixture
def out(runs, tmp_path):
    path = tmp_path / "report.html"
    write_report(runs, path)
    return path


def drawing(tab, name):
    return tab.run(f"document.getElementById('plot-{name}').innerHTML")


def test_the_page_finds_that_closed_form_and_tables_agree_and_complains_about_nothing(tab, out):
    tab.open(out)
    assert tab.run(f"{AGREEMENT}.textContent").startswith("closed form and tables agree to 1e-")
    assert tab.run(f"{AGREEMENT}.className") == "agree"
    assert tab.run("document.querySelectorAll('#contents a').length") == 7
    assert tab.complaints() == []


def test_the_page_computes_the_factors_of_the_tables(tab, out, tables):
    tab.open(out)
    np.testing.assert_allclose(tab.run("factors(8, rateOf(RESULTS.tables[0].own))"), tables.retention(8), rtol=1e-6)
    remaining = tab.run("remainingLogs(tableFactors(RESULTS.tables[0], 8)).map(each => 10 ** each)")
    np.testing.assert_allclose(remaining, tables.remaining(8), rtol=1e-12)


def test_the_curve_within_cycles_solves_its_equation(tab, out):
    tab.open(out)
    own = "{timeConstant: 100, decay: 2, cycle: 50, stimulus: 0.3}"
    times = np.linspace(0, 150, 3001)
    points = [f"[{int(min(t // 50, 2))}, {t - 50 * min(t // 50, 2)}]" for t in times]
    script = f"[{','.join(points)}].map(([cycle, time]) => processWithin({own}, 0.7, cycle, time))"
    found, drive = np.array(tab.run(script)), np.where(times % 50 < 15, 0.7, 0.0)
    step = times[1]
    # The exact step of a linear equation with constant drive.
    decay = np.exp(-2 * step / 100)
    expected = np.zeros(3001)
    for index in range(3000):
        expected[index + 1] = decay * expected[index] + drive[index] / 2 * (1 - decay)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())
    np.testing.assert_allclose(found[::1000], expected[::1000], rtol=1e-2)


def test_an_arrow_key_on_each_slider_redraws_and_the_button_returns_to_the_run(tab, out):
    tab.open(out)
    before = {name: drawing(tab, name) for name in PLOTS}
    for slider in ("time-constant", "decay", "cycle", "stimulus", "segments"):
        tab.run(f"document.getElementById('{slider}').focus()")
        tab.press(*ARROW_RIGHT)
        # The factors do not depend on the length of the stimulus.
        changed = ["process"] if slider == "stimulus" else list(PLOTS)
        assert [name for name in PLOTS if drawing(tab, name) != before[name]] == changed, slider
        tab.run("document.getElementById('reset').click()")
        assert {name: drawing(tab, name) for name in PLOTS} == before


def test_nothing_is_wider_than_the_window_in_either_colour_scheme(tab, out):
    papers = set()
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            tab.open(out, width, scheme)
            assert tab.run("document.documentElement.scrollWidth") <= width
            papers.add(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2
    assert tab.complaints() == []


def test_the_animation_scrubs_and_plays(tab, out):
    tab.open(out)
    pixels = "document.getElementById('grid').toDataURL()"
    before = tab.run(pixels)
    tab.run("const scrub = document.getElementById('frame'); scrub.value = 60; scrub.dispatchEvent(new Event('input'))")
    assert tab.run(pixels) != before
    assert tab.run("document.getElementById('frame-time').textContent") == "60 s, stimulus on"
    tab.run("document.getElementById('play').click()")
    tab.wait("Number(document.getElementById('frame').value) > 61")
    tab.run("document.getElementById('play').click()")
    assert tab.run("document.getElementById('play').textContent") == "play"


def test_where_the_law_does_not_hold_the_page_says_how_far_and_why(tab, tmp_path):
    parameters = {"restart_fast_variables": False, "run_duration": 250.0, "recording_interval": 1.0}
    tables = distil(simulate(SimulationParameters().override(parameters)))
    write_tables(tables, tmp_path / "runs" / "tables.nc")
    write_report(tmp_path / "runs", tmp_path / "report.html")
    tab.open(tmp_path / "report.html")
    assert tab.run(f"{AGREEMENT}.textContent").startswith("closed form and tables differ by up to ")
    assert "do not restart" in tab.run("document.getElementById('validity').textContent")


def test_text_from_files_runs_no_script(tab, traces, tmp_path):
    attack = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    parameters = json.loads(traces.attrs["parameters"])
    parameters["network"]["layout_file"] = attack
    attacked = traces.assign_attrs(parameters=json.dumps(parameters))
    attacked["short_term_process"].attrs = {**traces["short_term_process"].attrs, "long_name": attack, "units": attack}
    write_traces(attacked, tmp_path / "runs" / "<img src=x onerror=window.hacked=1>.nc")
    write_report(tmp_path / "runs", tmp_path / "report.html")
    tab.open(tmp_path / "report.html")
    assert tab.run("typeof window.hacked") == "undefined"
    assert attack in tab.run("document.getElementById('variable-choice').textContent")
    assert tab.complaints() == []
