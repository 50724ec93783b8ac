"""The `rmaat` command line: output, exit status and error messages."""

import dataclasses
import itertools
import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationParameters, simulate, write_traces
from distill import read_tables
from model.networks.parameters import ARCHITECTURES
from model.training.checkpoint import CHECKPOINT, load_state, newest
from model.training.plan import METHODS
from model.training.run_folder import RunFolder
from rmaat.cli import COMMANDS, main

# A model and data that train in a second.
TINY = [
    "--train-size", "64", "--validation-size", "16", "--test-size", "16", "--longest-length", "40", "--steps", "4",
    "--validate-every", "2", "--width", "8", "--heads", "2", "--layers", "1", "--segment-length", "10",
    "--segments", "4",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RMAAT_DATA", raising=False)


@pytest.fixture(scope="session")
def stored_traces(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "sim.nc"
    write_traces(simulate(SimulationParameters().override({"run_duration": 200})), path)
    return path


@pytest.fixture
def trained():
    assert main(["train", "listops", "--out", "run", *TINY]) == 0
    return Path("run")


def failure(capsys, *arguments: object) -> tuple[int, str]:
    """Exit status and last line on standard error of a command that must fail."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stopped:  # raised by argparse
        status = int(stopped.code or 0)
    captured = capsys.readouterr()
    assert status != 0
    assert "Traceback" not in captured.err
    return status, captured.err.strip().splitlines()[-1]


def files() -> set[str]:
    return {str(path) for path in Path().rglob("*") if path.is_file()}


def command(*arguments: str, **options) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-m", "rmaat", *arguments], stdout=pipe, stderr=pipe, text=True, **options)


def test_the_command_alone_prints_the_three_jobs(capsys):
    assert main([]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Three jobs:")
    assert shown.err == ""


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"rmaat {metadata.version('rmaat-toolkit')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_shows_an_example(capsys, name):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert f"  rmaat {name} " in capsys.readouterr().out


def test_help_and_plans_import_no_heavy_package():
    commands = [["--help"], *([name, "--help"] for name in COMMANDS), ["plan", "--length", "2048"]]
    # One process runs all commands in turn and stops at the first one that imports too much.
    code = (
        "import contextlib, json, os, sys, rmaat.cli\n"
        "heavy = {'torch', 'scipy', 'xarray', 'brian2', 'matplotlib', 'pandas', 'netCDF4', 'filelock', 'tqdm'}\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')):\n"
        "        rmaat.cli.main(words)\n"
        "    if heavy & set(sys.modules): sys.exit(f'{words} imports {sorted(heavy & set(sys.modules))}')"
    )
    found = subprocess.run([sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_help_on_a_task_shows_the_settings_and_presets_of_that_task_alone(capsys):
    with pytest.raises(SystemExit):
        main(["train", "image", "--help"])
    shown = capsys.readouterr().out
    assert "--data-seed" in shown
    assert "512 pixels" in shown
    assert "--difficulty" not in shown
    assert "LRA's lengths" not in shown


@pytest.mark.parametrize("name", ["train", "plan", "data prepare"])
def test_a_command_with_many_settings_has_a_short_usage_line(capsys, name):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: rmaat {name} [options]")


@pytest.mark.slow
def test_distilling_imports_neither_solvers_nor_models_nor_dask(stored_traces):
    code = (
        "import sys, rmaat.cli\n"
        f"assert rmaat.cli.main(['distill', {str(stored_traces)!r}, '--out', 'tables.nc']) == 0\n"
        "print(sorted({'torch', 'model', 'scipy.integrate', 'astro_sim.engines', 'distributed'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_chain_of_commands_leaves_traces_tables_a_run_and_figures(capsys):
    assert main(["simulate", "--cycles", "4", "--out", "runs/sim.nc"]) == 0
    assert main(["distill", "runs/sim.nc", "--segments", "16", "--out", "runs/tables.nc"]) == 0
    assert main(["distill", "show", "runs/tables.nc", "--segments", "4"]) == 0
    assert main(["train", "listops", "--tables", "runs/tables.nc", "--out", "runs/listops", *TINY]) == 0
    assert main(["evaluate", "runs/listops"]) == 0
    assert main(["figures", "runs/", "--out", "runs/figures"]) == 0
    shown = capsys.readouterr().out
    assert "increment   0.4551  0.2760  0.1674  0.1015" in shown
    assert re.search(r"commonest label +\d+\.\d%", shown)
    assert read_tables(Path("runs/listops/tables.nc")).longest == 16
    assert len(list(Path("runs/figures").glob("*.png"))) == 5
    assert len(list(Path("runs/figures").glob("*.svg"))) == 5


def test_parameters_are_read_from_a_file_and_changed_by_options(capsys):
    assert main(["simulate", "--set", "coupling_strength=0.1", "--save-parameters", "mine.yaml", "--cycles", "3"]) == 0
    assert "short_term_time_constant: 3.0 s" in Path("mine.yaml").read_text()
    assert main(["simulate", "--parameters", "mine.yaml", "--set", "layout=random", "--show"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"coupling_strength +0\.1 ", shown)
    assert re.search(r"layout +random ", shown)
    assert re.search(r"run_duration +150 +s ", shown)


def test_show_prints_the_source_of_each_value_of_a_preset_changed_by_a_file(capsys):
    Path("theta.yaml").write_text("protocol:\n  kind: theta_bursts\n  train_interval: 12 s\n")
    arguments = ["simulate", "--preset", "biological", "--parameters", "theta.yaml"]
    assert main([*arguments, "--set", "hill_exponent=3", "--cycles", "8", "--show"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"short_term_time_constant +3 +s .*De Pitta et al. 2012, PMC3528083", shown)
    assert re.search(r"burst_interval +0.2 +s .*PubMed 3697730", shown)
    assert re.search(r"train_interval +12 +s .*given here, in place of the default", shown)
    assert re.search(r"hill_exponent +3 .*given here", shown)
    assert re.search(r"run_duration +480 +s .*given here", shown)
    assert re.search(r"cycle_duration +60 +s .*ours: spaced trains", shown)


def test_the_help_shows_presets_and_theta_bursts(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    shown = capsys.readouterr().out
    assert "--preset biological" in shown
    example = shown.split("drive (docs/simulator.md lists all protocols):\n")[1]
    Path("theta.yaml").write_text(textwrap.dedent(example))
    assert SimulationParameters.load(Path("theta.yaml")).protocol.kind == "theta_bursts"


def test_the_number_of_cycles_sets_the_duration_also_with_another_cycle_length(capsys):
    changes = ["--set", "cycle_duration=1.1", "--set", "stimulus_duration=0.5", "--set", "recording_interval=0.1"]
    assert main(["simulate", "--cycles", "3", *changes, "--show"]) == 0
    assert re.search(r"run_duration +3\.3 +s ", capsys.readouterr().out)


def test_every_setting_can_be_given_on_the_command_line(trained):
    configuration = RunFolder(trained).read_configuration()
    assert configuration.model.width == 8
    assert configuration.training.steps == 4
    assert configuration.task_parameters.longest_length == 40


def test_a_state_space_is_trained_and_scored_with_a_setting_of_its_own(capsys):
    assert main(["train", "listops", "--out", "run", *TINY, "--architecture", "s4d", "--state-size", "3"]) == 0
    assert RunFolder(Path("run")).read_configuration().model.state_size == 3
    assert main(["evaluate", "run"]) == 0
    assert "s4d on" in capsys.readouterr().out


def test_longer_tables_are_distilled_from_stored_traces_without_a_simulation(stored_traces, monkeypatch):
    monkeypatch.setattr("astro_sim.engines.scipy_engine.METHODS", None)
    assert main(["distill", str(stored_traces), "--segments", "1000", "--out", "long.nc"]) == 0
    assert read_tables(Path("long.nc")).retention(1000).sum() == pytest.approx(1)


USAGE = [
    (["simulate", "--engine", "nest"], "unknown engine 'nest'"),
    (["simulate", "--set", "long_term_time_constant=-5"], "long_term_time_constant is -5.0 s; it must lie between"),
    (["simulate", "--set", "short_term_time_constant=3 ms"], "it is in s"),
    (["simulate", "--set", "run_duration=40"], "a cycle of 50 s is longer than the run of 40 s"),
    (["simulate", "--preset", "biologic"], "unknown preset 'biologic'; perhaps you meant biological"),
    (["simulate", "--set", "layout=csv"], "layout csv reads a file; set layout_file to its path"),
    (["simulate", "--set", "presynaptic_pattern=1,2"], "presynaptic_pattern has 2 values for 3 neurons"),
    (["simulate", "--set", "tau=3"], "unknown parameter 'tau'"),
    (["simulate", "--set", "layout"], "write --set name=value"),
    (["simulate", "--cycles", "0"], "--cycles is 0"),
    (["simulate", "--cycles", "many"], "--cycles is 'many'; it must be a whole number"),
    (["simulate", "--cycles"], "rmaat simulate: --cycles needs a value; help: rmaat simulate --help"),
    (["fit"], "rmaat fit: data and --vary are missing; help: rmaat fit --help"),
    (["evaluate"], "rmaat evaluate: run_folder is missing"),
    (["distill", "x.nc", "--exponent", "half"], "--exponent: 'half' is neither a number nor fit"),
    (["plan", "--length", "0"], "--length is 0; it must be 1 or more"),
    (["plan", "-q", "-v"], "-v/--verbose and -q/--quiet exclude each other; give one"),
    (["distill", "x.nc", "--segments", "0"], "segments is 0 segments; it must lie between 1 and 4096"),
    (["train", "listops", "--out", "run", "--heads", "3"], "3 heads do not divide a width of 64"),
    (["train", "listops", "--out", "run", "--width", "wide"], "width is 'wide'; it must be a whole number"),
    (["train", "listops", "--out", "run", "--state-size", "3"], "state_size is 3, which means nothing to a rmaat"),
    (["train", "listops", "--out", "run", "--architecture", "lstm"], "unknown architecture 'lstm'; known are"),
    (["train", "chess", "--out", "run"], "unknown task 'chess'; known are"),
    (["trian", "listops"], "rmaat: unknown command 'trian'; perhaps you meant train; help: rmaat --help"),
    (["train", "listops", "--out", "run", "--stpes", "5"], "unknown option '--stpes'; perhaps you meant --steps"),
    (["evaluate", "run", "other"], "rmaat evaluate: other is one argument too many; help: rmaat evaluate --help"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_wrong_usage_prints_one_sentence_and_exits_with_2(capsys, arguments, message):
    status, line = failure(capsys, *arguments)
    assert status == 2
    assert message in line
    assert files() == set()


def spoil_traces(path: Path, stored: Path) -> None:
    with xr.open_dataset(stored) as dataset:
        dataset = dataset.load()
    dataset["short_term_process"][7, 1, 2] = np.nan
    dataset.to_netcdf(path)


def test_a_nan_in_traces_is_named_by_variable_and_time(capsys, stored_traces):
    spoil_traces(Path("bad.nc"), stored_traces)
    status, line = failure(capsys, "distill", "bad.nc", "--out", "tables.nc")
    assert status == 1
    assert "bad.nc" in line
    assert "short_term_process" in line
    assert "3.5" in line
    assert files() == {"bad.nc"}


def test_tables_that_are_too_short_are_refused_with_the_command_that_makes_longer_ones(capsys, stored_traces):
    main(["distill", str(stored_traces), "--segments", "3", "--out", "tables.nc"])
    status, line = failure(capsys, "train", "listops", "--tables", "tables.nc", "--out", "run", *TINY)
    assert status == 1
    assert "made for 1 to 3 segments, not 4; make longer tables with: rmaat distill TRACES.nc --segments 4" in line
    assert not Path("run").exists()


def test_a_sequence_longer_than_the_segments_is_refused_before_training(capsys):
    status, line = failure(capsys, "train", "listops", "--out", "run", *TINY, "--segments", "2")
    assert status == 1
    assert re.search(r"longest sequence has \d+ tokens, more than 2 segments of 10; set segment_length to", line)
    assert not Path("run").exists()


def test_changed_data_files_are_refused(capsys, trained):
    (stored,) = Path("runs/data").glob("listops-*/test_tokens.npy")
    tokens = np.load(stored)
    tokens[0] = 99
    np.save(stored, tokens)
    status, line = failure(capsys, "evaluate", trained)
    assert status == 1
    assert "test_tokens.npy does not have the SHA-256 of the manifest; delete the folder and prepare it again" in line


def test_a_checkpoint_of_another_architecture_is_refused(capsys, trained):
    place = trained / "configuration.json"
    values = json.loads(place.read_text())
    values["model"]["layers"] = 2
    place.write_text(json.dumps(values))
    status, line = failure(capsys, "evaluate", trained)
    assert status == 1
    assert "holds another architecture" in line
    assert not (trained / "evaluation.json").exists()


def test_existing_output_is_overwritten_only_with_overwrite(capsys, stored_traces, trained):
    before = (trained / "metrics.csv").read_bytes()
    status, line = failure(capsys, "train", "listops", "--out", trained, *TINY)
    assert (status, "exists already; resume it with --resume" in line) == (1, True)
    assert (trained / "metrics.csv").read_bytes() == before
    Path("tables.nc").write_text("mine")
    status, line = failure(capsys, "distill", stored_traces, "--out", "tables.nc")
    assert (status, "exists already; choose another name, or add --overwrite" in line) == (1, True)
    assert Path("tables.nc").read_text() == "mine"
    assert main(["distill", str(stored_traces), "--out", "tables.nc", "--overwrite"]) == 0
    assert read_tables(Path("tables.nc")).longest == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "nothing.nc"], "nothing.nc"),
        (["evaluate", "nothing"], "nothing holds no run; train one with: rmaat train"),
        (["figures", ".", "--out", "figures"], "rmaat"),
        (["train", "listops", "--out", "run", "--tables", "nothing.nc"], "cannot read nothing.nc: No such file"),
        (["train", "listops", "--out", "run", "--official-files", "nowhere"], "basic_"),
        (["simulate", "--parameters", "nothing.yaml"], "cannot read nothing.yaml: No such file"),
    ],
)
def test_missing_input_prints_one_sentence(capsys, arguments, message):
    status, line = failure(capsys, *arguments, *(TINY if "train" in arguments else []))
    assert status == 1
    assert line.startswith("rmaat: ")
    assert message in line
    assert {name for name in files() if not name.startswith("runs/data")} == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["simulate", "--cycles", "3", "--out", "new.nc"],
            "cannot write new.nc: NetCDF: HDF error (is the disk full?)",
        ),
        (["distill", "TRACES", "--out", "new.nc"], "cannot write new.nc: File too large"),
        (["train", "listops", "--out", "run", *TINY, "--train-size", "1000"], ": File too large"),
    ],
)
def test_a_full_disk_prints_one_sentence_and_leaves_no_file(stored_traces, arguments, message):
    def limit_files():
        # With the signal ignored, writing beyond the limit fails as on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    arguments = [str(stored_traces) if argument == "TRACES" else argument for argument in arguments]
    process = command(*arguments, preexec_fn=limit_files)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.strip().splitlines()[-1].endswith(f"{message}; nothing was written")
    assert "Traceback" not in error
    assert files() == set()


@pytest.mark.slow
def test_an_interrupted_training_exits_with_130_and_the_same_command_continues(capsys):
    # More steps than any machine makes until the signal arrives. `test_loop` compares the weights of resumed runs.
    many = [*TINY, "--steps", "1000000", "--validate-every", "2"]
    process = command("train", "listops", "--out", "cut", *many, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 100
    while not Path("cut/metrics.csv").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    cut = re.search(r"rmaat: interrupted after step (\d+) of 1000000; continue the same command with --resume", error)
    assert cut is not None, error
    assert load_state(newest(Path("cut"), CHECKPOINT)).step == int(cut[1])
    status, line = failure(capsys, "train", "listops", "--out", "cut", *many, "--resume", "--minutes", "0")
    assert status == 75
    assert f"out of time after step {int(cut[1]) + 1} of 1000000" in line


@pytest.mark.slow
def test_an_interrupted_simulation_leaves_no_file():
    process = command("simulate", "--cycles", "2000", "--out", "sim.nc")
    assert process.stderr is not None
    assert "simulate" in process.stderr.read(12)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "rmaat: interrupted; partly written files were removed" in error
    assert "Traceback" not in error
    assert files() == set()


def test_the_plan_shows_every_model_and_way(capsys):
    assert main(["plan", "--length", "100000", "--width", "32", "--segment-length", "512"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split()[:2] for line in shown.splitlines()]
    for name, family in ARCHITECTURES.items():
        assert all([name, way] in rows for way in (METHODS if family.recurrent else ["bptt"]))
    assert "196 segments of 512" in shown
    assert main(["plan", "--length", "100000", "--width", "32", "--segment-length", "512", "--state-size", "4"]) == 0
    smaller = capsys.readouterr().out.splitlines()
    changed = [line.split()[0] for line, before in zip(smaller, shown.splitlines(), strict=True) if line != before]
    assert changed == ["s4d"]
    assert main(["plan", "--length", "8001", "--segment-length", "512", "--separator", "15"]) == 0
    assert "8001 tokens in two documents of 4000, each in 8 segments of 512" in capsys.readouterr().out


def test_the_plan_counts_what_a_gpu_starts(capsys):
    arguments = ["plan", "--length", "64", "--segment-length", "16", "--width", "16", "--layers", "1", "--launches"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "operators of a step  bytes of a step" in shown.splitlines()[0]
    assert main([*arguments, "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)
    assert all(f"{cost['launches']['operators']:,}" in shown for cost in plans)


def test_a_task_of_single_documents_is_not_encoded_as_pairs(capsys):
    arguments = ["train", "copy", "--out", "run", "--separator", "5", *SMALLER["copy"]]
    assert "Copy has one document a sequence; set separator to 0" in failure(capsys, *arguments)[1]
    assert not Path("run").exists()


def test_an_interrupted_simulation_is_kept_and_continued_with_resume(capsys, monkeypatch):
    def cut(_, fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    arguments = ["simulate", "--cycles", "3", "--out", "cut.nc"]
    monkeypatch.setattr("astro_sim.runs.to_file.CHECKPOINT_EVERY", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr("rmaat.base.progress.Bar.__call__", cut)
        status, line = failure(capsys, *arguments)
    assert (status, line) == (130, "rmaat: interrupted; continue the same command with --resume")
    _, line = failure(capsys, *arguments)
    assert "a run of cut.nc was interrupted; continue it with --resume, or discard it with --overwrite" in line
    assert main([*arguments, "--resume"]) == 0
    assert main(["simulate", "--cycles", "3", "--out", "whole.nc"]) == 0
    assert Path("cut.nc").read_bytes() == Path("whole.nc").read_bytes()
    _, line = failure(capsys, *arguments, "--overwrite", "--resume")
    assert "there is no interrupted run of cut.nc to resume; leave --resume out" in line
    _, line = failure(capsys, "simulate", "--engine", "brian2", "--resume", "--out", "other.nc")
    assert "engine brian2 writes no checkpoints, so its runs cannot be resumed; leave --resume out" in line
    assert files() == {"cut.nc", "whole.nc"}


SMALLER = {
    "text": ["--validation-size", "4"],
    "image": ["--validation-size", "4"],
    "same_film": ["--train-size", "12", "--validation-size", "4", "--test-size", "4", "--longest-document", "60"],
    "pathfinder": ["--train-size", "12", "--validation-size", "4", "--test-size", "4"],
    **{
        name: ["--train-size", "12", "--validation-size", "4", "--test-size", "4", "--length", "40", "--gap", "12"]
        for name in ("copy", "recall", "needle")
    },
}


def make_source(task: str) -> list[str]:
    """Write small source files if the task needs them; return the option with their folder."""
    random = np.random.default_rng(0)
    if task in ("copy", "recall", "needle", "pathfinder"):
        return []
    Path("source").mkdir()
    if task == "image":
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            pixels, labels = random.integers(0, 256, (10, 3072), dtype=np.uint8), list(range(10))
            Path(f"source/{name}").write_bytes(pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2))
    elif task == "retrieval":
        for split in ("train", "eval", "test"):
            rows = "".join(f"{row % 2}\t{row}\t{row}\tone {row}\ttwo {row}\n" for row in range(12))
            Path(f"source/new_aan_pairs.{split}.tsv").write_text(rows)
    else:
        for split, label in itertools.product(("train", "test"), ("neg", "pos")):
            Path(f"source/{split}/{label}").mkdir(parents=True)
            for row in range(40):
                Path(f"source/{split}/{label}/{row}_5.txt").write_text(f"film {row // 2}")
            films = [f"http://www.imdb.com/title/tt{row // 2:07d}/usercomments\n" for row in range(40)]
            Path(f"source/{split}/urls_{label}.txt").write_text("".join(films))
    return ["--source", "source"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "preset"),
    [
        *(
            (task, "small")
            for task in ("text", "image", "retrieval", "same_film", "pathfinder", "copy", "recall", "needle")
        ),
        ("same_film", "two_encodings"),
    ],
)
def test_every_task_is_prepared_listed_trained_and_scored(capsys, task, preset):
    if task == "pathfinder":
        pytest.importorskip("numba")
    settings = SMALLER.get(task, [])
    assert main(["data", "prepare", task, *make_source(task), *settings]) == 0
    assert "trivial levels: commonest label" in capsys.readouterr().out
    status, line = failure(
        capsys, "data", "prepare", task, *(["--source", "source"] if Path("source").exists() else []), *settings
    )
    assert (status, "exists already; delete it to prepare the data again" in line) == (1, True)
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(rf"^{task} +{task}-", listed, re.MULTILINE)
    assert f"missing: {task} " not in listed
    assert "missing: listops is generated at first use" in listed
    tiny = [
        "--steps",
        "2",
        "--validate-every",
        "2",
        "--width",
        "8",
        "--heads",
        "2",
        "--layers",
        "1",
        "--batch-size",
        "4",
    ]
    assert main(["train", task, "--preset", preset, "--out", "run", *settings, *tiny]) == 0
    assert main(["evaluate", "run"]) == 0
    assert re.search(r"commonest label +\d+\.\d%", capsys.readouterr().out)


def test_vocabulary_and_classes_of_a_model_are_those_of_its_task():
    tiny = ["--steps", "1", "--validate-every", "1", "--width", "8", "--heads", "2", "--layers", "1"]
    task = [*SMALLER["copy"], "--items", "3", "--values", "5"]
    assert main(["train", "copy", "--out", "run", *task, *tiny]) == 0
    model = json.loads(Path("run/configuration.json").read_text())["model"]
    # Padding, question, mark, eight kinds of noise, five values and three keys.
    assert (model["vocabulary"], model["classes"]) == (19, 5)


@pytest.fixture
def tiny_copy(monkeypatch):
    """A preset of the copy task that trains in a moment, and a study of two models."""
    from model.studies.presets import PRESETS
    from model.studies.study import STUDIES, Study

    small = PRESETS["copy"]["small"]
    task = dataclasses.replace(small.task_parameters, train_size=30, validation_size=10, test_size=10)
    model = small.model.override({"width": 8, "heads": 2, "layers": 1})
    training = small.training.override({"steps": 3, "batch_size": 4, "validate_every": 3})
    tiny = dataclasses.replace(small, task_parameters=task, model=model, training=training)
    monkeypatch.setitem(PRESETS["copy"], "tiny", tiny)
    monkeypatch.setitem(STUDIES, "pair", Study("Two models", ("copy",), ("rmaat", "no_memory")))


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_copy")
def test_a_study_stops_at_its_budget_continues_and_writes_its_table(capsys):
    command = ["reproduce", "pair", "--preset", "tiny", "--seeds", "1", "--workers", "1"]
    status, line = failure(capsys, *command, "--budget", "0s")
    assert status == 75, line
    assert "out of time with 2 runs to go; the same command continues" in line
    assert not list(Path("runs/reproduce/tiny").glob("*/*/seed-0"))
    assert main(command) == 0
    page = capsys.readouterr().out
    assert re.search(r"\| RMAAT without memory \| \d+\.\d \(1\) \|", page)
    place = Path("runs/reproduce/tiny")
    assert sorted(path.suffix for path in place.glob("pair.*")) == [".csv", ".md", ".png", ".svg"]
    evaluation = json.loads((place / "copy" / "rmaat" / "seed-0" / "evaluation.json").read_text())
    assert main([*command, "--json"]) == 0
    (first, _) = json.loads(capsys.readouterr().out)["findings"]
    assert (first["contender"], first["accuracies"]) == ("rmaat", {"0": 100 * evaluation["accuracy"]})


@pytest.mark.slow
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, "2"), (signal.SIGTERM, "1")])
def test_a_signal_to_all_processes_of_a_study_ends_it_with_checkpoints_of_its_runs(number, workers):
    process = command(
        "reproduce", "diagnostics", "--tasks", "needle", "--seeds", "1", "--workers", workers, start_new_session=True
    )  # fmt: skip
    runs = Path("runs/reproduce/small/needle")
    # The first step of a run writes this file.
    while not list(runs.glob("*/seed-0/tensorboard/*")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1.0)
    # A terminal and `timeout` send the signal to every process of the group too.
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().endswith("rmaat: interrupted; the same command continues where it stopped")
    assert "Traceback" not in errors
    assert any(int(place.name.rpartition("-")[2]) > 0 for place in runs.glob("*/seed-0/checkpoint-*"))


def test_a_study_refuses_invalid_options(capsys):
    for options, words in (
        (["--budget", "soon"], "'soon' is not a duration"),
        (["--seeds", "0"], "--seeds is 0; it must be 1 or more"),
        (["--workers", "0"], "--workers is 0; it must be 1 or more"),
        (["--tasks", "txt"], "perhaps you meant text"),
        (["--tasks", "text"], "none of the tasks of table1 has data"),
    ):
        status, line = failure(capsys, "reproduce", "table1", *options)
        assert status in (1, 2)
        assert words in line


@pytest.mark.usefixtures("tiny_copy")
def test_a_training_can_run_in_slices_of_time(capsys):
    command = ["train", "copy", "--preset", "tiny", "--contender", "no_memory", "--out", "run"]
    for step in (1, 2):
        status, line = failure(capsys, *command, "--minutes", "0", "--resume")
        assert status == 75
        assert f"out of time after step {step} of 3; continue the same command with --resume" in line
    assert main([*command, "--minutes", "1", "--resume"]) == 0
    assert json.loads(Path("run/configuration.json").read_text())["model"]["memory_tokens"] == 0
    status, line = failure(capsys, *command, "--architecture", "rmt")
    assert (status, "leave --architecture out" in line) == (2, True)
    status, line = failure(capsys, *command, "--minutes", "nan")
    assert (status, "--minutes is nan; it must be 0 or more" in line) == (2, True)


def test_missing_data_are_reported_with_their_source_and_the_command_that_prepares_them(capsys):
    status, line = failure(capsys, "train", "text", "--out", "run")
    assert status == 1
    assert "ai.stanford.edu/~amaas" in line
    assert line.endswith("then: rmaat data prepare text --source PATH")
    status, line = failure(capsys, "train", "text", "--out", "run", "--max-depth", "3")
    assert (status, "--max-depth is a setting of listops, not of text" in line) == (2, True)
    status, line = failure(capsys, "train", "copy", "--out", "run", "--preset", "smal")
    assert (status, "unknown preset of copy 'smal'; perhaps you meant small" in line) == (2, True)
    status, line = failure(capsys, "data", "prepare", "copy", "--source", "x")
    assert (status, "copy is generated" in line.lower()) == (1, True)
