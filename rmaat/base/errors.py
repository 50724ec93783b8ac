"""The base classes of all errors that a user can cause.

Each message is one sentence: what was found, what was expected, what to do. The `rmaat` command prints the message
without a traceback and exits with `exit_status`.
"""

from typing import ClassVar


class RmaatError(Exception):
    """An error that a user can cause and fix; each package derives its own."""

    exit_status: ClassVar[int] = 1


class UsageError(RmaatError):
    """An invalid option or parameter."""

    exit_status: ClassVar[int] = 2


class Interrupted(RmaatError):
    """The user stopped the work; finished parts are saved, and the same command continues."""

    exit_status: ClassVar[int] = 130


class OutOfTime(Interrupted):
    """The time limit was reached; finished parts are saved, and the same command continues."""

    exit_status: ClassVar[int] = 75
    """`EX_TEMPFAIL` in sysexits.h, which means: try again."""
