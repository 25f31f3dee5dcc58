"""The exception tree: what a user can put right is a `PadError`; anything else is a bug."""

from __future__ import annotations


class PadError(Exception):
    """A mistake or a condition that the user can mend; its text is one line with the remedy."""


class ConfigError(PadError):
    """A setting is unknown, out of range or at odds with another one."""


class DataError(PadError):
    """An input file is missing, empty or malformed; the text names file, row and field."""


class TeacherError(PadError):
    """The teacher cannot be reached, refuses the key or answers outside its protocol."""


class ResourceError(PadError):
    """The cluster can never give what the job asks for."""


class StudentError(PadError):
    """A student cannot be loaded from the place given, or does not fit the data."""


class FailuresError(PadError):
    """So many rows failed that the run was ended; the text has the commonest message."""


class ClusterError(PadError):
    """A cluster does not answer, refuses the token or cannot take a job."""


def reason_of(error: Exception) -> str:
    """Return what an exception says in one line, in the system's words where it has them."""
    said = str(getattr(error, "strerror", None) or error).strip()
    return said.splitlines()[0] if said else repr(error)
