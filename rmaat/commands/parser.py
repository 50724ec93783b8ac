"""The argument parser of all commands: a wrong word gets one sentence with the nearest right one."""

import argparse
import re
from collections.abc import Collection, Sequence
from typing import NoReturn

from rmaat.base.records import unknown_name

_CHOICE = re.compile(
    r"argument (?P<kind>.+?): invalid choice: '(?P<name>.*?)' \(choose from (?P<known>.*)\)", re.DOTALL
)
_PLAIN = (
    (re.compile(r"argument (.+?): invalid int value: (.*)", re.DOTALL), r"\1 is \2; it must be a whole number"),
    (re.compile(r"argument (.+?): invalid float value: (.*)", re.DOTALL), r"\1 is \2; it must be a number"),
    (re.compile(r"argument (.+?): expected one argument"), r"\1 needs a value"),
    (re.compile(r"argument (.+?): expected at least one argument"), r"\1 needs at least one value"),
    (re.compile(r"argument (.+?): not allowed with argument (.+)"), r"\1 and \2 exclude each other; give one"),
    (re.compile(r"argument (.+?): (.+)", re.DOTALL), r"\1: \2"),
    (re.compile(r"the following arguments are required: (.+), (.+?)"), r"\1 and \2 are missing"),
    (re.compile(r"the following arguments are required: (.+)"), r"\1 is missing"),
)
"""Messages of argparse, and ours in their place."""
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one sentence and the way to the help, without the usage."""

    words: Sequence[str] = ()
    """the command line, for commands whose help depends on it"""
    rest = ""
    """argument that also takes the words after an option, which argparse leaves over"""

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
        for pattern, plain in _PLAIN:
            if match := pattern.fullmatch(message):
                message = match.expand(plain)
                break
        self.exit(2, f"{self.prog}: {message}; help: {self.prog} --help\n")

    def take(self, words: list[str], found: argparse.Namespace) -> None:
        """Add the `words` that argparse left over to the argument `rest`; without one, exit as `error` does."""
        if not self.rest or any(word.startswith("-") for word in words):
            self._refuse(words)
        setattr(found, self.rest, [*getattr(found, self.rest), *words])

    def _refuse(self, words: list[str]) -> NoReturn:
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        if options:
            # The text of the help is the public place that names all options.
            self.error(unknown_name("option", options[0], set(_OPTION.findall(self.format_help()))))
        self.error(f"{' '.join(words)} is one argument too many")
