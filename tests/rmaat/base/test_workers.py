"""Local workers return results as they finish, and end when they are told to, when killed, or with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmaat.base import workers as module
from rmaat.base.errors import UsageError
from rmaat.base.workers import LocalWorkers, WorkerDied, is_stopping, send


def describe(number):
    send(("seen", number))
    return number**2, os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT) is signal.SIG_IGN, os.getpid()


def fail(number):
    raise ValueError(f"number {number}")


def wait_for_the_end(path):
    path.write_text(str(os.getpid()))
    while not is_stopping():
        time.sleep(0.01)
    path.write_text("ended")


def sleep_on(path):
    path.write_text(str(os.getpid()))
    time.sleep(1000)


def kill_this_process(_):
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def is_alive(process):
    """Whether the process with this id runs; a zombie has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_results_come_with_their_places_from_processes_of_their_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with LocalWorkers(2, threads=3) as workers:
        found = dict(workers.apply(describe, range(5)))
        messages = workers.messages()
    assert {place: result[0] for place, result in found.items()} == {place: place**2 for place in range(5)}
    assert {result[1:3] for result in found.values()} == {("3", True)}
    assert os.getpid() not in {result[3] for result in found.values()}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert set(messages) <= {("seen", number) for number in range(5)}


def test_what_a_function_raises_is_raised():
    with LocalWorkers(1) as workers, pytest.raises(ValueError, match="number 3"):
        dict(workers.apply(fail, [3]))


def test_a_killed_worker_is_reported_as_such():
    with LocalWorkers(2) as workers, pytest.raises(WorkerDied, match="a worker was killed, perhaps for want of memory"):
        dict(workers.apply(kill_this_process, [1, 2, 3]))


def test_patient_workers_finish_and_others_are_killed(tmp_path):
    with LocalWorkers(1, patient=True) as workers:
        workers.submit(wait_for_the_end, [(tmp_path / "patient",)])
        wait_for(tmp_path / "patient")
    assert (tmp_path / "patient").read_text() == "ended"
    with LocalWorkers(1) as workers:
        workers.submit(sleep_on, [(tmp_path / "killed",)])
        process = wait_for(tmp_path / "killed")
    assert not is_alive(process)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib, time\n"
        "from rmaat.base.workers import LocalWorkers\n"
        "def work(path):\n"
        "    path.write_text(str(__import__('os').getpid()))\n"
        "    time.sleep(1000 if path.name == 'busy' else 0)\n"
        "if __name__ == '__main__':\n"
        "    with LocalWorkers(2) as workers:\n"
        f"        workers.submit(work, [(pathlib.Path({str(tmp_path)!r}) / name,) for name in ('busy', 'idle')])\n"
        "        time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, script])
    children = [wait_for(tmp_path / name) for name in ("busy", "idle")]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_script_without_a_guard_gets_told_what_it_needs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from rmaat.base.workers import LocalWorkers\n"
        "with LocalWorkers(1) as workers:\n"
        "    print(dict(workers.apply(abs, [-1])))\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert 'A script must start workers under if __name__ == "__main__":' in found.stderr.splitlines()[-1]


def test_functions_that_cannot_travel_are_refused_before_a_worker_starts():
    with LocalWorkers(1) as workers, pytest.raises(UsageError, match="top level of a module"):
        dict(workers.apply(lambda number: number, [1]))
    program = (
        "from rmaat.base.workers import LocalWorkers\n"
        "def work(number): return number\n"
        "with LocalWorkers(1) as workers: dict(workers.apply(work, [1]))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "defined in an interactive session cannot be sent" in found.stderr


def test_the_number_of_cores_is_known_on_systems_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert module.core_count() == os.cpu_count()
