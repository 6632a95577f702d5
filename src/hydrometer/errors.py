"""Failures that a user can act on.

Every error that bad input can cause is a `HydrometerError`: one line that says what is wrong, where, and what
to do about it. The command line prints that line on standard error and exits with `exit_code`.
"""

from __future__ import annotations


class HydrometerError(Exception):
    """Base of all failures that are reported to the user as one line.

    Args:
        what: what is wrong and where.
        hint: what to do about it, in the imperative.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = " ".join(what.split()).rstrip(".")
        hint = " ".join(hint.split()).rstrip(".")
        self.hint = hint[:1].upper() + hint[1:]
        stop = "" if self.hint.endswith(("?", "!")) else "."
        super().__init__(f"{self.what}. {self.hint}{stop}" if self.hint else self.what)


class InputError(HydrometerError):
    """A file, option or name given by the user cannot be used."""


class ModelError(HydrometerError):
    """A model cannot be set up: unknown provider, missing key, missing package or weights."""


class LedgerError(HydrometerError):
    """The ledger cannot be opened, read or written."""


class Stopped(HydrometerError):
    """A run ended before its plan was done (budget, interrupt) and continues when the command is run again."""

    exit_code = 3
