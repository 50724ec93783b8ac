"""Write the results of a benchmark, and parse the options that all benchmarks share."""

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

from rmaat.base.files import write_text
from rmaat.base.provenance import versions

RESULTS = Path("benchmarks/results")


def option_parser(documentation: str | None, out: Path) -> argparse.ArgumentParser:
    """Return a parser whose help is the module's `documentation`, with the option --out."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=out, help=f"where to write the results [default: {out}]")
    return parser


def write_report(path: Path, command: str, device: str, packages: tuple[str, ...], content: dict[str, Any]) -> None:
    """Write `content` as JSON, with device, date, command and versions of `packages`, and print the path."""
    origin = {
        "device": device,
        "cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "command": command,
        "versions": versions(*packages),
    }
    write_text(path, json.dumps(origin | content, indent=2) + "\n")
    print(f"written to {path}\n")
