"""The argument parser of all commands: a wrong word gets one sentence with the nearest right one."""

import argparse
import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from rmaat.base.records import unknown_name

_CHOICE = re.compile(
    r"argument (?P<kind>.+?): invalid choice: '(?P<name>.*?)' \(choose from (?P<known>.*)\)", re.DOTALL
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one sentence and the way to the help, without the usage."""

    words: Sequence[str] = ()
    """the command line, for commands whose help depends on it"""

    def only_in_help(self, known: Collection[str]) -> str | None:
        """The first word of the command line that is `known`, if it asks for help; a help about that one suffices."""
        if not {"-h", "--help"} & set(self.words):
            return None
        return next((word for word in self.words if word in known), None)

    def error(self, message: str) -> NoReturn:
        """Print `message` with the nearest right word, and exit with status 2."""
        if choice := _CHOICE.fullmatch(message):
            known = [word.strip(" '") for word in choice["known"].split(",")]
            message = unknown_name(choice["kind"].split("/")[-1].lower(), choice["name"], known)
        self.exit(2, f"{self.prog}: {message}; help: {self.prog} --help\n")

    def refuse(self, words: list[str]) -> NoReturn:
        """Exit as `error` does because of the `words` that are no argument."""
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        if options:
            # The text of the help is the public place that names all options.
            self.error(unknown_name("option", options[0], set(_OPTION.findall(self.format_help()))))
        self.error(f"{' '.join(words)} is one argument too many")
