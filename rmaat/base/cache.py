"""The folder for files that can be rebuilt, such as compiled networks; users may delete it at any time."""

import os
from pathlib import Path

from platformdirs import user_cache_path

SETTING = "RMAAT_CACHE"


def cache_folder() -> Path:
    """The folder in the environment variable RMAAT_CACHE, else `rmaat` in the user's cache folder."""
    if chosen := os.environ.get(SETTING):
        return Path(chosen).expanduser().absolute()
    # platformdirs, because Linux, macOS and Windows each have their own place for caches.
    return user_cache_path("rmaat", appauthor=False)
