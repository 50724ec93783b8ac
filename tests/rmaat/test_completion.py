"""The completion of commands and options in bash."""

import shlex
import shutil
import subprocess

import pytest

from rmaat.cli import main

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "rmaat.bash"
    with pytest.MonkeyPatch.context() as patch, path.open("w") as stream:
        patch.setattr("sys.stdout", stream)
        assert main(["completion", "bash"]) == 0
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ev", {"evaluate"}),
        ("distill sh", {"show"}),
        ("distill --seg", {"--segments", "--segment-length"}),
        ("distill show --c", {"--csv"}),
        ("data ", {"prepare", "list"}),
        ("train listo", {"listops"}),
        ("train listops --memory-r", {"--memory-rule"}),
    ],
)
def test_bash_completes_commands_tasks_and_options(script, words, offered):
    typed = ["rmaat", *words.split(" ")]
    state = f"COMP_WORDS=({shlex.join(typed)}); COMP_CWORD={len(typed) - 1}"
    program = f"source {script}; {state}; _shtab_rmaat; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    found = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert offered <= set(found.stdout.split())
    assert len(found.stdout.split()) < 6
