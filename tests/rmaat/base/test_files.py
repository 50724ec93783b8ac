"""Files are written completely or not at all, however the writing ends."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from rmaat.base.files import (
    FileError,
    atomic_file,
    atomic_folder,
    finish,
    locked_folder,
    read_bytes,
    read_json,
    read_text,
    refuse_existing,
    unfinished_folder,
    write_bytes,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Stop(Exception):
    """An error inside a block."""


@pytest.fixture
def earlier(tmp_path) -> Path:
    path = tmp_path / "file"
    path.write_text("earlier")
    return path


@pytest.fixture
def earlier_folder(tmp_path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("earlier")
    return path


# One file.


@pytest.mark.parametrize("content", ["", "one line\n", "Größe τ_p^l\n" * 10_000])
def test_text_is_read_back_unchanged(tmp_path, content):
    write_text(tmp_path / "file", content)
    assert read_text(tmp_path / "file") == content
    assert names(tmp_path) == ["file"]


def test_missing_parent_folders_are_created(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "file", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"\x00\xff"


def test_the_path_keeps_its_earlier_content_until_the_block_ends(earlier):
    with atomic_file(earlier) as temporary:
        temporary.write_text("new")
        assert earlier.read_text() == "earlier"
    assert earlier.read_text() == "new"


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_the_block_leaves_the_earlier_file_and_nothing_else(earlier, error):
    def interrupted():
        with atomic_file(earlier) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert earlier.read_text() == "earlier"
    assert names(earlier.parent) == ["file"]


def test_an_interrupt_from_the_keyboard_leaves_the_earlier_file_and_nothing_else(earlier):
    program = f"""
import signal, sys, time
from pathlib import Path
from rmaat.base.files import atomic_file
signal.signal(signal.SIGINT, signal.default_int_handler)
with atomic_file(Path({str(earlier)!r})) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(30)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        assert len(names(earlier.parent)) == 2
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    assert earlier.read_text() == "earlier"
    assert names(earlier.parent) == ["file"]


def test_a_file_that_outgrows_the_disk_is_an_error_and_leaves_the_earlier_one(earlier):
    # A limit on the file size makes writes fail as on a full disk.
    program = f"""
import resource, signal
from pathlib import Path
from rmaat.base.files import FileError, write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
write_bytes(Path({str(earlier.parent / "fits")!r}), bytes(10_000))
try:
    write_bytes(Path({str(earlier)!r}), bytes(10_001))
except FileError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"cannot write {earlier}: File too large; nothing was written"
    assert earlier.read_text() == "earlier"
    assert names(earlier.parent) == ["file", "fits"]


def test_writers_of_one_path_use_different_temporary_files_and_the_last_to_end_wins(earlier):
    with atomic_file(earlier) as outer:
        outer.write_text("outer")
        with atomic_file(earlier) as inner:
            assert inner != outer
            inner.write_text("inner")
        assert earlier.read_text() == "inner"
        assert outer.read_text() == "outer"
    assert earlier.read_text() == "outer"
    assert names(earlier.parent) == ["file"]


def test_a_block_that_writes_nothing_is_an_error(earlier):
    with pytest.raises(FileError, match=r"cannot write .*file: No such file"), atomic_file(earlier):
        pass
    assert earlier.read_text() == "earlier"


@pytest.mark.parametrize("manager", [atomic_file, atomic_folder])
def test_our_own_errors_in_the_block_pass_unchanged(tmp_path, manager):
    def failing():
        with manager(tmp_path / "path"):
            raise FileError("cannot read another file")

    with pytest.raises(FileError, match=r"^cannot read another file$"):
        failing()


# Paths that cannot be written.


@pytest.mark.parametrize("manager", [atomic_file, atomic_folder])
def test_a_path_below_a_file_is_refused_with_a_sentence(earlier, manager):
    for below in (earlier / "x", earlier / "x" / "y"):
        with pytest.raises(FileError, match=f"cannot write {below}: .*; nothing was written"), manager(below):
            pytest.fail("the block must not run")
    assert earlier.read_text() == "earlier"


@pytest.mark.parametrize("manager", [atomic_file, atomic_folder])
def test_a_name_that_is_too_long_is_refused_with_a_sentence(tmp_path, manager):
    def write():
        with manager(tmp_path / ("x" * 300)) as temporary:
            temporary.write_text("new")

    with pytest.raises(FileError, match="File name too long; nothing was written"):
        write()
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", [".", "folder"])
def test_a_file_does_not_replace_a_folder(earlier_folder, monkeypatch, place):
    monkeypatch.chdir(earlier_folder.parent)
    with pytest.raises(FileError, match="cannot write "):
        write_text(Path(place), "new")
    assert names(earlier_folder.parent) == ["folder"]
    assert names(earlier_folder) == ["old"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused_with_a_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="Permission denied"):
        write_text(tmp_path / "file", "new")


# Folders.


def test_a_folder_appears_with_all_its_files_when_the_block_ends(tmp_path):
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "new").write_text("new")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "sub" / "new").read_text() == "new"
    assert names(tmp_path) == ["folder"]


def test_a_folder_does_not_replace_another(earlier_folder):
    def replace_folder():
        with atomic_folder(earlier_folder) as temporary:
            (temporary / "new").write_text("new")

    with pytest.raises(FileError, match="Directory not empty; nothing was written"):
        replace_folder()
    assert names(earlier_folder) == ["old"]
    assert names(earlier_folder.parent) == ["folder"]


def test_a_folder_is_created_with_its_parents(tmp_path):
    with atomic_folder(tmp_path / "a" / "b") as temporary:
        (temporary / "file").write_text("new")
    assert names(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_the_earlier_folder_and_nothing_else(earlier_folder, error):
    def interrupted():
        with atomic_folder(earlier_folder) as temporary:
            (temporary / "half").write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert names(earlier_folder) == ["old"]
    assert names(earlier_folder.parent) == ["folder"]


def test_a_system_error_in_the_block_leaves_the_earlier_folder(earlier_folder):
    def failing():
        with atomic_folder(earlier_folder) as temporary:
            raise OSError(28, "No space left on device", str(temporary))

    with pytest.raises(FileError, match=f"cannot write {earlier_folder}: No space left on device; nothing was written"):
        failing()
    assert names(earlier_folder) == ["old"]
    assert names(earlier_folder.parent) == ["folder"]


def test_a_folder_does_not_replace_a_file(earlier):
    def write():
        with atomic_folder(earlier) as temporary:
            (temporary / "new").write_text("new")

    with pytest.raises(FileError, match="Not a directory; nothing was written"):
        write()
    assert earlier.read_text() == "earlier"
    assert names(earlier.parent) == ["file"]


# Folders of unfinished work.


def test_unfinished_work_stays_after_an_error_and_is_removed_once_finished(tmp_path):
    def interrupted():
        with unfinished_folder(tmp_path / "file") as folder:
            (folder / "part").write_text("half")
            raise Stop

    with pytest.raises(Stop):
        interrupted()
    with unfinished_folder(tmp_path / "file") as folder:
        assert (folder / "part").read_text() == "half"
        finish(folder / "part", tmp_path / "file")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "half"


def test_unfinished_work_is_locked_until_its_process_ends_even_if_killed(tmp_path):
    program = f"""
