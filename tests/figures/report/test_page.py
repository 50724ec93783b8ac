"""The page without a browser: what it holds, what it escapes, and what it leaves out."""

import json
import re
from html.parser import HTMLParser

import pytest

from astro_sim import write_traces
from astro_sim.errors import SimulationError
from distill import write_tables
from figures import FigureError, write_report
from rmaat.cli import main

ATTACK = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
INTERACTIVE = {"explorer", "animation"}


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for each, attributes in self.found if each == tag]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "report.html"


def report(folder, out):
    write_report(folder, out)
    return Elements(out.read_text(encoding="utf-8"))


def parts(page):
    return {each["id"] for each in page.of("section")}


def test_the_page_holds_everything_and_loads_nothing(runs, out):
    page = report(runs, out)
    everything = {"accuracy", "figures", "tables", "parameters", "provenance"} | INTERACTIVE
    assert parts(page) == everything
    assert len(page.of("figcaption")) == 5 + 3
    assert all(image["src"].startswith("data:image/") for image in page.of("img"))
    assert not page.of("link")
    assert {each["href"][0] for _, each in page.found if "href" in each} <= {"#"}
    assert out.stat().st_size < 3_000_000


@pytest.mark.usefixtures("undrawn")
def test_equal_files_give_an_equal_page(runs, out):
    write_report(runs, out)
    first = out.read_bytes()
    write_report(runs, out)
    assert out.read_bytes() == first


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("kept", "shown", "hidden"),
    [
        ("sim.nc", {"animation"}, {"explorer", "tables", "accuracy"}),
        ("tables.nc", {"explorer", "tables"}, {"animation", "accuracy"}),
        # A run has a copy of its tables.
        ("listops", {"accuracy", "explorer", "tables"}, {"animation"}),
    ],
)
def test_a_folder_with_some_of_the_files_gets_their_parts(runs, out, tmp_path, kept, shown, hidden):
    (tmp_path / "some").mkdir()
    (runs / kept).rename(tmp_path / "some" / kept)
    found = parts(report(tmp_path / "some", out))
    assert shown | {"parameters", "provenance"} <= found
    assert not hidden & found


@pytest.mark.usefixtures("undrawn")
def test_a_run_folder_itself_gets_a_page(runs, out):
    assert "accuracy" in parts(report(runs / "listops", out))
    # Names are relative to the folder.
    assert "<caption>tables.nc: tables</caption>" in out.read_text()


def test_an_unscored_run_without_validations_gets_a_page(add_run, tmp_path, out):
    run = add_run(tmp_path / "runs" / "new", evaluated=False)
    run.metrics.unlink()
    page = report(tmp_path / "runs", out)
    assert "has no score on the test split" in page.text
    assert not page.of("img")


@pytest.mark.usefixtures("undrawn")
def test_text_from_files_cannot_become_markup(traces, tables, add_run, tmp_path, out):
    folder = tmp_path / "<script>window.hacked = 1<"
    parameters = json.loads(traces.attrs["parameters"])
    parameters["network"]["layout_file"] = ATTACK
    attacked = traces.assign_attrs(parameters=json.dumps(parameters), engine=ATTACK)
    attacked["short_term_process"].attrs = {**traces["short_term_process"].attrs, "long_name": ATTACK}
    write_traces(attacked, folder / "sim.nc")
    write_tables(tables, folder / "<b>.nc")
    add_run(folder / "<img src=x onerror=window.hacked=1>")
    page = report(folder, out)
    # The data and the program are the only scripts.
    assert [each.get("id") for each in page.of("script")] == ["data", None]
    assert [each["src"][:5] for each in page.of("img")] == ["data:"]
    assert not page.of("b")
    assert page.text.count(ATTACK) >= 2


@pytest.mark.usefixtures("undrawn")
def test_the_data_give_every_text_unchanged(traces, tmp_path, out):
    named = traces.copy()
    named["short_term_process"].attrs = {**traces["short_term_process"].attrs, "long_name": ATTACK}
    write_traces(named, tmp_path / "runs" / "sim.nc")
    page = report(tmp_path / "runs", out)
    found = re.search(r'id="data">(.*?)</script>', out.read_text(), re.DOTALL)
    assert found
    assert json.loads(found[1])["animations"][0]["variables"][0]["label"] == ATTACK
    assert page.of("canvas")


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_attribute_is_an_error_that_names_the_file(traces, tmp_path, out):
    write_traces(traces.assign_attrs(parameters="{"), tmp_path / "runs" / "broken.nc")
    with pytest.raises(SimulationError, match=r"broken\.nc has the attribute parameters, which does not hold"):
        write_report(tmp_path / "runs", out)
    assert not out.exists()


def test_a_folder_without_results_is_an_error(tmp_path, out):
    with pytest.raises(FigureError, match="no traces, tables or run folder"):
        write_report(tmp_path, out)


@pytest.mark.usefixtures("undrawn")
def test_the_command_writes_into_the_folder_and_prints_the_path(runs, capsys):
    assert main(["report", str(runs)]) == 0
    assert capsys.readouterr().out.strip() == str(runs / "report.html")
    assert (runs / "report.html").is_file()


@pytest.mark.usefixtures("undrawn")
def test_parameters_have_their_sources_and_results_the_commands(runs, out):
    text = " ".join(report(runs, out).text.split())
    rows = {"protocol.cycle_duration": "paper", "protocol.run_duration": "set here", "model.neuron_decay": "ours"}
    page = out.read_text()
    for name, tag in rows.items():
        row = re.search(rf'<th scope="row">{re.escape(name)}</th>(.*?)</tr>', page, re.DOTALL)
        assert row
        assert f">{tag}<" in row[1]
    assert f"rmaat distill {runs}/sim.nc --segments 24 --out {runs}/tables.nc" in text
    assert "rmaat simulate --engine scipy --set postsynaptic_neurons=2 --set run_duration=200.0" in text
