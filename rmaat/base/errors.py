"""The root of every error that a user can cause.

A message is one clear sentence: what was found, what was expected, what to do. The command prints it, without a
traceback, and exits with `exit_status`.
"""

from typing import ClassVar


class RmaatError(Exception):
    """An error that a user can cause and can fix; each package derives its own."""

    exit_status: ClassVar[int] = 1


class UsageError(RmaatError):
    """An invalid option or parameter."""

    exit_status: ClassVar[int] = 2


class Interrupted(RmaatError):
    """The user stopped the work; what was finished is saved, and the same command continues it."""

    exit_status: ClassVar[int] = 130


class OutOfTime(Interrupted):
    """The time allowed is over; what was finished is saved, and the same command continues it."""

    exit_status: ClassVar[int] = 75
    """`EX_TEMPFAIL` of sysexits.h: try again"""
