"""`rmaat completion`: print the script that completes commands and options in a shell."""

import argparse
from typing import Any

from rmaat.commands import COMMANDS, module_of
from rmaat.commands.parser import Parser

SUMMARY = "Print a script that completes commands and options in bash, zsh or tcsh"
EXAMPLE = (
    '  eval "$(rmaat completion bash)"                      in ~/.bashrc\n'
    "  rmaat completion zsh > ~/.zfunc/_rmaat               a folder of fpath"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="shell to print the script for")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    import shtab

    script = shtab.complete(_tree(), shell=options.shell)  # the name of a shell  # nosec B604
    # Where no word fits, bash completes files: most arguments are paths.
    print(script.replace("complete -o filenames", "complete -o default -o filenames"))


class _Command(Parser):
    """The parser of one command. Second words, such as `show`, take the place of its positional arguments."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        first = self.prog.removeprefix("rmaat ")
        if names[0].startswith("-") or not any(name.startswith(f"{first} ") for name in COMMANDS):
            return super().add_argument(*names, **settings)
        return argparse.Action([], names[0])


def _tree() -> Parser:
    """The parser of all commands with all their options, with a level for each word."""
    root = Parser(prog="rmaat")
    commands = root.add_subparsers(parser_class=_Command)
    levels: dict[str, Any] = {}
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        level = commands
        if second:
            parent = commands.choices.get(first) or commands.add_parser(first, help="")
            level = levels.setdefault(first, None) or parent.add_subparsers(parser_class=_Command)
            levels[first] = level
        module = module_of(name)
        module.add_arguments(level.add_parser(second or first, help=module.SUMMARY, prog=f"rmaat {name}"))
    return root
