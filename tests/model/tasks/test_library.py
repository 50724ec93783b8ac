"""Data are found where they were prepared, for the settings that they were prepared with, and for no others."""

import json
import shutil
import threading
from dataclasses import replace

import pytest

from model.tasks import library
from model.tasks.data.dataset import TaskData, TaskError
from model.tasks.diagnostics import CopyParameters, NeedleParameters
from model.tasks.library import TASKS, data_place, load_task, prepare_task
from model.tasks.listops import OFFICIAL_FILES, ListOpsParameters, generate, to_text

SMALL = NeedleParameters(length=20, gap=5, train_size=12, validation_size=4, test_size=4)
LISTOPS = ListOpsParameters(
    shortest_length=5, longest_length=40, max_depth=4, train_size=6, validation_size=2, test_size=2
)


def assert_same(first: TaskData, second: TaskData) -> None:
    assert (first.sha256(), first.origin) == (second.sha256(), second.origin)


def test_a_folder_older_than_a_setting_has_its_default(tmp_path):
    settings = replace(SMALL, values=TASKS["needle"].parameters.values)
    folder = prepare_task(settings, None, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    # Manifests had no digest then.
    del manifest["settings"]["values"], manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert_same(load_task(settings, folder, tmp_path), load_task(settings, None, tmp_path))
    with pytest.raises(TaskError, match="was prepared with values"):
        load_task(replace(settings, values=7), folder, tmp_path)


def test_a_prepared_folder_is_a_source_for_its_own_settings_alone(tmp_path):
    folder = prepare_task(SMALL, None, tmp_path)
    assert_same(load_task(SMALL, folder, tmp_path / "elsewhere"), load_task(SMALL, None, tmp_path))
    with pytest.raises(TaskError, match=r"was prepared with gap 5, not 6; give the same settings"):
        load_task(replace(SMALL, gap=6), folder, tmp_path)
    with pytest.raises(TaskError, match=r"was prepared with kind needle, not copy; "):
        load_task(CopyParameters(length=20, gap=5), folder, tmp_path)


def test_a_folder_that_does_not_say_what_it_was_prepared_with_is_no_source(tmp_path):
    folder = prepare_task(SMALL, None, tmp_path)
    values = json.loads((folder / "manifest.json").read_text())
    del values["settings"], values["sha256"]
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(TaskError, match="does not say what it was prepared with"):
        load_task(SMALL, folder, tmp_path)


def test_generated_data_that_vanished_are_made_again_as_they_were(tmp_path):
    before = load_task(SMALL, None, tmp_path)
    digest = before.sha256()
    shutil.rmtree(data_place(SMALL, tmp_path, from_files=False))
    # The arrays that are in use stay in memory.
    assert before.sha256() == digest
    assert_same(load_task(SMALL, None, tmp_path), before)


def test_prepared_files_that_vanished_are_named_with_the_command_that_makes_them_again(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(TaskError, match=r"data has no data of text .*; get .*, then: rmaat data prepare text --source"):
        load_task(TASKS["text"].parameters, None, tmp_path / "data")
    folder = prepare_task(SMALL, None, tmp_path)
    (folder / "train_tokens.npy").unlink()
    with pytest.raises(TaskError, match=r"train_tokens\.npy cannot be read .*; delete the folder and prepare it again"):
        load_task(SMALL, None, tmp_path)


def test_what_was_prepared_from_files_comes_before_what_can_be_generated(tmp_path):
    official = generate(replace(LISTOPS, data_seed=9))
    files = tmp_path / "listops-1000"
    files.mkdir()
    for split, name in OFFICIAL_FILES.items():
        dataset = official.splits[split]
        rows = [f"{to_text(dataset.sequence(row))}\t{dataset.labels[row]}" for row in range(len(dataset))]
        (files / name).write_text("\n".join(["Source\tTarget", *rows, ""]))
    generated = load_task(LISTOPS, None, tmp_path / "data")
    folder = prepare_task(LISTOPS, files, tmp_path / "data")
    found = load_task(LISTOPS, None, tmp_path / "data")
    assert found.sha256() == official.sha256() != generated.sha256()
    # The sizes of the generator say nothing of files.
    assert_same(load_task(replace(LISTOPS, train_size=7), folder, tmp_path / "data"), found)
    with pytest.raises(TaskError, match="kind listops, not needle"):
        load_task(SMALL, folder, tmp_path / "data")


def test_processes_that_generate_the_same_data_at_once_all_get_them(tmp_path, monkeypatch):
    # All have generated before the first one writes.
    barrier, needle = threading.Barrier(3), TASKS["needle"]

    def meet(parameters, progress):
        data = needle.generate(parameters, progress)
        barrier.wait(10)
        return data

    monkeypatch.setitem(library.TASKS, "needle", replace(needle, generate=meet))
    found: list[TaskData] = []
    threads = [threading.Thread(target=lambda: found.append(load_task(SMALL, None, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3
    assert len({task.sha256() for task in found}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [data_place(SMALL, tmp_path, from_files=False).name]
