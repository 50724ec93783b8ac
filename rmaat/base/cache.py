"""Where this toolkit keeps what it can make again, such as compiled networks; it may be deleted at any time."""

import os
import sys
from pathlib import Path

SETTING = "RMAAT_CACHE"


def cache_folder() -> Path:
    """The folder that the environment variable RMAAT_CACHE names, else `rmaat` in the system's folder for caches."""
    if chosen := os.environ.get(SETTING):
        return Path(chosen).expanduser().absolute()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "rmaat"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "rmaat" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "rmaat"
