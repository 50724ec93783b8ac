"""Where the cache is."""

from pathlib import Path

import pytest

from rmaat.base.cache import cache_folder


def test_the_user_chooses_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RMAAT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("system", "folder"),
    [
        ("linux", ".cache/rmaat"),
        ("darwin", "Library/Caches/rmaat"),
        ("win32", "AppData/Local/rmaat/cache"),
    ],
)
def test_else_it_is_where_the_system_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, folder: str
):
    for name in ("RMAAT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / folder
