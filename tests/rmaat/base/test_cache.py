"""The cache folder: the user's choice, else the system's."""

import sys

import pytest

from rmaat.base.cache import cache_folder


def test_the_environment_variable_sets_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RMAAT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize("chosen", [{}, {"XDG_CACHE_HOME": "own"}])
def test_the_default_is_the_user_s_cache_folder(monkeypatch, tmp_path, chosen):
    for name in ("RMAAT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    for name, folder in chosen.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    caches = {"darwin": "Library/Caches/rmaat", "win32": "rmaat/Cache"}
    linux = f"{chosen.get('XDG_CACHE_HOME', '.cache')}/rmaat"
    assert cache_folder() == tmp_path / caches.get(sys.platform, linux)