import time
from pathlib import Path
from rmaat.base.files import unfinished_folder
with unfinished_folder(Path({str(tmp_path / "file")!r})):
    print("locked", flush=True)
    time.sleep(30)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        refusal = pytest.raises(
            FileError, match=r"another process is writing .*file; wait for it, or choose another name"
        )
        with refusal, unfinished_folder(tmp_path / "file"):
            pytest.fail("the block must not run")
        process.kill()
    with unfinished_folder(tmp_path / "file") as folder:
        assert folder.is_dir()


def test_a_lock_below_a_file_is_refused_with_a_sentence(earlier):
    with pytest.raises(FileError, match=r"cannot write .*; nothing was written"), unfinished_folder(earlier / "below"):
        pytest.fail("the block must not run")


# Reading, and refusing existing paths.


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.absolute, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.write_bytes(b"caf\xe9"), "can't decode byte 0xe9"),
    ],
)
def test_a_path_that_cannot_be_read_is_named_with_the_reason(tmp_path, make, reason):
    path = tmp_path / "file"
    make(path)
    with pytest.raises(FileError, match=f"cannot read {path}: .*{reason}"):
        read_text(path)


def test_an_existing_path_is_refused_with_the_remedy_and_a_free_path_is_accepted(earlier):
    refuse_existing(earlier.parent / "free", "choose another")
    refuse_existing(earlier / "below a file", "choose another")
    refuse_existing(earlier.parent / ("x" * 300), "choose another")
    for path in (earlier, earlier.parent):
        with pytest.raises(FileError, match=f"{path} exists already; choose another"):
            refuse_existing(path, "choose another")


# Bounds.


@pytest.fixture(params=["device", "pipe"])
def special(request, tmp_path) -> Path:
    """A file that may never end."""
    if request.param == "device":
        return Path("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("reader", [read_bytes, read_text, read_json])
def test_devices_and_pipes_are_not_read(special, reader):
    with pytest.raises(FileError, match=f"cannot read {special}: it is a device or a pipe"):
        reader(special)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_devices_and_pipes_are_not_replaced(special):
    with pytest.raises(FileError, match=f"cannot write {special}: it is a device or a pipe; choose another name"):
        write_text(special, "new")
    assert not special.is_file()


def test_files_above_the_bound_are_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    assert read_bytes(path, most=10) == bytes(10)
    with pytest.raises(FileError, match="it has 10 bytes, and at most 9 are read"):
        read_bytes(path, most=9)
    with path.open("r+b") as stream:
        # A sparse file: a terabyte that takes no space.
        stream.truncate(10**12)
    with pytest.raises(FileError, match="1,000,000,000,000 bytes"):
        read_bytes(path)


def test_json_that_is_nested_too_deeply_is_no_json(tmp_path):
    (tmp_path / "deep").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "deep")


def test_a_locked_folder_is_refused_to_a_second_one_and_cleared_of_temporary_files(tmp_path):
    (tmp_path / ".checkpoint-000000010.0a1b2c3d.tmp").mkdir()
    (tmp_path / ".metrics.csv.0a1b2c3d.tmp").touch()
    (tmp_path / "notes.tmp").touch()
    with locked_folder(tmp_path):
        assert names(tmp_path) == ["lock", "notes.tmp"]
        with pytest.raises(FileError, match=f"another process is writing {tmp_path}"), locked_folder(tmp_path):
            pass
    with locked_folder(tmp_path):
        pass


def killed_while_writing(block) -> None:
    """Fork a process that is killed inside `block`."""
    with warnings.catch_warnings():
        # Python warns of forks beside threads.
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        with block as temporary:
            temporary.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    killed_while_writing(atomic_file(path))
    killed_while_writing(atomic_file(tmp_path / "file.other"))
    assert len(names(tmp_path)) == 2
    # The process that writes another temporary file for the same path still runs: it is this one.
    with atomic_file(path) as first, atomic_file(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"
    assert [name.startswith(".file.other.") for name in names(tmp_path)] == [True, False]
    killed_while_writing(atomic_file(tmp_path / "folder"))
    with atomic_folder(tmp_path / "folder"):
        pass
    assert [name for name in names(tmp_path) if name.startswith(".folder")] == []
