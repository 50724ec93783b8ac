"""What every result carries, and how it is written."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

from rmaat.base.files import write_text
from rmaat.base.provenance import versions

RESULTS = Path("benchmarks/results")


def write_report(path: Path, command: str, device: str, packages: tuple[str, ...], content: dict[str, Any]) -> None:
    """Write `content` with device, date, command and versions as JSON, and say where."""
    origin = {
        "device": device,
        "cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "command": command,
        "versions": versions(*packages),
    }
    write_text(path, json.dumps(origin | content, indent=2) + "\n")
    print(f"written to {path}\n")
