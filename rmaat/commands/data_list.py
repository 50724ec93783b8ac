"""`rmaat data list`: list the prepared data, the missing data and where to get them."""

import argparse
from dataclasses import asdict

from rmaat.base.text import table
from rmaat.commands.shared import add_data, add_json, print_json

SUMMARY = "List the prepared data, the missing data and where to get them"
EXAMPLE = "  rmaat data list --data runs/data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat data list`."""
    add_data(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Print a table of the prepared data and a line for each task without data."""
    from model.tasks.library import TASKS, stored_tasks

    stored = stored_tasks(options.data)
    if options.json:
        print_json({name: [asdict(entry) for entry in entries] for name, entries in stored.items()})
        return
    rows = [
        (name, entry.path.name, f"{entry.sequences:,}", f"{entry.longest:,}", entry.origin)
        for name, entries in stored.items()
        for entry in entries
    ]
    if rows:
        print(table(rows, ("task", f"in {options.data}", "sequences", "longest", "origin")) + "\n")
    for name, task in TASKS.items():
        if not stored[name]:
            remedy = "is generated at first use" if task.generate else f"needs {task.sources}"
            source = "" if task.generate else " --source PATH"
            print(f"missing: {name} {remedy}; prepare it with: rmaat data prepare {name}{source}")
