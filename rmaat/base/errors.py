"""The root of every error that a user can cause.

A message is one clear sentence: what was found, what was wanted, what to do. The command prints it and exits with
`exit_status`; nothing else of the program is shown.
"""

from typing import ClassVar


class RmaatError(Exception):
    """What a user can cause and can mend; each package derives its own."""

    exit_status: ClassVar[int] = 1


class UsageError(RmaatError):
    """A value, name or combination that no input file could make right."""

    exit_status: ClassVar[int] = 2
