"""`rmaat data list`: what data are there, what is missing and where to get it."""

import argparse

from rmaat.base.text import table
from rmaat.commands.shared import add_data

SUMMARY = "Say which data are there, which are missing and where to get them"
EXAMPLE = "  rmaat data list --data runs/data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat data list`."""
    add_data(parser)


def run(options: argparse.Namespace) -> None:
    """List the data."""
    from model.tasks.library import TASKS, stored_tasks

    stored = stored_tasks(options.data)
    rows = [
        (name, entry.path.name, f"{entry.sequences:,}", f"{entry.longest:,}", entry.origin)
        for name, entries in stored.items()
        for entry in entries
    ]
    if rows:
        print(table(rows, ("task", f"in {options.data}", "sequences", "longest", "origin")) + "\n")
    for name, task in TASKS.items():
        if not stored[name]:
            made = "is generated when it is first used" if task.generate else f"needs {task.sources}"
            print(f"missing: {name} {made}; rmaat data prepare {name}" + ("" if task.generate else " --source PATH"))
